//! The transaction that holds the locks and the snapshot.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use lake_postgres::{Connection, Error as PgError, Mode};
use lake_storage::Snapshot;

use super::list::{self, Listed};
use super::names::{self, Given};
use super::relation::{self, Table};
use super::{PostgresSource, grants, locks};
use crate::{Error, Result};

const ATTEMPTS: u32 = 5;

/// The first connection: its transaction's snapshot is the one that everything is read under.
pub(super) struct Coordinator {
    pub(super) connection: Connection,
    /// For whoever sees the connections on the server.
    pub(super) command: String,
    pub(super) tables: Vec<Table>,
    /// Whether a scan of a ctid range reads that range alone (since PostgreSQL 14).
    pub(super) ctid_ranges: bool,
    snapshot: Snapshot,
}

/// What was read, and under which snapshot.
pub(super) struct Identity {
    pub(super) snapshot: Snapshot,
    pub(super) tables: Vec<Table>,
}

impl Coordinator {
    pub(super) async fn open(
        source: &PostgresSource,
        mut given: Given,
        command: &str,
        tables: &[String],
    ) -> Result<Self> {
        let mut idle = Connection::open(&source.url, command, source.timeouts).await?;
        for _ in 0..ATTEMPTS {
            let listing = idle.begin(Mode::Snapshot).await?;
            let expected = list(&listing, source, &mut given, tables).await?;
            let by_column = grants::check(&listing, &expected, &source.settings).await?;
            let connection = listing.commit().await?.begin(Mode::Snapshot).await?;
            match Self::settle(&connection, source, &mut given, tables, &expected, &by_column).await {
                Ok(Some((snapshot, tables))) => {
                    return Ok(Self {
                        ctid_ranges: connection.server_version() >= 14,
                        connection,
                        command: command.into(),
                        tables,
                        snapshot,
                    });
                }
                Ok(None) => {}
                // Another session waited for a lock of ours, and we for one of its own.
                Err(Error::Postgres(error)) if error.is_deadlock() => {
                    tracing::debug!(%error, "the tables are locked anew");
                }
                Err(error) => return Err(error),
            }
            idle = connection.rollback().await?;
        }
        Err(Error::Unsettled { attempts: ATTEMPTS })
    }

    /// Locks the tables and fixes the snapshot; `None` if the tables changed meanwhile.
    async fn settle(
        connection: &Connection,
        source: &PostgresSource,
        given: &mut Given,
        tables: &[String],
        expected: &[(String, Listed)],
        by_column: &HashSet<u32>,
    ) -> Result<Option<(Snapshot, Vec<Table>)>> {
        locks::lock(connection, expected, by_column).await?;
        // The transaction's first query: the snapshot is fixed here, under the locks.
        let locked = list(connection, source, given, tables).await?;
        if expected != locked {
            return Ok(None);
        }
        let snapshot = identify(connection).await?;
        let all_locked = locked
            .iter()
            .all(|(_, listed)| listed.kind.is_lockable() && !by_column.contains(&listed.relation.oid));
        let tables = relation::resolve(connection, locked, by_column, &source.settings).await?;
        locks::plan(connection, &tables).await?;
        let settled = all_locked || locks::are_of_the_snapshot(connection).await?;
        Ok(settled.then_some((snapshot, tables)))
    }

    /// Names the snapshot so that other connections can adopt it; `None` where the server can't.
    pub(super) async fn export(&self) -> Option<String> {
        match self
            .connection
            .query_one("select pg_catalog.pg_export_snapshot()", &[])
            .await
        {
            Ok(row) => Some(row.get(0)),
            Err(error) => {
                tracing::warn!(%error, "the snapshot can't be exported: one connection reads everything");
                None
            }
        }
    }

    /// Adopts an exported snapshot on a connection of its own.
    pub(super) async fn adopt(source: &PostgresSource, command: &str, snapshot: &str) -> Result<Connection> {
        let idle = Connection::open(&source.url, command, source.timeouts).await?;
        Ok(idle.begin_soon(Mode::Adopted(snapshot)).await?)
    }

    /// Ends the transaction, and with it the locks.
    pub(super) async fn end(self) -> Result<Identity> {
        self.connection.commit().await?;
        Ok(Identity {
            snapshot: self.snapshot,
            tables: self.tables,
        })
    }
}

async fn list(
    connection: &Connection,
    source: &PostgresSource,
    given: &mut Given,
    tables: &[String],
) -> Result<Vec<(String, Listed)>> {
    let listed = list::list(connection, &source.tables).await?;
    if listed.is_empty() {
        return Err(Error::NoMatch {
            what: format!("`tables` of the source {}", source.name),
            nearest: String::new(),
        });
    }
    given.look_for(&listed)?;
    let names = names::name_all(&listed, source, given);
    names::requested(listed, names, given, tables)
}

async fn identify(connection: &Connection) -> Result<Snapshot> {
    let row = connection
        .query_one(
            "select pg_catalog.txid_current_snapshot()::text, (extract(epoch from pg_catalog.now()) * 1000000)::bigint,
                    pg_catalog.current_setting('server_version'), pg_catalog.current_database()::text",
            &[],
        )
        .await
        .map_err(PgError::query("identify the snapshot"))?;
    Ok(Snapshot {
        id: row.get(0),
        taken_at: DateTime::<Utc>::from_timestamp_micros(row.get(1)).unwrap_or_default(),
        server_version: row.get(2),
        database: row.get(3),
    })
}
