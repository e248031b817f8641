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
    refused: Vec<RefusedColumn>,
}

struct Column {
    name: String,
    codec: ColumnCodec,
    builder: ColumnBuilder,
    is_refused: bool,
}

/// A column with a value that can't be taken.
#[derive(Debug)]
pub struct RefusedColumn {
    /// The row of its first such value, from 0.
    pub row: u64,
    /// The column's place.
    pub column: usize,
    /// [`Error::Value`], [`Error::ArrayShape`] or [`Error::NotText`].
    pub error: Error,
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
                is_refused: false,
            })
            .collect::<Vec<_>>();
        Self {
            schema,
            tuples: TupleReader::new(columns.len(), batch_max),
            columns,
            batch_rows: 0,
            full: VecDeque::new(),
            failed: false,
            refused: Vec::new(),
        }
    }

    /// Takes the next chunk of the stream.
    ///
    /// A value that its Arrow type can't hold does not end it: the other columns are looked at up to the
    /// stream's end, so that [`refused`](Self::refused) has all that can't be taken. There are no batches then.
    ///
    /// # Errors
    /// [`Error::Stream`] if the format is violated. No last batch can be taken afterwards.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        let (columns, rows) = (&mut self.columns, &mut self.batch_rows);
        let fed = self.tuples.feed(chunk, |block| {
            let mut malformed: Option<(usize, usize)> = None;
            for (number, column) in columns.iter_mut().enumerate() {
                if column.is_refused {
                    continue;
                }
                let Err((row, refusal)) = column.builder.append(block.column(number)) else {
                    continue;
                };
                match refusal.into_error(column) {
                    Some(error) => {
                        (column.is_refused, self.failed) = (true, true);
                        self.refused.push(RefusedColumn {
                            row: block.first_row + row as u64,
                            column: number,
                            error,
                        });
                    }
                    None => malformed = malformed.into_iter().chain([(row, number)]).min(),
                }
            }
            if let Some((row, number)) = malformed {
                let Column { name, codec, .. } = &columns[number];
                return Err(Error::Stream {
                    reason: format!("a field of column {name} is not a {codec:?}"),
                    row: block.first_row + row as u64,
                });
            }
            *rows += block.rows;
            if block.ends_batch {
                match self.failed {
                    true => discard(columns, rows),
                    false => self.full.push_back(finish(columns, &self.schema, rows)?),
                }
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
    /// [`Error::Stream`] after [`feed`](Self::feed) had one; that of the first refused column.
    pub fn last_batch(&mut self) -> Result<RecordBatch> {
        if let Some(first) = self.refused().into_iter().next() {
            return Err(first.error);
        }
        if self.failed {
            return Err(self.tuples.damaged(0, "no batch can be taken after an error"));
        }
        finish(&mut self.columns, &self.schema, &mut self.batch_rows)
    }

    /// The columns with a value that could not be taken, and that were not told yet, in the order of these values.
    pub fn refused(&mut self) -> Vec<RefusedColumn> {
        self.refused.sort_by_key(|refused| (refused.row, refused.column));
        std::mem::take(&mut self.refused)
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

/// Empties the builders.
fn discard(columns: &mut [Column], rows: &mut usize) {
    *rows = 0;
    for column in columns {
        column.builder = ColumnBuilder::new(&column.codec);
    }
}

impl Refusal {
    /// `None` for what is no value of the type at all.
    fn into_error(self, column: &Column) -> Option<Error> {
        let name = column.name.clone();
        Some(match self {
            Self::Malformed => return None,
            Self::Unheld(value) => Error::Value {
                column: name,
                value,
                data_type: column.codec.data_type().to_string(),
            },
            Self::Shape(shape) => Error::ArrayShape { column: name, shape },
            Self::NotText(value) => Error::NotText { column: name, value },
        })
    }
}
