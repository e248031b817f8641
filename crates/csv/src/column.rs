//! Cells into one Arrow array, exactly.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};

use crate::calendar::{date, timestamp, timestamptz};
use crate::number::{bigint, decimal, double};
use crate::settings::ColumnType;

/// An array that grows by one cell after the other.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Bigint(Int64Builder),
    Decimal {
        units: Decimal128Builder,
        precision: u8,
        scale: u8,
    },
    Double(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Timestamptz(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    pub(crate) fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Bigint => Self::Bigint(Int64Builder::new()),
            ColumnType::Decimal { precision, scale } => Self::Decimal {
                units: Decimal128Builder::new().with_data_type(column_type.data_type()),
                precision,
                scale,
            },
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            ColumnType::Timestamptz => {
                Self::Timestamptz(TimestampMicrosecondBuilder::new().with_data_type(column_type.data_type()))
            }
        }
    }

    /// Appends a cell, or NULL; returns the bytes that it takes, or `None` if the type can't hold it.
    pub(crate) fn append(&mut self, cell: Option<&str>) -> Option<usize> {
        /// The offset of a text.
        const OFFSET_BYTES: usize = 4;
        match self {
            Self::Text(texts) => {
                texts.append_option(cell);
                return Some(OFFSET_BYTES + cell.map_or(0, str::len));
            }
            Self::Boolean(booleans) => {
                booleans.append_option(exactly(cell, boolean)?);
                return Some(1);
            }
            Self::Decimal {
                units,
                precision,
                scale,
            } => {
                units.append_option(exactly(cell, |cell| decimal(cell, *precision, *scale))?);
                return Some(16);
            }
            Self::Date(days) => {
                days.append_option(exactly(cell, date)?);
                return Some(4);
            }
            Self::Bigint(integers) => integers.append_option(exactly(cell, bigint)?),
            Self::Double(doubles) => doubles.append_option(exactly(cell, double)?),
            Self::Timestamp(micros) => micros.append_option(exactly(cell, timestamp)?),
            Self::Timestamptz(micros) => micros.append_option(exactly(cell, timestamptz)?),
        }
        Some(8)
    }

    /// The array of the cells since the last time; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(texts) => Arc::new(texts.finish()),
            Self::Boolean(booleans) => Arc::new(booleans.finish()),
            Self::Bigint(integers) => Arc::new(integers.finish()),
            Self::Decimal { units, .. } => Arc::new(units.finish()),
            Self::Double(doubles) => Arc::new(doubles.finish()),
            Self::Date(days) => Arc::new(days.finish()),
            Self::Timestamp(micros) | Self::Timestamptz(micros) => Arc::new(micros.finish()),
        }
    }
}

/// Whether a column of this type can hold the cell.
pub(crate) fn holds(column_type: ColumnType, cell: &str) -> bool {
    let cell = value_text(cell);
    match column_type {
        ColumnType::Text => true,
        ColumnType::Boolean => boolean(cell).is_some(),
        ColumnType::Bigint => bigint(cell).is_some(),
        ColumnType::Decimal { precision, scale } => decimal(cell, precision, scale).is_some(),
        ColumnType::Double => double(cell).is_some(),
        ColumnType::Date => date(cell).is_some(),
        ColumnType::Timestamp => timestamp(cell).is_some(),
        ColumnType::Timestamptz => timestamptz(cell).is_some(),
    }
}

/// `Some(None)` for NULL, `None` for a cell that does not convert.
fn exactly<T>(cell: Option<&str>, convert: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match cell {
        Some(cell) => convert(value_text(cell)).map(Some),
        None => Some(None),
    }
}

/// The part of a cell that says its value: where a type was set, spaces around it and a plus say nothing.
/// An inferred type never meets them.
fn value_text(cell: &str) -> &str {
    let cell = cell.trim_ascii();
    match cell.strip_prefix('+') {
        Some(rest) if !rest.starts_with(['+', '-']) => rest,
        _ => cell,
    }
}

/// PostgreSQL's spellings of a boolean, in any case.
fn boolean(cell: &str) -> Option<bool> {
    let is = |word: &&str| cell.eq_ignore_ascii_case(word);
    if ["true", "t", "yes", "y", "on", "1"].iter().any(is) {
        Some(true)
    } else if ["false", "f", "no", "n", "off", "0"].iter().any(is) {
        Some(false)
    } else {
        None
    }
}
