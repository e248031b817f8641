//! A table's rows in the lake and in the target, compared.
//!
//! Both sides are COPY streams of the same columns in the same codecs, and a digest that does not
//! depend on the order of rows tells whether they hold the same (see `lake_postgres::copy::Digest`).

use std::fmt;

use lake_postgres::copy::{CopyDigest, Digest};
use lake_postgres::{
    CatalogColumn, ColumnCodec, Connection, Error as PgError, TypeCatalog, postgres_type_for, quote_identifier,
};
use lake_storage::{Lake, SqlName};
use serde::Serialize;

use crate::copy::CopyStream;
use crate::declared_type::is_text;
use crate::existing::Existing;
use crate::plan::{ColumnPlan, TablePlan};
use crate::staging::{native_codec, same_values};
use crate::{Error, Result, TargetTable};

/// How a table of the target differs from the lake's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Mismatch {
    /// The target has no such table.
    MissingTable,
    /// Its columns are others.
    Columns {
        /// Each of them, ready to print.
        differences: Vec<String>,
    },
    /// It has more rows or fewer.
    Rows {
        /// Rows of the lake's day.
        lake: u64,
        /// Rows of the target.
        target: u64,
    },
    /// It has as many rows, of other content.
    Content {
        /// The columns whose values differ; none if the same values stand in other rows.
        columns: Vec<String>,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTable => write!(f, "the target has no such table"),
            Self::Columns { differences } => write!(f, "other columns: {}", differences.join("; ")),
            Self::Rows { lake, target } => write!(f, "{lake} rows in the lake, {target} in the target"),
            Self::Content { columns } if columns.is_empty() => write!(f, "the same values stand in other rows"),
            Self::Content { columns } => {
                let names: Vec<String> = columns.iter().map(|name| SqlName(name).to_string()).collect();
                write!(f, "other values in {}", names.join(", "))
            }
        }
    }
}

/// Compares some columns of a table, whose types are settled; inside a transaction.
pub(crate) async fn compare(
    lake: &Lake,
    connection: &Connection,
    catalog: &TypeCatalog,
    (plan, columns): (&TablePlan, Vec<&ColumnPlan>),
    existing: &Existing,
) -> Result<Option<Mismatch>> {
    let mut selected = Vec::with_capacity(columns.len());
    let mut codecs = Vec::with_capacity(columns.len());
    for column in &columns {
        let Some(has) = existing.column(&column.name) else {
            continue; // the differences of the columns name it
        };
        let (expression, codec) = comparable(catalog, column, has);
        selected.push(expression);
        codecs.push(codec);
    }
    let sql = format!(
        "copy (select {} from {}) to stdout (format binary)",
        selected.join(", "),
        existing.itself(&plan.target)
    );
    let files = lake.files(&plan.table.source, &plan.table.name, &plan.table.entry)?;
    let stream = CopyStream::open(plan.label(), columns.iter().copied().zip(codecs), files, lake.memory());
    let of_lake = lake_digest(stream, plan, columns.len());
    let of_target = target_digest(connection, &sql, &plan.target, columns.len());
    let control = |sql: &'static str| async move {
        let done = connection.batch_execute(sql).await;
        done.map_err(PgError::query("mark a place in the transaction"))
    };
    control("savepoint compared").await?;
    match futures::future::try_join(of_lake, of_target).await {
        Ok((of_lake, of_target)) => Ok(mismatch(&columns, &of_lake, &of_target)),
        // A value of the target has no place in the lake's type.
        Err(Error::Postgres(PgError::Query { source, .. }))
            if source
                .code()
                .is_some_and(|code| code.code().starts_with(DATA_EXCEPTION)) =>
        {
            control("rollback to savepoint compared").await?;
            let retyped = columns.iter().filter(|c| c.target_type != c.type_name);
            Ok(Some(Mismatch::Content {
                columns: retyped.map(|column| column.name.clone()).collect(),
            }))
        }
        Err(error) => Err(error),
    }
}

/// The class of the server's errors for values that a type can't hold.
const DATA_EXCEPTION: &str = "22";

/// What to select of the target so that it compares with the lake's column, and how it travels.
fn comparable(catalog: &TypeCatalog, column: &ColumnPlan, has: &CatalogColumn) -> (String, ColumnCodec) {
    let quoted = quote_identifier(&column.name);
    let has_own_type = has.type_name == column.type_name;
    let native = native_codec(catalog, &column.data_type, has);
    let trimmed = catalog.without_padding(&quoted, has.type_oid, has.type_modifier);
    if let Some(trimmed) = trimmed.filter(|(_, codec)| same_values(&codec.data_type(), &column.data_type)) {
        return trimmed;
    }
    match (native, postgres_type_for(&column.data_type)) {
        (Some(codec), _) if has_own_type => (quoted, codec),
        // In the lake's type: 1.50 of the lake may be 1.5000 in a target of more digits.
        (_, Some((type_name, codec))) if !has_own_type && codec != ColumnCodec::Text => {
            (format!("{quoted}::{type_name}"), codec)
        }
        (Some(codec), _) => (quoted, codec),
        (None, _) => {
            let own = if has_own_type || is_text(&has.type_name) {
                quoted
            } else {
                format!("({quoted}::{})", column.type_name)
            };
            (catalog.as_text(&own, has.type_oid), ColumnCodec::Text)
        }
    }
}

async fn lake_digest(stream: CopyStream, plan: &TablePlan, columns: usize) -> Result<Digest> {
    let digest = tokio::task::spawn_blocking(move || -> Result<Digest> {
        let mut digest = CopyDigest::new(columns);
        for chunk in stream {
            digest.feed(&chunk?.bytes)?;
        }
        Ok(digest.end()?)
    });
    digest.await.map_err(|source| Error::Reader {
        table: plan.label(),
        source,
    })?
}

async fn target_digest(connection: &Connection, sql: &str, target: &TargetTable, columns: usize) -> Result<Digest> {
    let action = format!("read {target} of the target");
    let mut stream = connection.copy_out(sql, &action).await?;
    let mut digest = CopyDigest::new(columns);
    while let Some(rows) = stream.next().await? {
        digest.feed(rows)?;
    }
    Ok(digest.end()?)
}

fn mismatch(columns: &[&ColumnPlan], lake: &Digest, target: &Digest) -> Option<Mismatch> {
    if lake == target {
        return None;
    }
    if lake.rows != target.rows {
        return Some(Mismatch::Rows {
            lake: lake.rows,
            target: target.rows,
        });
    }
    let sums = lake.column_sums.iter().zip(&target.column_sums);
    Some(Mismatch::Content {
        columns: columns
            .iter()
            .zip(sums)
            .filter(|(_, (lake, target))| lake != target)
            .map(|(column, _)| column.name.clone())
            .collect(),
    })
}
