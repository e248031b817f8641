//! Runs the binary against a real PostgreSQL, each test in a folder and databases of its own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't go on fails, and one with a seed says which"
)]

mod arrays;
mod at_once;
mod bad_rows;
mod commands;
mod csv_files;
mod damage;
mod deep_sql;
mod exit_statuses;
#[cfg(target_os = "linux")] // elsewhere a library is put before another in another way
mod fault_sweep;
mod kill;
mod kill_retyping;
#[cfg(target_os = "linux")] // elsewhere the system does not tell a process's peak
mod memory;
mod names_and_shapes;
mod outcome;
mod poolers;
mod round_trip;
mod schema_change;
mod streams;
mod waits;
mod workshop;
