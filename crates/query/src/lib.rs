//! DataFusion over the lake: SQL, saved queries and the formats that rows are written in.
//!
//! ```text
//! SQL ─► statement ─► catalog ─► table ─────────► stream ─► format      query
//!        (reads only)  (reading:  (files that               (csv, json …)
//!                       manifests)  manifests name)    └──► transform   results in the lake
//!                                          results ─► format ─► export  files for others
//! ```
//! In SQL a table is `source.table`, or `table` where one source has it; a result is
//! `results.query`; `lake.runs` lists what was done. Only manifests say what a table holds: a
//! query never sees half a day.

mod catalog;
mod day_schema;
mod engine;
mod error;
mod export;
mod file_reader;
mod format;
mod in_order;
mod lineage;
mod nesting;
mod output_file;
mod plain_strings;
mod planning_error;
mod postgres;
mod reading;
mod result_schema;
mod result_type;
mod runs_table;
mod saved_query;
mod statement;
mod stream;
mod table;
mod transform;
mod unchecked_scan;

pub use engine::{Engine, Scope, Settings, TableInfo};
pub use error::{Error, Result};
pub use export::{Export, ExportReport, ExportedFile, export};
pub use format::{Format, FormatWriter};
pub use nesting::STACK_BYTES;
pub use output_file::OutputFile;
pub use saved_query::SavedQuery;
pub use statement::Position;
pub use stream::QueryStream;
pub use transform::{QueryReport, Transform, TransformEvent, TransformReport, transform};
