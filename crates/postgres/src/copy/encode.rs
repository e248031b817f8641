//! Record batches as a COPY stream.

use std::ops::Range;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use bytes::{BufMut as _, BytesMut};

use super::{EPOCH_DAYS, EPOCH_MICROS, SIGNATURE};
use crate::{ColumnCodec, Error, Result, char_text, numeric};

/// Fields of a block: what is written of them, and where, stays within a core's reach.
const BLOCK_FIELDS: usize = 32 << 10;
const BLOCK_ROWS_MAX: usize = 1024;

const NULL: [u8; 4] = (-1i32).to_be_bytes();

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
    /// can't. What was appended is of no use then.
    pub fn rows(&self, batch: &RecordBatch, out: &mut BytesMut) -> Result<()> {
        if batch.num_columns() != self.columns.len() {
            return Err(Error::Encode {
                column: "*".into(),
                reason: format!(
                    "a batch has {} columns, not {}",
                    batch.num_columns(),
                    self.columns.len()
                ),
            });
        }
        let block_rows = (BLOCK_FIELDS / self.columns.len().max(1)).clamp(1, BLOCK_ROWS_MAX);
        for first in (0..batch.num_rows()).step_by(block_rows) {
            self.block(&batch.slice(first, block_rows.min(batch.num_rows() - first)), out)?;
        }
        Ok(())
    }

    /// Appends some rows, column by column: once all lengths are known, so is the place of each field.
    fn block(&self, block: &RecordBatch, out: &mut BytesMut) -> Result<()> {
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut places = vec![2; block.num_rows()]; // of each row, when its length is
        for (array, (name, codec)) in block.columns().iter().zip(&self.columns) {
            let column = Column::new(array, codec).map_err(encode_error(name))?;
            column.measure(&mut places);
            columns.push((column, name));
        }
        let mut end = out.len();
        for place in &mut places {
            let length = std::mem::replace(place, end);
            end += length;
        }
        out.resize(end, 0);
        let count = (columns.len() as i16).to_be_bytes(); // Postgres has at most 1,600 columns
        for place in &mut places {
            put(out, place, &count);
        }
        for (column, name) in columns {
            column.write(&mut places, out).map_err(encode_error(name))?;
        }
        Ok(())
    }
}

fn encode_error(column: &str) -> impl FnOnce(String) -> Error {
    move |reason| Error::Encode {
        column: column.into(),
        reason,
    }
}

/// Writes at a place, and moves it on.
#[inline]
fn put(out: &mut [u8], place: &mut usize, bytes: &[u8]) {
    let end = *place + bytes.len();
    out[*place..end].copy_from_slice(bytes);
    *place = end;
}

/// A column of a block, or the items of its lists; its type is resolved once for all.
struct Column {
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Oid(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Money(Decimal128Array),
    Char(StringArray),
    Date(Date32Array),
    Timestamp(TimestampMicrosecondArray),
    /// As they are sent: text, bytea, and numerics, which are encoded ahead for their lengths.
    Bytes(OffsetBuffer<i32>, Buffer),
    List(Box<List>),
}

struct List {
    /// Row `i` has the items from `offsets[i]` to `offsets[i + 1]`.
    offsets: Vec<usize>,
    items: Column,
    /// Of each item's field.
    lengths: Vec<usize>,
    item_oid: u32,
}

impl Column {
    fn new(array: &ArrayRef, codec: &ColumnCodec) -> Result<Self, String> {
        let wanted = codec.data_type();
        let array = match (array.data_type(), &wanted) {
            // The lake's narrowest integers widen to the smallest that Postgres has.
            (DataType::Int8, DataType::Int16) => {
                arrow::compute::cast(array, &wanted).map_err(|error| error.to_string())?
            }
            (have, wanted) if is_sent_as(have, wanted) => array.clone(),
            (have, wanted) => return Err(format!("it is {have} in the lake, and {wanted} is to be sent")),
        };
        let values = match codec {
            ColumnCodec::Bool => Values::Bool(array.as_boolean().clone()),
            ColumnCodec::Int2 => Values::Int2(array.as_primitive().clone()),
            ColumnCodec::Int4 => Values::Int4(array.as_primitive().clone()),
            ColumnCodec::Int8 => Values::Int8(array.as_primitive().clone()),
            ColumnCodec::Oid => Values::Oid(array.as_primitive().clone()),
            ColumnCodec::Float4 => Values::Float4(array.as_primitive().clone()),
            ColumnCodec::Float8 => Values::Float8(array.as_primitive().clone()),
            ColumnCodec::Numeric { scale, .. } => numerics(array.as_primitive(), *scale),
            ColumnCodec::Money => Values::Money(array.as_primitive().clone()),
            ColumnCodec::Text => {
                let text = array.as_string::<i32>();
                Values::Bytes(text.offsets().clone(), text.values().clone())
            }
            ColumnCodec::Char => Values::Char(array.as_string().clone()),
            ColumnCodec::Bytea => {
                let bytes = array.as_binary::<i32>();
                Values::Bytes(bytes.offsets().clone(), bytes.values().clone())
            }
            ColumnCodec::Date => Values::Date(array.as_primitive().clone()),
            ColumnCodec::Timestamp | ColumnCodec::Timestamptz => Values::Timestamp(array.as_primitive().clone()),
            ColumnCodec::List { element, element_oid } => {
                Values::List(Box::new(List::new(array.as_list(), element, *element_oid)?))
            }
        };
        Ok(Self {
            nulls: array.nulls().cloned(),
            values,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Adds to each row's length that of its field.
    fn measure(&self, lengths: &mut [usize]) {
        match &self.values {
            Values::Bool(_) | Values::Char(_) => self.add(lengths, |_| 1),
            Values::Int2(_) => self.add(lengths, |_| 2),
            Values::Int4(_) | Values::Oid(_) | Values::Float4(_) | Values::Date(_) => self.add(lengths, |_| 4),
            Values::Int8(_) | Values::Float8(_) | Values::Money(_) | Values::Timestamp(_) => self.add(lengths, |_| 8),
            Values::Bytes(offsets, _) => self.add(lengths, |row| (offsets[row + 1] - offsets[row]) as usize),
            Values::List(list) => self.add(lengths, |row| list.length(row)),
        }
    }

    fn add(&self, lengths: &mut [usize], value_length: impl Fn(usize) -> usize) {
        for (row, length) in lengths.iter_mut().enumerate() {
            *length += 4 + if self.is_null(row) { 0 } else { value_length(row) };
        }
    }

    /// Writes each row's field at its place, and moves this to the next field's.
    fn write(&self, places: &mut [usize], out: &mut [u8]) -> Result<(), String> {
        match &self.values {
            Values::Bool(a) => self.fixed(places, out, |row| Ok([a.value(row).into()])),
            Values::Int2(a) => self.fixed(places, out, |row| Ok(a.value(row).to_be_bytes())),
            Values::Int4(a) => self.fixed(places, out, |row| Ok(a.value(row).to_be_bytes())),
            Values::Int8(a) => self.fixed(places, out, |row| Ok(a.value(row).to_be_bytes())),
            Values::Oid(a) => self.fixed(places, out, |row| {
                let oid = u32::try_from(a.value(row)).map_err(|_| format!("{} is no oid", a.value(row)))?;
                Ok(oid.to_be_bytes())
            }),
            Values::Float4(a) => self.fixed(places, out, |row| Ok(a.value(row).to_be_bytes())),
            Values::Float8(a) => self.fixed(places, out, |row| Ok(a.value(row).to_be_bytes())),
            Values::Money(a) => self.fixed(places, out, |row| {
                let cents = i64::try_from(a.value(row)).map_err(|_| "a value is beyond what money holds")?;
                Ok(cents.to_be_bytes())
            }),
            Values::Char(a) => self.fixed(places, out, |row| {
                let text = a.value(row);
                Ok([char_text::encode(text).ok_or_else(|| format!("{text:?} is no \"char\""))?])
            }),
            Values::Date(a) => self.fixed(places, out, |row| {
                // The smallest number is how Postgres writes -infinity.
                let days = a.value(row).checked_sub(EPOCH_DAYS).filter(|days| *days != i32::MIN);
                Ok(days.ok_or("a date is before what Postgres holds")?.to_be_bytes())
            }),
            Values::Timestamp(a) => self.fixed(places, out, |row| {
                let micros = a.value(row).checked_sub(EPOCH_MICROS);
                let micros = micros.filter(|micros| *micros != i64::MIN);
                Ok(micros.ok_or("a timestamp is before what Postgres holds")?.to_be_bytes())
            }),
            Values::Bytes(offsets, data) => {
                for (row, place) in places.iter_mut().enumerate() {
                    if self.is_null(row) {
                        put(out, place, &NULL);
                        continue;
                    }
                    let value = &data[offsets[row] as usize..offsets[row + 1] as usize];
                    put(out, place, &(value.len() as i32).to_be_bytes());
                    put(out, place, value);
                }
                Ok(())
            }
            Values::List(list) => list.write(|row| self.is_null(row), places, out),
        }
    }

    /// Values of as many bytes each.
    #[inline]
    fn fixed<const N: usize>(
        &self,
        places: &mut [usize],
        out: &mut [u8],
        value: impl Fn(usize) -> Result<[u8; N], String>,
    ) -> Result<(), String> {
        for (row, place) in places.iter_mut().enumerate() {
            if self.is_null(row) {
                put(out, place, &NULL);
            } else {
                put(out, place, &(N as i32).to_be_bytes());
                put(out, place, &value(row)?);
            }
        }
        Ok(())
    }
}

/// Whether values of one type are sent as those of the other; items of lists are looked at on their own.
fn is_sent_as(have: &DataType, wanted: &DataType) -> bool {
    match (have, wanted) {
        (DataType::List(_), DataType::List(_)) => true,
        (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) => from == to,
        (DataType::Timestamp(unit, from), DataType::Timestamp(wanted_unit, to)) => {
            unit == wanted_unit && from.is_some() == to.is_some()
        }
        _ => have == wanted,
    }
}

fn numerics(decimals: &Decimal128Array, scale: u8) -> Values {
    let mut data = Vec::new();
    let mut offsets = Vec::with_capacity(decimals.len() + 1);
    offsets.push(0);
    for decimal in decimals {
        if let Some(decimal) = decimal {
            numeric::encode(decimal, scale, &mut data);
        }
        offsets.push(data.len() as i32); // a block's numerics are far from 2 GiB
    }
    Values::Bytes(OffsetBuffer::new(offsets.into()), data.into())
}

impl List {
    fn new(lists: &ListArray, item: &ColumnCodec, item_oid: u32) -> Result<Self, String> {
        let ranges = |row: usize| match lists.is_null(row) {
            true => 0..0, // whatever is there
            false => lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize,
        };
        let mut offsets = vec![0];
        for row in 0..lists.len() {
            offsets.push(offsets[row] + ranges(row).len());
        }
        let count = offsets[lists.len()];
        let all = lists.value_offsets()[0] as usize..lists.value_offsets()[lists.len()] as usize;
        let items = if all.len() == count {
            lists.values().slice(all.start, count)
        } else {
            // Some are behind a NULL.
            let indices = UInt64Array::from_iter_values((0..lists.len()).flat_map(ranges).map(|i| i as u64));
            arrow::compute::take(lists.values(), &indices, None).map_err(|error| error.to_string())?
        };
        let items = Column::new(&items, item)?;
        let mut lengths = vec![0; count];
        items.measure(&mut lengths);
        Ok(Self {
            offsets,
            items,
            lengths,
            item_oid,
        })
    }

    fn items(&self, row: usize) -> Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    fn length(&self, row: usize) -> usize {
        let items = self.items(row);
        let header = if items.is_empty() { 12 } else { 20 }; // an empty array has no dimension
        header + self.lengths[items].iter().sum::<usize>()
    }

    fn write(&self, is_null: impl Fn(usize) -> bool, places: &mut [usize], out: &mut [u8]) -> Result<(), String> {
        let mut item_places = vec![0; self.lengths.len()];
        for (row, place) in places.iter_mut().enumerate() {
            if is_null(row) {
                put(out, place, &NULL);
                continue;
            }
            let items = self.items(row);
            let length = i32::try_from(self.length(row)).map_err(|_| "a value is longer than 2 GiB")?;
            let has_nulls = items.clone().any(|item| self.items.is_null(item));
            put(out, place, &length.to_be_bytes());
            put(out, place, &i32::from(!items.is_empty()).to_be_bytes());
            put(out, place, &i32::from(has_nulls).to_be_bytes());
            put(out, place, &self.item_oid.to_be_bytes());
            if !items.is_empty() {
                put(out, place, &(items.len() as i32).to_be_bytes());
                put(out, place, &1i32.to_be_bytes()); // where its indices begin
            }
            for item in items {
                item_places[item] = *place;
                *place += self.lengths[item];
            }
        }
        self.items.write(&mut item_places, out)
    }
}
