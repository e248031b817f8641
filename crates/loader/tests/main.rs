//! Loads against a real PostgreSQL.

#![allow(clippy::unwrap_used)]

mod acting;
mod connections;
mod evolution;
mod failures;
mod first_load;
mod fixture;
mod foreign_keys;
mod key_index;
mod name_back;
mod one_load;
mod origin;
mod partitions;
mod readers;
mod refusals;
mod rights;
mod search_path;
mod selection;
mod sequences;
mod strangers;
mod survival;
mod text_types;
mod verify;
mod waits;
