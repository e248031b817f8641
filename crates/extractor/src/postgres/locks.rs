//! Locks that keep the tables as they are while they are read.
//!
//! The coordinator has them all before the first row is read, those of indexes too, which are taken as
//! a query is planned. So it never waits later. A worker may have to: a statement that waits for the
//! coordinator has to be waited for in turn. It gives way, and the coordinator reads in its place.

use std::collections::HashSet;

use futures::future::try_join_all;
use lake_postgres::{Connection, Error as PgError, quote_qualified, under_role_path};

use super::list::{Kind, Listed};
use super::relation::Table;
use crate::{Error, Result};

/// Tables that are planned in one statement.
const PLANNED_AT_ONCE: usize = 100;

/// Locks what can be before there is a snapshot, except for tables that the role may read by column
/// alone.
pub(super) async fn lock(connection: &Connection, tables: &[(String, Listed)], by_column: &HashSet<u32>) -> Result<()> {
    let relations: Vec<String> = tables
        .iter()
        .filter(|(_, listed)| listed.kind.is_lockable() && !by_column.contains(&listed.relation.oid))
        .map(|(_, listed)| quote_qualified(&listed.relation.schema, &listed.relation.name))
        .collect();
    if relations.is_empty() {
        return Ok(());
    }
    let statement = format!("lock table {} in access share mode", relations.join(", "));
    Ok(connection
        .execute_watched(&statement, "lock the tables for reading")
        .await?)
}

/// Locks what is locked as a query is planned: indexes, and the relations that [`lock`] can't.
pub(super) async fn plan(connection: &Connection, tables: &[Table]) -> Result<()> {
    const ACTION: &str = "plan how to read the tables";
    let (ordinary, others): (Vec<&Table>, Vec<&Table>) = tables
        .iter()
        .partition(|table| matches!(table.kind, Kind::Table | Kind::Partitioned | Kind::Partition));
    let statements: Vec<String> = ordinary
        .chunks(PLANNED_AT_ONCE)
        .map(|tables| {
            let selects: Vec<String> = tables
                .iter()
                .map(|table| format!("select 1 from {}", table.from))
                .collect();
            format!("explain {}", selects.join(" union all "))
        })
        .collect();
    try_join_all(
        statements
            .iter()
            .map(|statement| connection.execute_watched(statement, ACTION)),
    )
    .await?;
    for table in others {
        let mut statement = format!("explain select 1 from {}", table.from);
        if table.as_role {
            statement = under_role_path(&statement);
        }
        let planned = connection.execute_watched(&statement, "plan how to read it").await;
        planned.map_err(|error| Error::in_table(table.relation.to_string())(error.into()))?;
    }
    Ok(())
}

/// Whether the locked relations hold the rows that the snapshot shows: one that was locked after it was
/// taken may have been truncated or rewritten in between.
pub(super) async fn are_of_the_snapshot(connection: &Connection) -> Result<bool> {
    let rows = connection
        .query(
            "select from pg_catalog.pg_locks l
             join pg_catalog.pg_class c on c.oid = l.relation and c.relkind in ('r', 'm')
             where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and c.relfilenode <> 0
               and l.database = (select d.oid from pg_catalog.pg_database d
                                 where d.datname = pg_catalog.current_database())
               and pg_catalog.pg_relation_filenode(c.oid) is distinct from c.relfilenode
             limit 1",
            &[],
        )
        .await
        .map_err(PgError::query("compare the tables with the snapshot"))?;
    Ok(rows.is_empty())
}
