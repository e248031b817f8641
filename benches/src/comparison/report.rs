//! All that one run measured, as JSON has it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::machine::Machine;
use super::work::WorkResult;

#[derive(Serialize)]
pub struct Report {
    /// The day of the run.
    pub date: String,
    /// TPC-H's scale factor.
    pub scale: f64,
    pub rounds: usize,
    pub machine: Machine,
    /// The server's version, and what its settings differ in from the installation's.
    pub postgres: String,
    pub settings: BTreeMap<&'static str, &'static str>,
    /// Of `lake` and of its peers.
    pub versions: BTreeMap<String, String>,
    /// The largest memory of the harness itself: no lower peak of another process can be told.
    pub own_peak_rss_bytes: u64,
    pub works: Vec<WorkResult>,
}
