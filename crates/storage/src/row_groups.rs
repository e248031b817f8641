//! Parquet's row groups, each encoded column by column.
//!
//! A column that is being encoded has a page, a dictionary and its compressor's tables: up to 3 MB, and
//! 200 kB before the first value, which for hundreds of columns at a time would be more than their values.
//! So batches are kept until they make a row group, whose columns are then encoded one after the other,
//! and let go of one by one.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::errors::Result;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{WriterPropertiesBuilder, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;

use crate::encoding::set_encodings;

/// A row group has no more rows than this, so that readers can skip within files of narrow tables.
const ROWS_MAX: usize = 1 << 20;
/// The key in a footer under which it has the bytes of each row group's average row as it is in memory.
/// Nothing else there tells: a dictionary has each value once, and numbers may be held as differences.
const ROW_BYTES: &str = "lake.row_bytes";

/// Writes batches as a Parquet file, in memory for the values of a row group.
pub(crate) struct RowGroups<W: Write + Send> {
    schema: SchemaRef,
    file: SerializedFileWriter<W>,
    properties: WriterPropertiesBuilder,
    /// Of the row group to be, for each column.
    columns: Vec<Vec<ArrayRef>>,
    rows: usize,
    bytes: usize,
    bytes_max: usize,
    /// Bytes of the average row of each row group.
    row_bytes: Vec<String>,
}

impl<W: Write + Send> RowGroups<W> {
    /// Row groups are closed by the batch with which their values reach `bytes_max`.
    pub(crate) fn new(
        out: W,
        schema: SchemaRef,
        properties: WriterPropertiesBuilder,
        bytes_max: usize,
    ) -> Result<Self> {
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties.clone().build()))?;
        let (file, _) = writer.into_serialized_writer()?;
        Ok(Self {
            columns: vec![Vec::new(); schema.fields().len()],
            schema,
            file,
            properties,
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
        self.bytes += batch_bytes;
        self.rows += batch.num_rows();
        // Rows of megabytes are there several times over as they are encoded: each goes at once.
        let is_large = batch_bytes >= self.bytes_max / 4;
        if self.bytes >= self.bytes_max || self.rows >= ROWS_MAX || is_large {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let fields = self.schema.fields();
        let columns = fields.iter().zip(&self.columns);
        let first = columns.filter_map(|(field, arrays)| Some((field, arrays.first()?)));
        let properties = set_encodings(self.properties.clone(), first).build().into();
        let mut row_group = self.file.next_row_group()?;
        for (field, column) in fields.iter().zip(&mut self.columns) {
            let mut encoders = encoders(field, &properties)?;
            for array in column.drain(..) {
                for (leaf, encoder) in compute_leaves(field, &array)?.iter().zip(&mut encoders) {
                    encoder.write(leaf)?;
                }
            }
            for encoder in encoders {
                encoder.close()?.append_to_row_group(&mut row_group)?;
            }
        }
        row_group.close()?;
        self.row_bytes.push((self.bytes / self.rows).to_string());
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Bytes written so far.
    pub(crate) fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    /// Writes what is left and the footer, and returns the latter.
    pub(crate) fn finish(&mut self) -> Result<ParquetMetaData> {
        self.flush()?;
        let row_bytes = KeyValue::new(ROW_BYTES.to_owned(), self.row_bytes.join(","));
        self.file.append_key_value_metadata(row_bytes);
        self.file.finish()
    }

    /// What is written to.
    pub(crate) fn inner(&self) -> &W {
        self.file.inner()
    }
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
