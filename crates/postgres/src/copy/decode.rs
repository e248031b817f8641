//! A COPY stream as record batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, ListArray, NullBufferBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, SchemaRef};

use super::tuples::TupleReader;
use super::{EPOCH_DAYS, EPOCH_MICROS};
use crate::{ColumnCodec, Error, Result, char_text, numeric};

/// Reads a COPY stream, in chunks cut anywhere, into batches of its schema's columns.
pub struct CopyDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    tuples: TupleReader,
    batch_rows: usize,
    batch_bytes: usize,
}

struct Column {
    name: String,
    codec: ColumnCodec,
    builder: Builder,
}

impl CopyDecoder {
    /// A decoder for a stream whose fields are those of `schema`, each sent as its codec says.
    pub fn new(schema: SchemaRef, codecs: &[ColumnCodec]) -> Self {
        let columns = schema
            .fields()
            .iter()
            .zip(codecs)
            .map(|(field, codec)| Column {
                name: field.name().clone(),
                codec: codec.clone(),
                builder: Builder::new(codec),
            })
            .collect::<Vec<_>>();
        Self {
            schema,
            tuples: TupleReader::new(columns.len()),
            columns,
            batch_rows: 0,
            batch_bytes: 0,
        }
    }

    /// Rows of the batch that is being built.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Bytes that the stream took for the batch that is being built.
    pub fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    /// Takes the next chunk of the stream.
    ///
    /// # Errors
    /// [`Error::Stream`] if the format is violated, [`Error::Value`] for a value that its Arrow type
    /// can't hold.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        let (columns, rows, bytes) = (&mut self.columns, &mut self.batch_rows, &mut self.batch_bytes);
        self.tuples.feed(chunk, |tuple| {
            for (column, field) in columns.iter_mut().zip(tuple.fields()) {
                match field {
                    None => column.builder.append_null(),
                    Some(raw) => column
                        .builder
                        .append(raw)
                        .map_err(|refusal| refusal.into_error(column, tuple.row))?,
                }
            }
            *rows += 1;
            *bytes += tuple.bytes;
            Ok(())
        })
    }

    /// The rows decoded since the last call, as a batch in the stream's order.
    ///
    /// # Errors
    /// [`Error::Arrow`] if the columns do not make a batch.
    pub fn take_batch(&mut self) -> Result<RecordBatch> {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(|c| c.builder.finish(&c.codec)).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(self.batch_rows));
        self.batch_rows = 0;
        self.batch_bytes = 0;
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            arrays,
            &options,
        )?)
    }

    /// Ends the stream and returns how many rows it had.
    ///
    /// # Errors
    /// [`Error::Stream`] if its trailer did not come.
    pub fn end(&self) -> Result<u64> {
        self.tuples.end()
    }
}

/// Why a field can't be taken.
enum Refusal {
    /// Its bytes are not what the type's `send` function writes.
    Malformed,
    /// It is a value that the Arrow type lacks; how the server prints it.
    Unheld(String),
    /// It is text in no encoding that a lake can hold; its bytes, escaped.
    NotText(String),
}

impl Refusal {
    fn into_error(self, column: &Column, row: u64) -> Error {
        match self {
            Self::Malformed => Error::Stream {
                reason: format!("a field of column {} is not a {:?}", column.name, column.codec),
                row,
            },
            Self::Unheld(value) => Error::Value {
                column: column.name.clone(),
                value,
                data_type: column.codec.data_type().to_string(),
            },
            Self::NotText(value) => Error::NotText {
                column: column.name.clone(),
                value,
            },
        }
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Oid(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Numeric {
        builder: Decimal128Builder,
        precision: u8,
        scale: u8,
    },
    Money(Decimal128Builder),
    Text(StringBuilder),
    Char(StringBuilder),
    Bytea(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    List(Box<ListBuilder>),
}

struct ListBuilder {
    elements: Builder,
    element_oid: u32,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Builder {
    fn new(codec: &ColumnCodec) -> Self {
        match codec {
            ColumnCodec::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnCodec::Int2 => Self::Int2(Int16Builder::new()),
            ColumnCodec::Int4 => Self::Int4(Int32Builder::new()),
            ColumnCodec::Int8 => Self::Int8(Int64Builder::new()),
            ColumnCodec::Oid => Self::Oid(Int64Builder::new()),
            ColumnCodec::Float4 => Self::Float4(Float32Builder::new()),
            ColumnCodec::Float8 => Self::Float8(Float64Builder::new()),
            ColumnCodec::Numeric { precision, scale } => Self::Numeric {
                builder: Decimal128Builder::new().with_data_type(codec.data_type()),
                precision: *precision,
                scale: *scale,
            },
            ColumnCodec::Money => Self::Money(Decimal128Builder::new().with_data_type(codec.data_type())),
            ColumnCodec::Text => Self::Text(StringBuilder::new()),
            ColumnCodec::Char => Self::Char(StringBuilder::new()),
            ColumnCodec::Bytea => Self::Bytea(BinaryBuilder::new()),
            ColumnCodec::Date => Self::Date(Date32Builder::new()),
            ColumnCodec::Timestamp | ColumnCodec::Timestamptz => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(codec.data_type()))
            }
            ColumnCodec::List { element, element_oid } => Self::List(Box::new(ListBuilder {
                elements: Self::new(element),
                element_oid: *element_oid,
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
            })),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::Int2(b) => b.append_null(),
            Self::Int4(b) => b.append_null(),
            Self::Int8(b) | Self::Oid(b) => b.append_null(),
            Self::Float4(b) => b.append_null(),
            Self::Float8(b) => b.append_null(),
            Self::Numeric { builder: b, .. } | Self::Money(b) => b.append_null(),
            Self::Text(b) | Self::Char(b) => b.append_null(),
            Self::Bytea(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
            Self::List(list) => list.end(false),
        }
    }

    fn append(&mut self, raw: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Bool(b) => match raw {
                [0] => b.append_value(false),
                [1] => b.append_value(true),
                _ => return Err(Refusal::Malformed),
            },
            Self::Int2(b) => b.append_value(i16::from_be_bytes(fixed(raw)?)),
            Self::Int4(b) => b.append_value(i32::from_be_bytes(fixed(raw)?)),
            Self::Int8(b) => b.append_value(i64::from_be_bytes(fixed(raw)?)),
            Self::Oid(b) => b.append_value(i64::from(u32::from_be_bytes(fixed(raw)?))),
            Self::Float4(b) => b.append_value(f32::from_be_bytes(fixed(raw)?)),
            Self::Float8(b) => b.append_value(f64::from_be_bytes(fixed(raw)?)),
            Self::Numeric {
                builder,
                precision,
                scale,
            } => match numeric::decode(raw, *precision, *scale) {
                Some(value) => builder.append_value(value),
                None => return Err(Refusal::Unheld(numeric::describe(raw))),
            },
            Self::Money(b) => b.append_value(i128::from(i64::from_be_bytes(fixed(raw)?))),
            Self::Text(b) => match std::str::from_utf8(raw) {
                Ok(text) => b.append_value(text),
                Err(_) => return Err(Refusal::NotText(shown(raw))),
            },
            Self::Char(b) => {
                let [byte] = fixed(raw)?;
                b.append_value(char_text::decode(byte));
            }
            Self::Bytea(b) => b.append_value(raw),
            Self::Date(b) => match i32::from_be_bytes(fixed(raw)?) {
                i32::MAX => return Err(Refusal::Unheld("infinity".into())),
                i32::MIN => return Err(Refusal::Unheld("-infinity".into())),
                days => b.append_value(days.checked_add(EPOCH_DAYS).ok_or(Refusal::Malformed)?),
            },
            Self::Timestamp(b) => match i64::from_be_bytes(fixed(raw)?) {
                i64::MAX => return Err(Refusal::Unheld("infinity".into())),
                i64::MIN => return Err(Refusal::Unheld("-infinity".into())),
                micros => b.append_value(
                    micros
                        .checked_add(EPOCH_MICROS)
                        .ok_or_else(|| Refusal::Unheld("of a year beyond 294246".into()))?,
                ),
            },
            Self::List(list) => list.append(raw)?,
        }
        Ok(())
    }

    fn finish(&mut self, codec: &ColumnCodec) -> ArrayRef {
        match self {
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Int2(b) => Arc::new(b.finish()),
            Self::Int4(b) => Arc::new(b.finish()),
            Self::Int8(b) | Self::Oid(b) => Arc::new(b.finish()),
            Self::Float4(b) => Arc::new(b.finish()),
            Self::Float8(b) => Arc::new(b.finish()),
            Self::Numeric { builder: b, .. } | Self::Money(b) => Arc::new(b.finish()),
            Self::Text(b) | Self::Char(b) => Arc::new(b.finish()),
            Self::Bytea(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) => Arc::new(b.finish()),
            Self::List(list) => list.finish(codec),
        }
    }
}

impl ListBuilder {
    fn end(&mut self, valid: bool) {
        let length = self.elements.len();
        self.offsets.push(length as i32); // a batch's bytes are bounded far below 2 GiB
        self.nulls.append(valid);
    }

    /// Reads what `array_send` writes: dimensions, a flag, the element's type, each dimension's
    /// length and lower bound, then the elements as fields.
    fn append(&mut self, raw: &[u8]) -> Result<(), Refusal> {
        if raw.len() < 12 {
            return Err(Refusal::Malformed);
        }
        let (dimensions, element_oid) = (be_u32(raw, 0), be_u32(raw, 8));
        if element_oid != self.element_oid {
            return Err(Refusal::Malformed);
        }
        match dimensions {
            0 => {
                self.end(true);
                return Ok(());
            }
            1 => {}
            n => return Err(Refusal::Unheld(format!("that is an array of {n} dimensions"))),
        }
        if raw.len() < 20 {
            return Err(Refusal::Malformed);
        }
        let (count, lower_bound) = (be_u32(raw, 12), be_u32(raw, 16) as i32);
        if lower_bound != 1 {
            return Err(Refusal::Unheld(format!(
                "that is an array beginning at index {lower_bound}"
            )));
        }
        let mut rest = &raw[20..];
        for _ in 0..count {
            let (length, tail) = rest.split_first_chunk::<4>().ok_or(Refusal::Malformed)?;
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                self.elements.append_null();
                rest = tail;
                continue;
            }
            let length = usize::try_from(length).map_err(|_| Refusal::Malformed)?;
            let (element, tail) = tail.split_at_checked(length).ok_or(Refusal::Malformed)?;
            self.elements.append(element)?;
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(Refusal::Malformed);
        }
        self.end(true);
        Ok(())
    }

    fn finish(&mut self, codec: &ColumnCodec) -> ArrayRef {
        let (DataType::List(field), ColumnCodec::List { element, .. }) = (codec.data_type(), codec) else {
            unreachable!("a list builder is only made for a list codec");
        };
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let nulls = std::mem::replace(&mut self.nulls, NullBufferBuilder::new(0)).finish();
        Arc::new(ListArray::new(
            field,
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            self.elements.finish(element),
            nulls,
        ))
    }
}

impl Builder {
    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        match self {
            Self::Bool(b) => b.len(),
            Self::Int2(b) => b.len(),
            Self::Int4(b) => b.len(),
            Self::Int8(b) | Self::Oid(b) => b.len(),
            Self::Float4(b) => b.len(),
            Self::Float8(b) => b.len(),
            Self::Numeric { builder: b, .. } | Self::Money(b) => b.len(),
            Self::Text(b) | Self::Char(b) => b.len(),
            Self::Bytea(b) => b.len(),
            Self::Date(b) => b.len(),
            Self::Timestamp(b) => b.len(),
            Self::List(list) => list.offsets.len() - 1,
        }
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

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], Refusal> {
    raw.try_into().map_err(|_| Refusal::Malformed)
}

/// The caller has checked that the bytes are there.
fn be_u32(raw: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])
}
