//! A COPY stream as record batches.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use super::columns::{ColumnBuilder, Refusal};
use super::tuples::TupleReader;
use crate::{ColumnCodec, Error, Result};

/// Reads a COPY stream, in chunks cut anywhere, into batches of its schema's columns.
///
/// The rows of a chunk are taken column by column, so that what has to be decided for a type is
/// decided once for some hundred values. Chunks of whole rows are read fastest.
pub struct CopyDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    tuples: TupleReader,
    batch_rows: usize,
    batch_bytes: usize,
    /// After an error some columns have a block's values and some have not.
    failed: bool,
}

struct Column {
    name: String,
    codec: ColumnCodec,
    builder: ColumnBuilder,
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
                builder: ColumnBuilder::new(codec),
            })
            .collect::<Vec<_>>();
        Self {
            schema,
            tuples: TupleReader::new(columns.len()),
            columns,
            batch_rows: 0,
            batch_bytes: 0,
            failed: false,
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
    /// [`Error::Stream`] if the format is violated, [`Error::Value`] or [`Error::NotText`] for a value
    /// that its Arrow type can't hold: the first of the stream. No batch can be taken afterwards.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        let (columns, rows, bytes) = (&mut self.columns, &mut self.batch_rows, &mut self.batch_bytes);
        let fed = self.tuples.feed(chunk, |block| {
            let mut first: Option<(usize, usize, Refusal)> = None;
            for (number, column) in columns.iter_mut().enumerate() {
                if let Err((row, refusal)) = column.builder.append(block.column(number))
                    && first.as_ref().is_none_or(|(first, ..)| row < *first)
                {
                    first = Some((row, number, refusal));
                }
            }
            if let Some((row, number, refusal)) = first {
                return Err(refusal.into_error(&columns[number], block.first_row + row as u64));
            }
            *rows += block.rows;
            *bytes += block.bytes;
            Ok(())
        });
        self.failed |= fed.is_err();
        fed
    }

    /// The rows decoded since the last call, as a batch in the stream's order.
    ///
    /// # Errors
    /// [`Error::Stream`] after [`feed`](Self::feed) had one.
    pub fn take_batch(&mut self) -> Result<RecordBatch> {
        if self.failed {
            return Err(self.tuples.damaged(0, "no batch can be taken after an error"));
        }
        let columns = self.columns.iter_mut();
        let arrays = columns
            .map(|column| column.builder.finish())
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.batch_rows));
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
