//! Where the lake lives: its layout on disk, Parquet files, Delta commits, manifests and run records.
//!
//! ```text
//! <lake>/
//!   <source>/<table>/                        a Delta table, partitioned by extract_date
//!     _delta_log/
//!     extract_date=2026-01-31/*.parquet
//!   results/<query>/…                        the materialised queries, in the same form
//!   _manifests/<source>/2026-01-31.json      the day is complete when, and only when, this is there
//!   _runs/2026-01-31/<run>.json              what each run did, the failed ones too
//!   _runs/2026-01-31/<run>.<source>.<table>.bad.csv    the rows that it left out
//!   _staging/<source>/2026-01-31/…           files of a run under way
//!   _locks/<source>/2026-01-31.lock          held while a run writes that day
//! ```
//!
//! A day is written in this order, so that a run killed anywhere leaves the earlier day readable:
//! Parquet files into `_staging`, moved beside the old ones; one Delta commit a table that adds the
//! new and removes the old; everything synced; the manifest; the old files deleted. Readers of this
//! project go by the manifest alone, readers of Delta by the log.
//!
//! What is read is compared with what was written, see `stored_file` and `manifest_file`, and no link is followed, see
//! `disk`.

mod audit;
mod bad_rows;
mod commit;
mod date;
mod delta_log;
mod delta_store;
mod disk;
mod encoding;
mod error;
mod evolution;
mod hash;
mod lake;
mod leftovers;
mod lock;
mod manifest;
mod manifest_file;
mod memory;
mod name;
mod other_tools;
mod padding;
mod panics;
mod parquet_file;
mod prerequisite;
mod publish;
mod retype;
mod row_groups;
mod runs;
mod schema;
mod sealed;
mod server_text;
mod sql_name;
mod stored_file;

pub use audit::{Audit, AuditReport, Finding};
pub use bad_rows::BadRowsFile;
pub use date::RunDate;
pub use encoding::Compatibility;
pub use error::{Error, RefusedColumn, Result};
pub use evolution::{ColumnChange, SchemaChange, common_type};
pub use lake::Lake;
pub use lock::{Holder, ReadGuard};
pub use manifest::{DataFile, Manifest, Relation, Snapshot, TableEntry};
pub use manifest_file::ManifestFault;
pub use memory::{Alone, Memory, MemorySize};
pub use name::{decode_segment, encode_segment};
pub use other_tools::{Adopt, Adopted};
pub use padding::{length as char_length, trimmed};
pub use panics::catch;
pub use parquet_file::{BatchReader, FileWriter, WrittenFile, parquet_properties};
pub use prerequisite::{MissingStep, shell_word};
pub use publish::{Coverage, DayWriter, TableWrite};
pub use runs::{RunId, RunLog, RunRecord, StepRecord, StepStatus};
pub use schema::{EXTRACT_DATE, check_columns, delta_schema_string, parse_delta_schema};
pub use sql_name::{SqlName, is_control, yaml};
pub use stored_file::{CheckedFile, Damage, Footer, Origin, StoredFile};

/// The source name under which materialised queries live.
pub const RESULTS: &str = "results";
