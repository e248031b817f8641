//! The types that the lake keeps: what a query's result becomes on its way into it.
//!
//! ```text
//! Int8, UInt8            Int16                 Time32, Time64, Interval, Duration   text
//! UInt16                 Int32                 Timestamp of s, ms, ns               of µs
//! UInt32                 Int64                 Timestamp of another zone            of UTC
//! UInt64                 Decimal128(20, 0)     Date64                               Date32
//! Float16                Float32               Null                                 Utf8
//! Decimal32, 64          Decimal128            views, dictionaries, large types     the plain ones
//! Decimal256             text, as numeric
//! ```
//! A value that does not fit exactly, as a nanosecond into microseconds, is an error.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date64Type, Decimal256Type, Field, FieldRef, Schema, SchemaRef, TimeUnit, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;

use crate::format::quotient_text;
use crate::result_schema::METADATA_TYPE;
use crate::{Error, Result};

const DAY_MS: i64 = 86_400_000;

/// The schema in types that the lake keeps.
///
/// # Errors
/// [`Error::ResultColumn`] for a type that has no place there.
pub(crate) fn schema(schema: &Schema) -> Result<SchemaRef> {
    let fields = schema.fields().iter().map(field);
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<FieldRef>>>()?)))
}

/// A batch in the types of [`schema`].
///
/// # Errors
/// [`Error::ResultValue`] for a value that its type can't hold exactly.
pub(crate) fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        convert(column, field.data_type()).map_err(|source| Error::ResultValue {
            column: field.name().clone(),
            data_type: field.data_type().to_string(),
            source,
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|source| Error::Query {
        message: source.to_string(),
        position: None,
    })
}

fn field(field: &FieldRef) -> Result<FieldRef> {
    let Some(kept) = kept(field.data_type()) else {
        return Err(Error::ResultColumn {
            column: field.name().clone(),
            reason: format!(
                "is of type {}, which the lake can't keep: select its parts, or make text of it",
                field.data_type()
            ),
        });
    };
    if kept == *field.data_type() {
        return Ok(field.clone());
    }
    // The metadata speaks of the type that it was.
    let kept_field = Field::new(field.name(), kept, field.is_nullable());
    Ok(Arc::new(match field.data_type() {
        DataType::Decimal256(..) => {
            kept_field.with_metadata(HashMap::from([(METADATA_TYPE.to_owned(), "numeric".to_owned())]))
        }
        _ => kept_field,
    }))
}

/// The type that the lake keeps values of `data_type` in.
fn kept(data_type: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match data_type {
        D::Boolean | D::Int16 | D::Int32 | D::Int64 | D::Float32 | D::Float64 | D::Utf8 | D::Binary | D::Date32 => {
            data_type.clone()
        }
        D::Int8 | D::UInt8 => D::Int16,
        D::UInt16 => D::Int32,
        D::UInt32 => D::Int64,
        D::UInt64 => D::Decimal128(20, 0),
        D::Float16 => D::Float32,
        D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) => decimal(*p, *s)?,
        // As a numeric without a precision, which the lake has as text.
        D::Decimal256(..) | D::Null | D::Utf8View | D::LargeUtf8 => D::Utf8,
        D::BinaryView | D::LargeBinary | D::FixedSizeBinary(_) => D::Binary,
        D::Time32(_) | D::Time64(_) | D::Interval(_) | D::Duration(_) => D::Utf8,
        D::Date64 => D::Date32,
        D::Timestamp(_, zone) => D::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        D::Dictionary(_, value) => kept(value)?,
        D::RunEndEncoded(_, values) => kept(values.data_type())?,
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => {
            let data_type = kept(item.data_type())?;
            if matches!(data_type, D::List(_)) {
                return None; // of two dimensions
            }
            D::List(Arc::new(Field::new(item.name(), data_type, true)))
        }
        D::Struct(_) | D::Map(_, _) | D::Union(_, _) | D::ListView(_) | D::LargeListView(_) => return None,
    })
}

/// The same decimal with a scale that SQL databases have: 0 ≤ scale ≤ precision ≤ 38.
fn decimal(precision: u8, scale: i8) -> Option<DataType> {
    let scale_up = scale.max(0);
    let digits = i16::from(precision) - i16::from(scale.min(0));
    let digits = u8::try_from(digits.max(i16::from(scale_up))).ok()?;
    (digits <= 38).then_some(DataType::Decimal128(digits, scale_up))
}

fn convert(array: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    if let DataType::Decimal256(precision, scale) = array.data_type() {
        let values = array.as_primitive::<Decimal256Type>().iter();
        let texts = values.map(|value| value.map(|value| quotient_text(value, *precision, *scale)));
        return Ok(Arc::new(texts.collect::<StringArray>()));
    }
    refuse_finer(array)?;
    // Not `safe`: a value that does not fit is an error, not a NULL.
    let options = CastOptions {
        safe: false,
        format_options: FormatOptions::new().with_display_error(false),
    };
    cast_with_options(array, to, &options)
}

/// arrow's cast would cut off nanoseconds, and the time of a Date64.
fn refuse_finer(array: &ArrayRef) -> std::result::Result<(), ArrowError> {
    let (coarse, found) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = array.as_primitive::<TimestampNanosecondType>();
            (
                "a microsecond",
                values.iter().flatten().find(|value| value % 1_000 != 0),
            )
        }
        DataType::Date64 => {
            let values = array.as_primitive::<Date64Type>();
            ("a day", values.iter().flatten().find(|value| value % DAY_MS != 0))
        }
        DataType::List(_) => return refuse_finer(array.as_list::<i32>().values()),
        _ => return Ok(()),
    };
    match found {
        None => Ok(()),
        Some(value) => Err(ArrowError::CastError(format!(
            "{value} since 1970 is finer than {coarse}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{TimestampNanosecondArray, UInt64Array};

    #[test]
    fn unsigned_and_wide_types_keep_their_values() {
        let array: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 0]));
        let kept = kept(array.data_type()).unwrap();
        let converted = convert(&array, &kept).unwrap();
        let digits = converted.as_primitive::<arrow::datatypes::Decimal128Type>();
        assert_eq!(digits.value_as_string(0), u64::MAX.to_string());
    }

    #[test]
    fn decimals_get_a_scale_that_databases_have() {
        assert_eq!(decimal(5, -2), Some(DataType::Decimal128(7, 0)));
        assert_eq!(decimal(2, 5), Some(DataType::Decimal128(5, 5)));
        assert_eq!(decimal(38, -1), None);
    }

    #[test]
    fn nanoseconds_are_kept_or_refused() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let exact: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_000]));
        assert_eq!(convert(&exact, &micros).unwrap().len(), 1);
        let finer: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_001]));
        assert!(convert(&finer, &micros).is_err());
    }
}
