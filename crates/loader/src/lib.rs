//! A day of the lake into a Postgres, in one transaction.
//!
//! ```text
//!  lake ── Parquet ─► binary COPY, `jobs` at a time ─► staging tables (unlogged)
//!                                                          │ one transaction
//!                       delete from t; insert into t select … from staging; drop staging; commit
//! ```
//!
//! A reader of the target sees the old day or the new day of every table, since the rows change in
//! one transaction and by `delete`: a `truncate` would show an empty table to snapshots taken before
//! it, and a new table in the old one's place would lose its grants, comments, indexes, policies,
//! views and OID. Readers and the load do not wait for each other: one holds `ACCESS SHARE`, the
//! other `ROW EXCLUSIVE`.
//!
//! The steps of [`load()`], each of which leaves the target as it was if it fails:
//!
//! 0. a target that is one of the sources is refused;
//! 1. the transaction takes an advisory lock for each target schema, so that two loads never mix;
//! 2. everything is planned and compared with what the target has: a table whose columns do not hold
//!    the lake's is altered, in the transaction, so that they do (`evolve`);
//! 3. staging tables that a killed load left are dropped: under the lock they are nobody's;
//! 4. staging tables are made and filled, and the server's row counts compared with the manifest; the
//!    transactions of other connections commit them, and with one connection they are part of ours;
//! 5. the transaction does the above, and notes in `_lake_loads` which day each table holds, and what its columns
//!    are; with its commit the locks go;
//! 6. `analyze`.
//!
//! Nothing of a load but the staging tables outlives a transaction, so that it goes through a pooler.
//!
//! Staging pays for the second write of each row with the shortest possible transaction on the
//! target, with COPY on several connections, and with types that have no binary form restored by
//! the server's own input functions. It is unlogged: its write costs no WAL.
//!
//! The role needs `create` on the target schema, and `delete` and `insert` on tables that it does
//! not own. A table that grows and shrinks within autovacuum's reach keeps about twice its size.

mod acting;
mod compare;
mod copy;
mod declared_type;
mod error;
mod evolve;
mod existing;
mod foreign_keys;
mod in_the_way;
mod key_index;
mod labels;
mod load;
mod loads;
mod lock;
mod name_back;
mod order;
mod origin;
mod outcome;
mod plan;
mod refusal;
mod report;
mod request;
mod rights;
mod selection;
mod sequences;
mod staging;
mod statements;
mod strangers;
mod swap;
mod text_cast;
mod verify;

pub use compare::Mismatch;
pub use error::{ColumnDifference, Error, NotATable, Result, TableDifference};
pub use in_the_way::InTheWay;
pub use load::load;
pub use lock::Holder;
pub use origin::{Origin, refuse_source};
pub use plan::TargetTable;
pub use report::{LoadReport, LoadedTable};
pub use request::{LoadRequest, Progress, SchemaRule, Target, Triggers};
pub use strangers::{Stranger, refuse_strangers};
pub use verify::{VerifiedTable, VerifyReport, verify};
