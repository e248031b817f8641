//! The sandbox against real servers: the installed PostgreSQL and the embedded one.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod client;
mod embedded;
mod northwind;
mod server;
