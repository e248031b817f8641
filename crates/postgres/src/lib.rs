//! PostgreSQL's side of the pipeline: connections, types, and COPY's binary format to and from Arrow.
//!
//! The extractor decodes what the loader encodes, so both halves of the format live here, beside the
//! one table of types that they share.

mod authentication;
mod catalog;
mod certificate;
mod char_text;
mod connect;
pub mod copy;
mod copy_in;
mod copy_out;
mod dial;
mod error;
mod feed;
mod ident;
mod libpq;
mod lock_wait;
mod numeric;
mod parameter;
mod recovery;
mod role_path;
mod say;
mod stall;
mod tap;
mod timeouts;
mod tls;
mod transaction;
mod types;

pub use catalog::{CatalogColumn, columns};
pub use connect::{Connection, Endpoint, same_database};
pub use copy_in::CopyIn;
pub use copy_out::CopyOut;
pub use error::{Error, Result};
pub use ident::{NamePart, parse_name, quote_identifier, quote_literal, quote_qualified};
pub use libpq::{expand_home, has_password};
pub use lock_wait::LockWait;
pub use parameter::Parameter;
pub use role_path::{path_hint, under_role_path};
pub use timeouts::{TimeLimit, Timeouts};
pub use tokio_postgres;
pub use transaction::{Idle, Mode};
pub use types::{
    ColumnCodec, METADATA_BASE_TYPE, METADATA_NAME, METADATA_NO_COLUMNS, METADATA_NOT_NULL, METADATA_PRIMARY_KEY,
    METADATA_TYPE, PgType, TypeCatalog, TypeKind, postgres_type_for,
};
