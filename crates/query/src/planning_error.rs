//! DataFusion's errors in our own: each said once, with its place in the SQL.

use arrow::error::ArrowError;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use parquet::errors::ParquetError;

use crate::{Error, Position};

/// Names offered where one is not known.
const NAMES_OFFERED_MAX: usize = 3;

/// Unwraps the layers that DataFusion puts around an error, down to ours if it was one of ours.
pub(crate) fn from_datafusion(error: DataFusionError) -> Error {
    unwrap(error, None)
}

fn unwrap(error: DataFusionError, position: Option<Position>) -> Error {
    match error {
        DataFusionError::Context(_, inner) => unwrap(*inner, position),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let place = diagnostic.span.map(|span| Position {
                line: span.start.line,
                column: span.start.column,
            });
            unwrap(*inner, place.or(position))
        }
        DataFusionError::Collection(mut errors) if !errors.is_empty() => unwrap(errors.swap_remove(0), position),
        DataFusionError::Shared(inner) => match std::sync::Arc::try_unwrap(inner) {
            Ok(inner) => unwrap(inner, position),
            Err(shared) => query_error(shared.find_root(), position),
        },
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(inner) => unwrap(*inner, position),
                Err(other) => query_error(&DataFusionError::External(other), position),
            },
        },
        DataFusionError::ParquetError(parquet) => match *parquet {
            ParquetError::External(inner) => match inner.downcast::<lake_storage::Error>() {
                Ok(ours) => Error::Lake(*ours),
                Err(other) => query_error(&DataFusionError::External(other), position),
            },
            other => query_error(&other.into(), position),
        },
        DataFusionError::SQL(parser, _) => syntax_error(&parser, position),
        DataFusionError::SchemaError(schema, backtrace) => match *schema {
            SchemaError::FieldNotFound { field, valid_fields } => unknown_column(&field, &valid_fields, position),
            other => query_error(&DataFusionError::SchemaError(Box::new(other), backtrace), position),
        },
        other => query_error(&other, position),
    }
}

/// The error of the lake that is somewhere in DataFusion's.
pub(crate) fn of_lake(error: &DataFusionError) -> Option<&lake_storage::Error> {
    match error.find_root() {
        DataFusionError::ParquetError(parquet) => match parquet.as_ref() {
            ParquetError::External(inner) => inner.downcast_ref(),
            _ => None,
        },
        DataFusionError::External(inner) => match inner.downcast_ref() {
            Some(Error::Lake(ours)) => Some(ours),
            _ => None,
        },
        _ => None,
    }
}

fn query_error(error: &DataFusionError, position: Option<Position>) -> Error {
    // One that several parts of a plan share can't be moved out of it.
    let message = match of_lake(error) {
        Some(ours) => with_causes(ours).into(),
        None => error.message(),
    };
    let message = message
        .split(DataFusionError::BACK_TRACE_SEP)
        .next()
        .unwrap_or_default();
    let message = match error {
        DataFusionError::ArrowError(arrow, _) if matches!(**arrow, ArrowError::DivideByZero) => "division by zero",
        DataFusionError::NotImplemented(text) if text.starts_with("Decimal ") => {
            "a number has more places than can be computed exactly: write it as text and cast it, e.g. '1e300'::float8"
        }
        _ => message,
    };
    match error {
        DataFusionError::ResourcesExhausted(_) => Error::Memory {
            message: message.to_owned(),
        },
        _ => Error::Query {
            message: message.to_owned(),
            position,
        },
    }
}

fn with_causes(error: &lake_storage::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// sqlparser puts the place at the end of its message: `…, found: FORM at Line: 1, Column: 10`.
fn syntax_error(error: &ParserError, position: Option<Position>) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply",
    };
    let mut message = text;
    let mut place = None;
    if let Some((before, after)) = text.rsplit_once(" at Line: ")
        && let Some((line, column)) = after.split_once(", Column: ")
        && let (Ok(line), Ok(column)) = (line.parse(), column.parse())
    {
        message = before;
        place = Some(Position { line, column });
    }
    Error::Syntax {
        position: place.or(position),
        message: message.to_owned(),
    }
}

fn unknown_column(field: &Column, valid: &[Column], position: Option<Position>) -> Error {
    let position = position.or_else(|| {
        field.spans.first().map(|span| Position {
            line: span.start.line,
            column: span.start.column,
        })
    });
    let names: Vec<String> = valid.iter().map(|column| column.quoted_flat_name()).collect();
    let plain: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
    let near = nearest(&field.name, plain.into_iter().zip(names));
    let hint = if near.is_empty() {
        "the tables of this query have no column of such a name".to_owned()
    } else {
        format!("there is {}", near.join(", "))
    };
    Error::UnknownColumn {
        column: field.quoted_flat_name(),
        position,
        hint,
    }
}

/// The values whose keys are most like `name`, best first; all of them where there are few.
pub(crate) fn nearest<K: AsRef<str>>(name: &str, keyed: impl IntoIterator<Item = (K, String)>) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut ranked: Vec<(usize, String)> = keyed
        .into_iter()
        .map(|(key, value)| (levenshtein(&wanted, &key.as_ref().to_lowercase()), value))
        .collect();
    ranked.sort();
    if ranked.len() > NAMES_OFFERED_MAX {
        let limit = (wanted.len() / 2).max(2);
        ranked.retain(|(distance, _)| *distance <= limit);
        ranked.truncate(NAMES_OFFERED_MAX);
    }
    ranked.into_iter().map(|(_, value)| value).collect()
}
