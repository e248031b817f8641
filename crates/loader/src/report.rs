//! What came of a load.

use std::collections::BTreeMap;

use lake_storage::{RunDate, RunId};
use serde::Serialize;

/// What came of a load.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// The day.
    pub date: RunDate,
    /// The run.
    pub run: RunId,
    /// Each table, by source and name.
    pub tables: Vec<LoadedTable>,
    /// Rows of all of them.
    pub rows: u64,
    /// Bytes of their Parquet files.
    pub bytes: u64,
    /// From the first look at the lake to the commit and `analyze`.
    pub elapsed_ms: u64,
    /// Connections that were used.
    pub connections: u64,
    /// The runs whose manifests were read, by source; the queries' results are the source `results`.
    pub inputs: BTreeMap<String, RunId>,
}

/// A table's share of a load.
#[derive(Clone, Debug, Serialize)]
pub struct LoadedTable {
    /// Its source; `results` for a query's result.
    pub source: String,
    /// Its name in the lake.
    pub name: String,
    /// Its name in the target, `schema.table` as SQL writes it.
    pub target: String,
    /// Whether the load created it.
    pub created: bool,
    /// Whether it was there, and no load had filled it before.
    pub taken_over: bool,
    /// Rows.
    pub rows: u64,
    /// Bytes of its Parquet files.
    pub bytes: u64,
    /// Time for its COPY and for its change in the transaction.
    pub elapsed_ms: u64,
}
