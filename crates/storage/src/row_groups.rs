//! Parquet's row groups, each encoded column by column.
//!
//! A column that is being encoded has a page, a dictionary and its compressor's tables: up to 3 pages, and
//! 200 kB before the first value. Where that fits for all columns at a time, some batches are encoded as soon
//! as they are there, so that the next rows are never kept waiting for long. For hundreds of columns it would
//! be more than their values: batches are then kept until they make a row group, whose columns are encoded
//! one after the other, and let go of one by one.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{WriterPropertiesBuilder, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;

use crate::encoding::set_encodings;
use crate::hash::HashingWriter;
use crate::stored_file::{Footer, MAGIC, chunk_hashes};
use crate::{Compatibility, Memory};

/// A row group has no more rows than this, so that readers can skip within files of narrow tables.
const ROWS_MAX: usize = 1 << 20;
/// Batches are encoded from so many bytes on. One column after the other, so that of its page, its dictionary
/// and its compressor's tables more is in a processor's cache than if all columns took turns at every batch.
const ENCODED_BYTES_MIN: usize = 4 << 20;
/// What a column that is being encoded takes beside its pages.
const ENCODER_BYTES: usize = 200 << 10;
/// The key in a footer under which it has the bytes of each row group's average row as it is in memory.
/// Nothing else there tells: a dictionary has each value once, and numbers may be held as differences.
const ROW_BYTES: &str = "lake.row_bytes";

/// Writes batches as a Parquet file, in memory for the values of a row group.
pub(crate) struct RowGroups<W: Write + Send> {
    schema: SchemaRef,
    file: SerializedFileWriter<HashingWriter<W>>,
    /// Where the last column chunk ends, and to where it is told.
    chunk_end: u64,
    chunk_ends: Sender<u64>,
    properties: WriterPropertiesBuilder,
    compatibility: Compatibility,
    /// The batches that are not encoded yet, for each column.
    columns: Vec<Vec<ArrayRef>>,
    columns_bytes: usize,
    /// … and from this many bytes on shall be.
    columns_bytes_max: usize,
    /// Of the columns of the row group that has been begun.
    encoders: Vec<Vec<ArrowColumnWriter>>,
    /// Of the whole row group, encoded or not.
    rows: usize,
    bytes: usize,
    bytes_max: usize,
    /// Bytes of the average row of each row group.
    row_bytes: Vec<String>,
}

impl<W: Write + Send> RowGroups<W> {
    /// Row groups are closed by the batch with which their values reach the bytes that there is memory for.
    pub(crate) fn new(
        out: W,
        schema: SchemaRef,
        properties: WriterPropertiesBuilder,
        compatibility: Compatibility,
        memory: &Memory,
    ) -> Result<Self> {
        let columns = schema.fields().len();
        let bytes_max = memory.row_group_bytes();
        let built = properties.clone().build();
        let encoders_bytes = columns * (3 * built.data_page_size_limit() + ENCODER_BYTES);
        let encoders_fit = encoders_bytes <= memory.encoders_bytes();
        let (chunk_ends, ends) = channel();
        let chunk_end = MAGIC.len() as u64;
        chunk_ends.send(chunk_end).map_err(told_to_nobody)?;
        let out = HashingWriter::new(out, ends);
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(built))?;
        let (file, _) = writer.into_serialized_writer()?;
        Ok(Self {
            columns: vec![Vec::new(); columns],
            columns_bytes: 0,
            columns_bytes_max: if encoders_fit { ENCODED_BYTES_MIN } else { bytes_max },
            encoders: Vec::new(),
            schema,
            file,
            chunk_end,
            chunk_ends,
            properties,
            compatibility,
            rows: 0,
            bytes: 0,
            bytes_max,
            row_bytes: Vec::new(),
        })
    }

    /// Appends a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut batch_bytes = 0;
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            batch_bytes += array.to_data().get_slice_memory_size()?;
            column.push(array.clone());
        }
        self.columns_bytes += batch_bytes;
        self.bytes += batch_bytes;
        self.rows += batch.num_rows();
        // Rows of megabytes are there several times over as they are encoded: each goes at once.
        let is_large = batch_bytes >= self.bytes_max / 4;
        if self.bytes >= self.bytes_max || self.rows >= ROWS_MAX || is_large {
            self.flush()
        } else if self.columns_bytes >= self.columns_bytes_max {
            self.encode(false)
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.encode(true)?;
        self.row_bytes.push((self.bytes / self.rows).to_string());
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Encodes the batches that are there; the last of a row group go to the file with all before them.
    fn encode(&mut self, last: bool) -> Result<()> {
        let fields = self.schema.fields();
        let mut properties = self.properties.clone();
        if self.encoders.is_empty() {
            let columns = fields.iter().zip(&self.columns);
            properties = set_encodings(
                properties,
                self.compatibility,
                columns.filter_map(|(field, arrays)| Some((field, arrays.first()?))),
            );
        }
        let properties = properties.build().into();
        let mut row_group = last.then(|| self.file.next_row_group()).transpose()?;
        let mut begun = std::mem::take(&mut self.encoders).into_iter();
        for (field, column) in fields.iter().zip(&mut self.columns) {
            let mut encoders = begun.next().map_or_else(|| encoders(field, &properties), Ok)?;
            for array in column.drain(..) {
                for (leaf, encoder) in compute_leaves(field, &array)?.iter().zip(&mut encoders) {
                    encoder.write(leaf)?;
                }
            }
            match &mut row_group {
                None => self.encoders.push(encoders),
                Some(row_group) => {
                    for encoder in encoders {
                        let chunk = encoder.close()?;
                        self.chunk_end += chunk.close().metadata.compressed_size().max(0) as u64;
                        self.chunk_ends.send(self.chunk_end).map_err(told_to_nobody)?;
                        chunk.append_to_row_group(row_group)?;
                    }
                }
            }
        }
        self.columns_bytes = 0;
        row_group.map_or(Ok(()), |row_group| row_group.close().map(drop))
    }

    /// Bytes written so far.
    pub(crate) fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    /// Writes what is left and the footer, and returns the latter.
    pub(crate) fn finish(&mut self) -> Result<(ParquetMetaData, Footer)> {
        self.flush()?;
        self.file.flush()?; // of the last chunk, what is on its way has no hash yet
        let (_magic, hashes) = self.file.inner().parts().split_first().unzip();
        let hashes = chunk_hashes(hashes.unwrap_or_default());
        self.file.append_key_value_metadata(hashes);
        let row_bytes = KeyValue::new(ROW_BYTES.to_owned(), self.row_bytes.join(","));
        self.file.append_key_value_metadata(row_bytes);
        let metadata = self.file.finish()?;
        let footer = Footer {
            offset: self.chunk_end,
            hash: self.file.inner_mut().end(),
        };
        Ok((metadata, footer))
    }

    /// What is written to.
    pub(crate) fn inner(&self) -> &W {
        self.file.inner().inner()
    }
}

fn told_to_nobody(error: std::sync::mpsc::SendError<u64>) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// The encoders of one field's columns in Parquet: one, but for structures. The library makes them for all
/// fields of a file together, so each field gets a file of its own, of which nothing is written.
fn encoders(field: &FieldRef, properties: &WriterPropertiesPtr) -> Result<Vec<ArrowColumnWriter>> {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let columns = ArrowSchemaConverter::new().convert(&schema)?;
    let unwritten = SerializedFileWriter::new(io::sink(), columns.root_schema_ptr(), properties.clone())?;
    ArrowRowGroupWriterFactory::new(&unwritten, schema).create_column_writers(0)
}

/// The bytes of each row group's average row, as it was written; of a file of others, as it is encoded.
pub(crate) fn row_bytes(footer: &ParquetMetaData) -> Vec<u64> {
    let pairs = footer.file_metadata().key_value_metadata().into_iter().flatten();
    let noted = pairs
        .filter(|pair| pair.key == ROW_BYTES)
        .find_map(|pair| pair.value.as_deref());
    let mut noted = noted
        .unwrap_or_default()
        .split(',')
        .map_while(|bytes| bytes.parse().ok());
    let groups = footer.row_groups().iter();
    groups
        .map(|group| {
            let encoded = group.total_byte_size().max(0) as u64 / (group.num_rows().max(1) as u64);
            noted.next().unwrap_or(encoded)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use arrow::datatypes::{DataType, Field};
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::memory::MemorySize;

    #[test]
    fn a_file_is_the_same_whether_its_columns_are_encoded_at_a_time_or_not() {
        let fields = (0..80).map(|column| Field::new(format!("c{column}"), DataType::Int32, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batches = (0..5).map(|batch| {
            let values = Int32Array::from_iter_values((0..6000).map(|row| (row * 7919 + batch) % 10_007));
            let columns = vec![Arc::new(values) as ArrayRef; 80];
            RecordBatch::try_new(schema.clone(), columns).unwrap()
        });
        let batches: Vec<_> = batches.collect();
        let written = |workers, at_a_time| {
            let memory = Memory::new(MemorySize::DEFAULT, workers);
            let properties = WriterProperties::builder().set_data_page_size_limit(200 << 10);
            let mut file = RowGroups::new(Vec::new(), schema.clone(), properties, Compatibility::New, &memory).unwrap();
            for batch in &batches {
                file.write(batch).unwrap();
            }
            assert_eq!(!file.encoders.is_empty(), at_a_time);
            file.finish().unwrap();
            file.inner().clone()
        };
        assert!(written(1, true) == written(2, false));
    }
}
