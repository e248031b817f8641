//! Databases and data to try `lake` on: an embedded PostgreSQL, a throwaway real one, and
//! sample data of any size, for `lake demo`, `lake generate` and the tests of the other crates.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod embedded;
mod error;
mod northwind;
mod script;
#[cfg(unix)]
mod server;

pub use embedded::EmbeddedPostgres;
pub use error::Error;
pub use northwind::Northwind;
#[cfg(unix)]
pub use server::{Pgbouncer, PostgresServer, PostgresServerBuilder};
