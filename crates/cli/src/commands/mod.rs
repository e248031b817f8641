//! The commands, one file each: its arguments, its function, the report it prints.

pub mod adopt;
pub mod backfill;
pub mod check;
pub mod completions;
pub mod demo;
pub mod export;
pub mod extract;
pub mod generate;
pub mod load;
pub mod query;
pub mod run;
pub mod status;
pub mod transform;
pub mod verify;

use std::io::Write as _;

use serde::Serialize;

/// Prints a report to stdout as JSON.
fn print_json(report: &impl Serialize) -> anyhow::Result<()> {
    // Not into stdout directly: serde_json's error hides that the reader has gone.
    let text = serde_json::to_string_pretty(report)?;
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}
