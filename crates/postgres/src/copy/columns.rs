//! The values of a column while a batch is built: each type has a loop of its own over a block's fields.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, ListArray, NullBufferBuilder, PrimitiveArray,
    StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};

use super::tuples::{Fields, Place};
use super::{EPOCH_DAYS, EPOCH_MICROS};
use crate::{ColumnCodec, Result, char_text, numeric};

/// Why a field can't be taken.
pub(super) enum Refusal {
    /// Its bytes are not what the type's `send` function writes.
    Malformed,
    /// It is a value that the Arrow type lacks; how the server prints it.
    Unheld(String),
    /// It is an array of a shape that a list has not; which one.
    Shape(String),
    /// It is text in no encoding that a lake can hold; its bytes, escaped.
    NotText(String),
}

/// A refusal, and the index of its field.
type Refused = (usize, Refusal);

pub(super) struct ColumnBuilder {
    data_type: DataType,
    values: Values,
    nulls: NullBufferBuilder,
}

enum Values {
    Bool(BooleanBufferBuilder),
    Int2(Vec<i16>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Oid(Vec<i64>),
    Float4(Vec<f32>),
    Float8(Vec<f64>),
    Numeric {
        values: Vec<i128>,
        precision: u8,
        scale: u8,
    },
    Money(Vec<i128>),
    Text(Bytes),
    Char(Bytes),
    Bytea(Bytes),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    List(Box<List>),
}

/// Values of up to so many bytes are copied as these many, which takes a third of the time.
const SHORT: usize = 32;

/// Values of any length, one after the other.
struct Bytes {
    data: Vec<u8>,
    offsets: Vec<i32>, // a batch's bytes are bounded far below 2 GiB
}

struct List {
    elements: ColumnBuilder,
    element_oid: u32,
    offsets: Vec<i32>,
}

impl ColumnBuilder {
    pub(super) fn new(codec: &ColumnCodec) -> Self {
        let values = match codec {
            ColumnCodec::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
            ColumnCodec::Int2 => Values::Int2(Vec::new()),
            ColumnCodec::Int4 => Values::Int4(Vec::new()),
            ColumnCodec::Int8 => Values::Int8(Vec::new()),
            ColumnCodec::Oid => Values::Oid(Vec::new()),
            ColumnCodec::Float4 => Values::Float4(Vec::new()),
            ColumnCodec::Float8 => Values::Float8(Vec::new()),
            ColumnCodec::Numeric { precision, scale } => Values::Numeric {
                values: Vec::new(),
                precision: *precision,
                scale: *scale,
            },
            ColumnCodec::Money => Values::Money(Vec::new()),
            ColumnCodec::Text => Values::Text(Bytes::new()),
            ColumnCodec::Char => Values::Char(Bytes::new()),
            ColumnCodec::Bytea => Values::Bytea(Bytes::new()),
            ColumnCodec::Date => Values::Date(Vec::new()),
            ColumnCodec::Timestamp | ColumnCodec::Timestamptz => Values::Timestamp(Vec::new()),
            ColumnCodec::List { element, element_oid } => Values::List(Box::new(List {
                elements: Self::new(element),
                element_oid: *element_oid,
                offsets: vec![0],
            })),
        };
        Self {
            data_type: codec.data_type(),
            values,
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Appends a block's fields, or refuses the first that can't be taken; the column is of no use then.
    pub(super) fn append(&mut self, fields: Fields<'_>) -> Result<(), Refused> {
        // Of all lengths at once: one of them is negative if their sign bits together are.
        let signs = fields.places.iter().fold(0, |signs, place| signs | place.length);
        if signs >= 0 {
            self.nulls.append_n_non_nulls(fields.len());
        } else {
            fields
                .places
                .iter()
                .for_each(|place| self.nulls.append(place.length >= 0));
        }
        match &mut self.values {
            Values::Bool(values) => {
                for (index, field) in fields.iter().enumerate() {
                    values.append(match field {
                        Some([1]) => true,
                        Some([0]) | None => false,
                        Some(_) => return Err((index, Refusal::Malformed)),
                    });
                }
                Ok(())
            }
            Values::Int2(values) => fixed(values, fields, |raw| Ok(i16::from_be_bytes(raw))),
            Values::Int4(values) => fixed(values, fields, |raw| Ok(i32::from_be_bytes(raw))),
            Values::Int8(values) => fixed(values, fields, |raw| Ok(i64::from_be_bytes(raw))),
            Values::Oid(values) => fixed(values, fields, |raw| Ok(u32::from_be_bytes(raw).into())),
            Values::Float4(values) => fixed(values, fields, |raw| Ok(f32::from_be_bytes(raw))),
            Values::Float8(values) => fixed(values, fields, |raw| Ok(f64::from_be_bytes(raw))),
            Values::Money(values) => fixed(values, fields, |raw| Ok(i64::from_be_bytes(raw).into())),
            Values::Date(values) => fixed(values, fields, |raw| date(i32::from_be_bytes(raw))),
            Values::Timestamp(values) => fixed(values, fields, |raw| timestamp(i64::from_be_bytes(raw))),
            Values::Numeric {
                values,
                precision,
                scale,
            } => each(values, fields, |raw| {
                numeric::decode(raw, *precision, *scale).ok_or_else(|| Refusal::Unheld(numeric::describe(raw)))
            }),
            Values::Text(text) => text.append_text(fields),
            Values::Char(text) => {
                for (index, field) in fields.iter().enumerate() {
                    match field {
                        None => text.push(b""),
                        Some(&[byte]) => text.push(char_text::decode(byte).as_bytes()),
                        Some(_) => return Err((index, Refusal::Malformed)),
                    }
                }
                Ok(())
            }
            Values::Bytea(bytes) => {
                bytes.append(fields);
                Ok(())
            }
            Values::List(list) => list.append(fields),
        }
    }

    /// The values since the last call, of which none was refused.
    ///
    /// # Errors
    /// [`crate::Error::Arrow`] if they do not make an array.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let nulls = std::mem::replace(&mut self.nulls, NullBufferBuilder::new(0)).finish();
        let data_type = &self.data_type;
        Ok(match &mut self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int2(values) => primitive::<Int16Type>(values, nulls, data_type)?,
            Values::Int4(values) => primitive::<Int32Type>(values, nulls, data_type)?,
            Values::Int8(values) | Values::Oid(values) => primitive::<Int64Type>(values, nulls, data_type)?,
            Values::Float4(values) => primitive::<Float32Type>(values, nulls, data_type)?,
            Values::Float8(values) => primitive::<Float64Type>(values, nulls, data_type)?,
            Values::Numeric { values, .. } | Values::Money(values) => {
                primitive::<Decimal128Type>(values, nulls, data_type)?
            }
            Values::Date(values) => primitive::<Date32Type>(values, nulls, data_type)?,
            Values::Timestamp(values) => primitive::<TimestampMicrosecondType>(values, nulls, data_type)?,
            Values::Text(bytes) | Values::Char(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(StringArray::try_new(offsets, data, nulls)?)
            }
            Values::Bytea(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(BinaryArray::try_new(offsets, data, nulls)?)
            }
            Values::List(list) => list.finish(data_type, nulls)?,
        })
    }
}

/// Appends values whose bytes are as many as the type has.
#[inline]
fn fixed<const N: usize, T: Default>(
    values: &mut Vec<T>,
    fields: Fields<'_>,
    decode: impl Fn([u8; N]) -> Result<T, Refusal>,
) -> Result<(), Refused> {
    each(values, fields, |raw| {
        decode(raw.try_into().map_err(|_| Refusal::Malformed)?)
    })
}

#[inline]
fn each<T: Default>(
    values: &mut Vec<T>,
    fields: Fields<'_>,
    decode: impl Fn(&[u8]) -> Result<T, Refusal>,
) -> Result<(), Refused> {
    let mut refused = None;
    // Not a loop that ends early: of an iterator whose length is known, room is made once.
    values.extend(fields.iter().enumerate().map(|(index, field)| {
        field.map_or(Ok(T::default()), &decode).unwrap_or_else(|refusal| {
            refused.get_or_insert((index, refusal));
            T::default()
        })
    }));
    refused.map_or(Ok(()), Err)
}

/// Room for a batch after one of this length. It is about as long, and if it were a little longer, all of it
/// would be moved into twice the room in the end. Beyond a batch's usual size it is a single row, and the room
/// that the next would leave empty is dear.
fn about(length: usize) -> usize {
    const USUAL_MAX: usize = 8 << 20;
    length + if length <= USUAL_MAX { length / 8 } else { 0 } + SHORT
}

fn date(days: i32) -> Result<i32, Refusal> {
    match days {
        i32::MAX => Err(Refusal::Unheld("infinity".into())),
        i32::MIN => Err(Refusal::Unheld("-infinity".into())),
        days => days.checked_add(EPOCH_DAYS).ok_or(Refusal::Malformed),
    }
}

fn timestamp(micros: i64) -> Result<i64, Refusal> {
    match micros {
        i64::MAX => Err(Refusal::Unheld("infinity".into())),
        i64::MIN => Err(Refusal::Unheld("-infinity".into())),
        micros => micros
            .checked_add(EPOCH_MICROS)
            .ok_or_else(|| Refusal::Unheld("of a year beyond 294246".into())),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let next = Vec::with_capacity(about(values.len()));
    let values = ScalarBuffer::from(std::mem::replace(values, next));
    let array = PrimitiveArray::<T>::try_new(values, nulls)?;
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

impl Bytes {
    fn new() -> Self {
        Self {
            data: Vec::new(),
            offsets: vec![0],
        }
    }

    fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.offsets.push(self.data.len() as i32);
    }

    fn append(&mut self, fields: Fields<'_>) {
        let Self { data, offsets } = self;
        let mut end = data.len();
        let bytes = fields.places.iter().map(|place| place.length.max(0) as usize);
        let data_end = end + bytes.sum::<usize>();
        data.resize(data_end + SHORT, 0);
        offsets.extend(fields.places.iter().map(|place| {
            let (from, to) = (&fields.data[place.begin as usize..], &mut data[end..]);
            let length = place.length.max(0) as usize;
            match (from.first_chunk::<SHORT>(), to.first_chunk_mut::<SHORT>()) {
                // What is too much is overwritten by the next.
                (Some(from), Some(to)) if length <= SHORT => *to = *from,
                _ => to[..length].copy_from_slice(&from[..length]),
            }
            end += length;
            end as i32
        }));
        data.truncate(data_end);
    }

    fn append_text(&mut self, fields: Fields<'_>) -> Result<(), Refused> {
        let begin = self.data.len();
        self.append(fields);
        // Most text is ASCII, which is seen for all fields at once.
        if self.data[begin..].is_ascii() {
            return Ok(());
        }
        for (index, field) in fields.iter().enumerate() {
            let raw = field.unwrap_or_default();
            if std::str::from_utf8(raw).is_err() {
                return Err((index, Refusal::NotText(shown(raw))));
            }
        }
        Ok(())
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let mut offsets = Vec::with_capacity(about(self.offsets.len()));
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let next = Vec::with_capacity(about(self.data.len()));
        let data = std::mem::replace(&mut self.data, next);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(data))
    }
}

impl List {
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Refused> {
        let first_element = self.elements.len();
        let mut places = Vec::new();
        let mut ends = Vec::with_capacity(fields.len());
        let mut refused = None;
        for (index, field) in fields.iter().enumerate() {
            let begin = fields.places[index].begin;
            if let Some(Err(refusal)) = field.map(|raw| self.locate(raw, begin, &mut places)) {
                places.truncate(ends.last().copied().unwrap_or(0));
                refused = Some((index, refusal));
                break;
            }
            ends.push(places.len());
        }
        let elements = Fields {
            data: fields.data,
            places: &places,
        };
        // An element of an earlier list is refused before a later list.
        self.elements
            .append(elements)
            .map_err(|(element, refusal)| (ends.partition_point(|end| *end <= element), refusal))?;
        self.offsets.extend(ends.iter().map(|end| (first_element + end) as i32));
        refused.map_or(Ok(()), Err)
    }

    /// Reads what `array_send` writes: dimensions, a flag, the element's type, each dimension's
    /// length and lower bound, then the elements as fields. `begin` is where all that begins.
    fn locate(&self, raw: &[u8], begin: u32, places: &mut Vec<Place>) -> Result<(), Refusal> {
        if raw.len() < 12 || be_u32(raw, 8) != self.element_oid {
            return Err(Refusal::Malformed);
        }
        match be_u32(raw, 0) {
            0 => return Ok(()),
            1 => {}
            n => return Err(Refusal::Shape(format!("an array of {n} dimensions"))),
        }
        if raw.len() < 20 {
            return Err(Refusal::Malformed);
        }
        let (count, lower_bound) = (be_u32(raw, 12), be_u32(raw, 16) as i32);
        if lower_bound != 1 {
            return Err(Refusal::Shape(format!("an array beginning at index {lower_bound}")));
        }
        let mut at = 20;
        for _ in 0..count {
            let length = raw.get(at..).and_then(<[u8]>::first_chunk).ok_or(Refusal::Malformed)?;
            let length = i32::from_be_bytes(*length);
            at += 4;
            places.push(Place {
                begin: begin + at as u32,
                length,
            });
            at += match length {
                -1 => 0,
                _ => usize::try_from(length).map_err(|_| Refusal::Malformed)?,
            };
            if at > raw.len() {
                return Err(Refusal::Malformed);
            }
        }
        if at == raw.len() {
            Ok(())
        } else {
            Err(Refusal::Malformed)
        }
    }

    fn finish(&mut self, data_type: &DataType, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let DataType::List(field) = data_type else {
            unreachable!("a list builder is only made for a list codec");
        };
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let list = ListArray::try_new(field.clone(), offsets, self.elements.finish()?, nulls)?;
        Ok(Arc::new(list))
    }
}

impl ColumnBuilder {
    fn len(&self) -> usize {
        self.nulls.len()
    }
}

/// The beginning of a value, for an error message.
fn shown(raw: &[u8]) -> String {
    const BYTES_MAX: usize = 60;
    let mut text = raw[..raw.len().min(BYTES_MAX)].escape_ascii().to_string();
    if raw.len() > BYTES_MAX {
        text += "…";
    }
    text
}

/// The caller has checked that the bytes are there.
fn be_u32(raw: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])
}
