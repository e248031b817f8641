//! What the target has already.

use std::collections::{BTreeMap, BTreeSet};

use lake_postgres::{CatalogColumn, Connection};

use crate::{Error, NotATable, Result, TargetTable};

const FIND: &str = "\
    select w.place, c.oid, c.relkind::text \
    from unnest($1::text[], $2::text[]) with ordinality as w(schema, name, place) \
    join pg_namespace n on n.nspname = w.schema \
    join pg_class c on c.relnamespace = n.oid and c.relname = w.name";

/// A table of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    pub(crate) oid: u32,
    pub(crate) partitioned: bool,
    pub(crate) columns: Vec<CatalogColumn>,
}

impl Existing {
    pub(crate) fn column(&self, name: &str) -> Option<&CatalogColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The table without those that inherit from it, which are somebody's own.
    pub(crate) fn itself(&self, table: &TargetTable) -> String {
        let only = if self.partitioned { "" } else { "only " };
        format!("{only}{}", table.quoted())
    }
}

/// Looks for tables; the answers are in the order of `targets`.
///
/// # Errors
/// [`Error::NotATable`] with everything that can't be loaded into.
pub(crate) async fn find(connection: &Connection, targets: &[&TargetTable]) -> Result<Vec<Option<Existing>>> {
    let schemas: Vec<&str> = targets.iter().map(|target| target.schema.as_str()).collect();
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    let rows = connection
        .query(FIND, &[&schemas, &names])
        .await
        .map_err(lake_postgres::Error::query("look for the target's tables"))?;
    let mut found = BTreeMap::new();
    let mut others = Vec::new();
    for row in &rows {
        let place = row.get::<_, i64>(0) as usize - 1; // `with ordinality` counts from 1
        let partitioned = match row.get(2) {
            "r" => false,
            "p" => true,
            kind => {
                others.push(NotATable {
                    target: targets[place].clone(),
                    kind: kind_name(kind),
                });
                continue;
            }
        };
        found.insert(place, (row.get::<_, u32>(1), partitioned));
    }
    if !others.is_empty() {
        return Err(Error::NotATable { found: others });
    }
    let oids: Vec<u32> = found.values().map(|(oid, _)| *oid).collect();
    let mut columns = lake_postgres::columns(connection, &oids).await?;
    Ok((0..targets.len())
        .map(|place| {
            let (oid, partitioned) = found.remove(&place)?;
            Some(Existing {
                oid,
                partitioned,
                columns: columns.remove(&oid).unwrap_or_default(),
            })
        })
        .collect())
}

/// A partition that is loaded as a table of its own, and with its root as well, would hold its rows twice.
///
/// # Errors
/// [`Error::PartitionToo`].
pub(crate) async fn refuse_parts(
    connection: &Connection,
    targets: &[&TargetTable],
    existing: &[Option<Existing>],
) -> Result<()> {
    let oids: Vec<u32> = existing.iter().flatten().map(|table| table.oid).collect();
    let nested = connection
        .query_opt(
            "select o, a.relid::oid from unnest($1::oid[]) o, pg_partition_ancestors(o) a \
             where a.relid <> o and a.relid = any($1) limit 1",
            &[&oids],
        )
        .await
        .map_err(lake_postgres::Error::query("look for the target's partitions"))?;
    let target = |oid: u32| {
        let mut tables = targets.iter().zip(existing);
        tables.find_map(|(target, table)| table.as_ref().filter(|t| t.oid == oid).map(|_| (*target).clone()))
    };
    match nested.and_then(|row| Some((target(row.get(0))?, target(row.get(1))?))) {
        Some((partition, root)) => Err(Error::PartitionToo { partition, root }),
        None => Ok(()),
    }
}

fn kind_name(relkind: &str) -> &'static str {
    match relkind {
        "v" => "a view",
        "m" => "a materialized view",
        "f" => "a foreign table",
        "i" | "I" => "an index",
        "S" => "a sequence",
        "c" => "a composite type",
        _ => "something else",
    }
}

/// Which of these schemas are there.
pub(crate) async fn schemas(connection: &Connection, names: &[&str]) -> Result<BTreeSet<String>> {
    let rows = connection
        .query(
            "select nspname::text from pg_namespace where nspname = any($1::text[])",
            &[&names],
        )
        .await
        .map_err(lake_postgres::Error::query("look for the target's schemas"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
