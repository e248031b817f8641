//! Record batches as a COPY stream.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, ListArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use bytes::{BufMut as _, BytesMut};

use super::{EPOCH_DAYS, EPOCH_MICROS, SIGNATURE};
use crate::{ColumnCodec, Error, Result, char_text, numeric};

/// Writes batches as the stream that COPY … FROM STDIN (FORMAT binary) reads.
pub struct CopyEncoder {
    columns: Vec<(String, ColumnCodec)>,
}

impl CopyEncoder {
    /// An encoder for batches whose columns are these, each sent as its codec says.
    pub fn new(columns: Vec<(String, ColumnCodec)>) -> Self {
        Self { columns }
    }

    /// Appends what comes before the first row.
    pub fn header(&self, out: &mut BytesMut) {
        out.put_slice(SIGNATURE);
        out.put_u32(0);
        out.put_u32(0);
    }

    /// Appends what comes after the last row.
    pub fn trailer(&self, out: &mut BytesMut) {
        out.put_i16(-1);
    }

    /// Appends a batch's rows in their order.
    ///
    /// # Errors
    /// [`Error::Encode`] if a column isn't of its codec's Arrow type, or holds a value that Postgres
    /// can't.
    pub fn rows(&self, batch: &RecordBatch, out: &mut BytesMut) -> Result<()> {
        let arrays = batch
            .columns()
            .iter()
            .zip(&self.columns)
            .map(|(array, (name, codec))| conform(array, codec, name))
            .collect::<Result<Vec<_>>>()?;
        if arrays.len() != self.columns.len() {
            return Err(Error::Encode {
                column: "*".into(),
                reason: format!(
                    "a batch has {} columns, not {}",
                    batch.num_columns(),
                    self.columns.len()
                ),
            });
        }
        let values = arrays
            .iter()
            .zip(&self.columns)
            .map(|(array, (name, codec))| Values::new(array, codec, name))
            .collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            out.put_i16(values.len() as i16); // Postgres has at most 1,600 columns
            for (column, (name, _)) in values.iter().zip(&self.columns) {
                column.put(row, out).map_err(|reason| Error::Encode {
                    column: name.clone(),
                    reason,
                })?;
            }
        }
        Ok(())
    }
}

/// The lake's narrow integers widen to the smallest that Postgres has, alone and in lists.
fn conform(array: &ArrayRef, codec: &ColumnCodec, name: &str) -> Result<ArrayRef> {
    let wanted = codec.data_type();
    match (array.data_type(), &wanted) {
        (DataType::Int8, DataType::Int16) => Ok(arrow::compute::cast(array, &wanted)?),
        (DataType::List(_), DataType::List(field)) => {
            let (Some(list), ColumnCodec::List { element, .. }) = (array.as_list_opt::<i32>(), codec) else {
                unreachable!("a list's array is a list, and so is its codec");
            };
            let elements = conform(list.values(), element, name)?;
            let field = Arc::new(field.as_ref().clone().with_data_type(elements.data_type().clone()));
            let list = ListArray::try_new(field, list.offsets().clone(), elements, list.nulls().cloned())?;
            Ok(Arc::new(list))
        }
        (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) if from == to => Ok(array.clone()),
        (DataType::Timestamp(unit, from), DataType::Timestamp(wanted_unit, to))
            if unit == wanted_unit && from.is_some() == to.is_some() =>
        {
            Ok(array.clone())
        }
        (have, wanted) if have == wanted => Ok(array.clone()),
        (have, wanted) => Err(Error::Encode {
            column: name.into(),
            reason: format!("it is {have} in the lake, and {wanted} is to be sent"),
        }),
    }
}

/// A column's array, its type resolved once for all rows.
enum Values<'a> {
    Bool(&'a arrow::array::BooleanArray),
    Int2(&'a arrow::array::Int16Array),
    Int4(&'a arrow::array::Int32Array),
    Int8(&'a arrow::array::Int64Array),
    Oid(&'a arrow::array::Int64Array),
    Float4(&'a arrow::array::Float32Array),
    Float8(&'a arrow::array::Float64Array),
    Numeric(&'a arrow::array::Decimal128Array, u8),
    Money(&'a arrow::array::Decimal128Array),
    Text(&'a arrow::array::StringArray),
    Char(&'a arrow::array::StringArray),
    Bytea(&'a arrow::array::BinaryArray),
    Date(&'a arrow::array::Date32Array),
    Timestamp(&'a arrow::array::TimestampMicrosecondArray),
    List {
        array: &'a ListArray,
        elements: Box<Values<'a>>,
        element_oid: u32,
    },
}

impl<'a> Values<'a> {
    fn new(array: &'a ArrayRef, codec: &ColumnCodec, name: &str) -> Result<Self> {
        let found = match codec {
            ColumnCodec::Bool => array.as_boolean_opt().map(Self::Bool),
            ColumnCodec::Int2 => array.as_primitive_opt::<Int16Type>().map(Self::Int2),
            ColumnCodec::Int4 => array.as_primitive_opt::<Int32Type>().map(Self::Int4),
            ColumnCodec::Int8 => array.as_primitive_opt::<Int64Type>().map(Self::Int8),
            ColumnCodec::Oid => array.as_primitive_opt::<Int64Type>().map(Self::Oid),
            ColumnCodec::Float4 => array.as_primitive_opt::<Float32Type>().map(Self::Float4),
            ColumnCodec::Float8 => array.as_primitive_opt::<Float64Type>().map(Self::Float8),
            ColumnCodec::Numeric { scale, .. } => array
                .as_primitive_opt::<Decimal128Type>()
                .map(|a| Self::Numeric(a, *scale)),
            ColumnCodec::Money => array.as_primitive_opt::<Decimal128Type>().map(Self::Money),
            ColumnCodec::Text => array.as_string_opt::<i32>().map(Self::Text),
            ColumnCodec::Char => array.as_string_opt::<i32>().map(Self::Char),
            ColumnCodec::Bytea => array.as_binary_opt::<i32>().map(Self::Bytea),
            ColumnCodec::Date => array.as_primitive_opt::<Date32Type>().map(Self::Date),
            ColumnCodec::Timestamp | ColumnCodec::Timestamptz => array
                .as_primitive_opt::<TimestampMicrosecondType>()
                .map(Self::Timestamp),
            ColumnCodec::List { element, element_oid } => match array.as_list_opt::<i32>() {
                Some(list) => Some(Self::List {
                    elements: Box::new(Self::new(list.values(), element, name)?),
                    array: list,
                    element_oid: *element_oid,
                }),
                None => None,
            },
        };
        found.ok_or_else(|| Error::Encode {
            column: name.into(),
            reason: format!(
                "it is {} in the lake, and {} is to be sent",
                array.data_type(),
                codec.data_type()
            ),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(a) => a.is_null(row),
            Self::Int2(a) => a.is_null(row),
            Self::Int4(a) => a.is_null(row),
            Self::Int8(a) | Self::Oid(a) => a.is_null(row),
            Self::Float4(a) => a.is_null(row),
            Self::Float8(a) => a.is_null(row),
            Self::Numeric(a, _) | Self::Money(a) => a.is_null(row),
            Self::Text(a) | Self::Char(a) => a.is_null(row),
            Self::Bytea(a) => a.is_null(row),
            Self::Date(a) => a.is_null(row),
            Self::Timestamp(a) => a.is_null(row),
            Self::List { array, .. } => array.is_null(row),
        }
    }

    /// Appends a field: its length, then its bytes.
    fn put(&self, row: usize, out: &mut BytesMut) -> Result<(), String> {
        if self.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        match self {
            Self::Bool(a) => {
                out.put_i32(1);
                out.put_u8(a.value(row).into());
            }
            Self::Int2(a) => {
                out.put_i32(2);
                out.put_i16(a.value(row));
            }
            Self::Int4(a) => {
                out.put_i32(4);
                out.put_i32(a.value(row));
            }
            Self::Int8(a) => {
                out.put_i32(8);
                out.put_i64(a.value(row));
            }
            Self::Oid(a) => {
                let value = a.value(row);
                out.put_i32(4);
                out.put_u32(u32::try_from(value).map_err(|_| format!("{value} is no oid"))?);
            }
            Self::Float4(a) => {
                out.put_i32(4);
                out.put_f32(a.value(row));
            }
            Self::Float8(a) => {
                out.put_i32(8);
                out.put_f64(a.value(row));
            }
            Self::Numeric(a, scale) => put_sized(out, |out| {
                numeric::encode(a.value(row), *scale, out);
                Ok(())
            })?,
            Self::Money(a) => {
                let value = a.value(row);
                out.put_i32(8);
                out.put_i64(i64::try_from(value).map_err(|_| "a value is beyond what money holds".to_owned())?);
            }
            Self::Text(a) => put_bytes(out, a.value(row).as_bytes())?,
            Self::Char(a) => {
                let text = a.value(row);
                out.put_i32(1);
                out.put_u8(char_text::encode(text).ok_or_else(|| format!("{text:?} is no \"char\""))?);
            }
            Self::Bytea(a) => put_bytes(out, a.value(row))?,
            Self::Date(a) => {
                // The smallest number is how Postgres writes -infinity.
                let days = a.value(row).checked_sub(EPOCH_DAYS).filter(|days| *days != i32::MIN);
                out.put_i32(4);
                out.put_i32(days.ok_or("a date is before what Postgres holds")?);
            }
            Self::Timestamp(a) => {
                let micros = a
                    .value(row)
                    .checked_sub(EPOCH_MICROS)
                    .filter(|micros| *micros != i64::MIN);
                out.put_i32(8);
                out.put_i64(micros.ok_or("a timestamp is before what Postgres holds")?);
            }
            Self::List {
                array,
                elements,
                element_oid,
            } => {
                let (begin, end) = (array.value_offsets()[row], array.value_offsets()[row + 1]);
                let (begin, end) = (begin as usize, end as usize);
                put_sized(out, |out| {
                    let has_nulls = (begin..end).any(|i| elements.is_null(i));
                    out.put_i32(i32::from(begin < end)); // an empty array has no dimension
                    out.put_i32(has_nulls.into());
                    out.put_u32(*element_oid);
                    if begin < end {
                        out.put_i32((end - begin) as i32);
                        out.put_i32(1);
                    }
                    (begin..end).try_for_each(|i| elements.put(i, out))
                })?;
            }
        }
        Ok(())
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) -> Result<(), String> {
    out.put_i32(i32::try_from(bytes.len()).map_err(|_| "a value is longer than 2 GiB".to_owned())?);
    out.put_slice(bytes);
    Ok(())
}

/// Writes a field of a length that is known only afterwards.
fn put_sized(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut) -> Result<(), String>) -> Result<(), String> {
    let at = out.len();
    out.put_i32(0);
    body(out)?;
    let length = i32::try_from(out.len() - at - 4).map_err(|_| "a value is longer than 2 GiB".to_owned())?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
