//! A COPY stream as record batches.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use super::columns::{ColumnBuilder, Refusal};
use super::tuples::{BatchSize, TupleReader};
use crate::{ColumnCodec, Error, Result};

/// Reads a COPY stream, in chunks cut anywhere, into batches of its schema's columns.
///
/// The rows of a chunk are taken column by column, so that what has to be decided for a type is
/// decided once for some hundred values. Chunks of whole rows are read fastest.
pub struct CopyDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    tuples: TupleReader,
    /// Of the batch that is being built.
    batch_rows: usize,
    full: VecDeque<RecordBatch>,
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
    ///
    /// A batch ends with the row by which it has the rows, or the bytes, of `batch_max`. So the same rows make
    /// the same batches, however the network cuts them.
    pub fn new(schema: SchemaRef, codecs: &[ColumnCodec], batch_max: BatchSize) -> Self {
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
            tuples: TupleReader::new(columns.len(), batch_max),
            columns,
            batch_rows: 0,
            full: VecDeque::new(),
            failed: false,
        }
    }

    /// Takes the next chunk of the stream.
    ///
    /// # Errors
    /// [`Error::Stream`] if the format is violated, [`Error::Value`] or [`Error::NotText`] for a value
    /// that its Arrow type can't hold: the first of the stream. No last batch can be taken afterwards.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        let (columns, rows) = (&mut self.columns, &mut self.batch_rows);
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
            if block.ends_batch {
                self.full.push_back(finish(columns, &self.schema, rows)?);
            }
            Ok(())
        });
        self.failed |= fed.is_err();
        fed
    }

    /// The next batch of those that are full, in the stream's order; `None` until more is fed.
    pub fn full_batch(&mut self) -> Option<RecordBatch> {
        self.full.pop_front()
    }

    /// The rows after the last full batch, as a batch that may have none.
    ///
    /// # Errors
    /// [`Error::Stream`] after [`feed`](Self::feed) had one.
    pub fn last_batch(&mut self) -> Result<RecordBatch> {
        if self.failed {
            return Err(self.tuples.damaged(0, "no batch can be taken after an error"));
        }
        finish(&mut self.columns, &self.schema, &mut self.batch_rows)
    }

    /// Ends the stream and returns how many rows it had.
    ///
    /// # Errors
    /// [`Error::Stream`] if its trailer did not come.
    pub fn end(&self) -> Result<u64> {
        self.tuples.end()
    }
}

/// The values of the builders as a batch of so many rows; both are empty afterwards.
fn finish(columns: &mut [Column], schema: &SchemaRef, rows: &mut usize) -> Result<RecordBatch> {
    let arrays = columns.iter_mut().map(|column| column.builder.finish());
    let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(rows)));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
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
