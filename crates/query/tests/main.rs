//! Queries, transforms and exports over real lakes in temporary folders.
#![allow(clippy::unwrap_used)]

mod damage;
mod days;
mod exports;
mod formats;
mod names;
mod postgres;
mod pruning;
mod result_columns;
mod statements;
mod support;
mod transforms;
