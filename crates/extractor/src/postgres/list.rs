//! Which relations there are, and which of them a source's patterns select.

use lake_storage::Relation;
use tokio_postgres::Client;

use super::TablePattern;
use crate::error::nearest;
use crate::{Error, Result};

/// A relation as the catalogue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) relation: Relation,
    pub(super) kind: Kind,
    /// Whether its pages can be addressed by ctid.
    pub(super) heap: bool,
    /// Whether `lock table` takes it: foreign tables and materialised views are locked as they are read.
    pub(super) lockable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    Partitioned,
    /// A leaf or branch of a partitioned table, read through its root.
    Partition,
    /// A view, materialised view or foreign table: read where it is named.
    OnRequest,
}

/// Lists the relations that a source's patterns select, in the order of their names.
pub(super) async fn list(client: &Client, patterns: &[TablePattern]) -> Result<Vec<Listed>> {
    let rows = client
        .query(
            "select c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition,
                    c.relkind in ('r', 'm') and coalesce(am.amname = 'heap', false)
             from pg_catalog.pg_class c
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             left join pg_catalog.pg_am am on am.oid = c.relam
             where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
               and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
             order by n.nspname, c.relname",
            &[],
        )
        .await
        .map_err(lake_postgres::Error::query("list the tables"))?;
    let all: Vec<Listed> = rows
        .iter()
        .map(|row| Listed {
            relation: Relation {
                schema: row.get(1),
                name: row.get(2),
                oid: row.get(0),
            },
            kind: match (row.get::<_, &str>(3), row.get(4)) {
                (_, true) => Kind::Partition,
                ("r", _) => Kind::Table,
                ("p", _) => Kind::Partitioned,
                _ => Kind::OnRequest,
            },
            heap: row.get(5),
            lockable: matches!(row.get(3), "r" | "p" | "v"),
        })
        .collect();
    select(all, patterns)
}

fn select(all: Vec<Listed>, patterns: &[TablePattern]) -> Result<Vec<Listed>> {
    let included: Vec<&TablePattern> = patterns.iter().filter(|p| !p.excludes()).collect();
    let named = |listed: &Listed| included.iter().any(|p| p.is_exact() && p.matches(&listed.relation));
    for pattern in &included {
        if !all.iter().any(|listed| pattern.matches(&listed.relation)) {
            let names: Vec<String> = all.iter().map(|listed| listed.relation.to_string()).collect();
            return Err(Error::NoMatch {
                what: format!("the pattern {pattern}"),
                nearest: nearest(&pattern.to_string(), names.iter().map(String::as_str)),
            });
        }
    }
    let is_selected = |listed: &Listed| {
        let wanted = included.is_empty() || included.iter().any(|p| p.matches(&listed.relation));
        let ordinary = matches!(listed.kind, Kind::Table | Kind::Partitioned);
        let left_out = patterns.iter().any(|p| p.excludes() && p.matches(&listed.relation));
        wanted && !left_out && (ordinary || named(listed))
    };
    Ok(all.into_iter().filter(is_selected).collect())
}
