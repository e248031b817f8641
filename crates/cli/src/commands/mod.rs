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

use std::fmt::Display;
use std::io::Write as _;

use serde::Serialize;

use crate::failure::StdoutError;

/// Prints to stdout.
fn print(text: impl Display) -> Result<(), StdoutError> {
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(StdoutError)
}

/// Prints a line to stdout.
fn print_line(text: impl Display) -> Result<(), StdoutError> {
    print(format_args!("{text}\n"))
}

/// Prints a report to stdout as JSON.
fn print_json(report: &impl Serialize) -> anyhow::Result<()> {
    // Not into stdout directly: serde_json's error hides that the reader has gone.
    Ok(print_line(serde_json::to_string_pretty(report)?)?)
}
