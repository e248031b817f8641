//! What can change in spite of the locks: a schema gets another name, or a partitioned table another
//! partition, whose rows are older than the snapshot.

use std::collections::HashMap;

use lake_postgres::{Connection, Error as PgError, quote_qualified};
use tokio_postgres::error::SqlState;

use super::relation::Table;
use crate::{Error, Result};

/// These functions see the catalogue as it is, queries see it as the snapshot has it.
const RENAMED: &str = "\
select t.place
from rows from (pg_catalog.unnest($1), pg_catalog.unnest($2)) with ordinality t(oid, name, place)
where pg_catalog.to_regclass(t.name) is distinct from t.oid
limit 1";
const REPARTITIONED: &str = "\
select t.oid, array(with recursive member(oid) as (
                        select t.oid union all
                        select i.inhrelid from pg_catalog.pg_inherits i join member m on i.inhparent = m.oid)
                    select m.oid from member m)
from pg_catalog.unnest($1) t(oid)
where exists (select from pg_catalog.pg_partition_tree(t.oid) p
              where p.relid <> t.oid
                and not exists (select from pg_catalog.pg_inherits i
                                where i.inhrelid = p.relid and i.inhparent = p.parentrelid))";

/// Why the server does not know what a COPY names: a table that is locked can't go, nor can its columns and their types,
/// so its schema has been renamed. A function that does not find what it names says where it was.
pub(super) fn explain(error: PgError, table: &Table) -> Error {
    const MISSING: [SqlState; 4] = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INVALID_SCHEMA_NAME,
    ];
    let server = match &error {
        PgError::Query { source, .. } => source.as_db_error(),
        _ => None,
    };
    match server {
        Some(server) if MISSING.contains(server.code()) && server.where_().is_none() => Error::Renamed {
            table: table.relation.to_string(),
        },
        _ => error.into(),
    }
}

/// To be asked when the tables are read. Returns the indexes of those that have to be read again, now without
/// what is none of the snapshot.
///
/// # Errors
/// [`Error::Renamed`].
pub(super) async fn settle(connection: &Connection, tables: &mut [Table]) -> Result<Vec<usize>> {
    const ACTION: &str = "look for changes since the tables were locked";
    let oids: Vec<u32> = tables.iter().map(|table| table.relation.oid).collect();
    let names = tables
        .iter()
        .map(|table| quote_qualified(&table.relation.schema, &table.relation.name));
    let names: Vec<String> = names.collect();
    let renamed = connection
        .watch_locks(RENAMED, ACTION, connection.query_opt(RENAMED, &[&oids, &names]))
        .await?;
    if let Some(row) = renamed {
        let place = row.get::<_, i64>(0) as usize - 1;
        return Err(Error::Renamed {
            table: tables[place].relation.to_string(),
        });
    }
    let partitioned: Vec<u32> = tables
        .iter()
        .filter(|t| t.is_partitioned())
        .map(|t| t.relation.oid)
        .collect();
    if partitioned.is_empty() {
        return Ok(Vec::new());
    }
    let changed = connection
        .watch_locks(REPARTITIONED, ACTION, connection.query(REPARTITIONED, &[&partitioned]))
        .await?;
    let mut members: HashMap<u32, Vec<u32>> = changed.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut again = Vec::new();
    for (index, table) in tables.iter_mut().enumerate() {
        // Read again, it is what it was, whatever is attached to it meanwhile.
        if table.condition.is_none()
            && let Some(members) = members.remove(&table.relation.oid)
        {
            table.read_members_only(members.iter());
            again.push(index);
        }
    }
    Ok(again)
}
