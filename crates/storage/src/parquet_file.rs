//! Parquet files: written as a stream in bounded memory, read back in bounded batches.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::disk::{self, io};
use crate::encoding::set_encodings;
use crate::{Error, Result};

/// A row group is closed at this many encoded bytes: it is what a writer holds in memory.
const ROW_GROUP_BYTES_MAX: usize = 32 << 20;
/// … or at this many rows, so that readers can skip within files of narrow tables.
const ROW_GROUP_ROWS_MAX: usize = 1 << 20;
/// A batch read back, or handed over by a source, aims at no more bytes than this.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
const BATCH_ROWS_MAX: usize = 8192;

/// One Parquet file being written.
pub struct FileWriter {
    path: PathBuf,
    schema: SchemaRef,
    file: Arc<File>,
    /// From the first batch on, by which the encodings are chosen.
    writer: Option<ArrowWriter<Arc<File>>>,
}

/// A finished, synced Parquet file that no table has yet.
#[derive(Clone, Debug)]
pub struct WrittenFile {
    /// Where it is.
    pub path: PathBuf,
    /// Rows in its footer.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl FileWriter {
    /// Creates the file and the folders above it.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Parquet`], naming the file.
    pub fn create(path: &Path, schema: &SchemaRef) -> Result<Self> {
        if let Some(parent) = path.parent() {
            disk::create_dir_all(parent)?;
        }
        Ok(Self {
            path: path.into(),
            schema: schema.clone(),
            file: Arc::new(File::create(path).map_err(io("create", path))?),
            writer: None,
        })
    }

    /// Appends a batch, which has the file's schema.
    ///
    /// # Errors
    /// [`Error::Parquet`], e.g. when the disk is full.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let properties = set_encodings(base_properties(&self.schema), batch);
                let writer = self.open(properties)?;
                self.writer.insert(writer)
            }
        };
        writer.write(batch).map_err(parquet_error("write", &self.path))
    }

    fn open(&self, properties: WriterPropertiesBuilder) -> Result<ArrowWriter<Arc<File>>> {
        let (file, schema) = (self.file.clone(), self.schema.clone());
        ArrowWriter::try_new(file, schema, Some(properties.build())).map_err(parquet_error("write", &self.path))
    }

    /// Bytes written to disk so far.
    pub fn bytes_written(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| writer.bytes_written() as u64)
    }

    /// Writes the footer and syncs the file.
    ///
    /// # Errors
    /// [`Error::Parquet`] or [`Error::Io`].
    pub fn finish(mut self) -> Result<WrittenFile> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.open(base_properties(&self.schema))?,
        };
        let footer = writer.finish().map_err(parquet_error("write", &self.path))?;
        self.file.sync_all().map_err(io("sync", &self.path))?;
        let bytes = self.file.metadata().map_err(io("read", &self.path))?.len();
        Ok(WrittenFile {
            path: self.path,
            rows: u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default(),
            bytes,
        })
    }
}

/// How the lake writes Parquet, and so what is exported from it.
///
/// zstd level 1 against snappy is a trade of a little time for a much smaller lake; see the
/// figures in `benches/RESULTS.md`.
///
/// Floating-point columns have no statistics. Those of Parquet leave NaN out, while SQL engines, ours
/// among them, order it above all numbers: a filter would pass over the row groups that hold it.
pub fn parquet_properties(schema: &SchemaRef) -> WriterProperties {
    base_properties(schema).build()
}

fn base_properties(schema: &SchemaRef) -> WriterPropertiesBuilder {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_created_by(concat!("lake version ", env!("CARGO_PKG_VERSION")).into());
    let columns = schema.fields().iter().filter_map(|field| floating_column(field));
    columns.fold(properties, |properties, column| {
        properties.set_column_statistics_enabled(column, EnabledStatistics::None)
    })
}

/// The path of the numbers of a floating-point field, or of a list of them.
fn floating_column(field: &Field) -> Option<ColumnPath> {
    let mut path = vec![field.name().clone()];
    let mut data_type = field.data_type();
    while let DataType::List(item) = data_type {
        path.extend(["list".to_owned(), item.name().clone()]);
        data_type = item.data_type();
    }
    data_type.is_floating().then(|| path.into())
}

/// Reads files one after another as one sequence of batches.
pub struct BatchReader {
    files: std::vec::IntoIter<PathBuf>,
    current: Option<(PathBuf, ParquetRecordBatchReader)>,
}

impl BatchReader {
    /// Reads `files` in their order; each batch holds about [`BATCH_BYTES_MAX`] bytes at the most.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self {
            files: files.into_iter(),
            current: None,
        }
    }

    fn open(path: &Path) -> Result<ParquetRecordBatchReader> {
        let file = File::open(path).map_err(io("read", path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet_error("read", path))?;
        // The widest row group decides, so that rows of megabytes come a few at a time.
        let row_bytes = builder
            .metadata()
            .row_groups()
            .iter()
            .map(|group| group.total_byte_size() / group.num_rows().max(1))
            .max()
            .unwrap_or(1)
            .max(1);
        let rows = (BATCH_BYTES_MAX as i64 / row_bytes).clamp(1, BATCH_ROWS_MAX as i64) as usize;
        builder
            .with_batch_size(rows)
            .build()
            .map_err(parquet_error("read", path))
    }
}

impl Iterator for BatchReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((path, reader)) = &mut self.current {
                match reader.next() {
                    Some(batch) => return Some(batch.map_err(|e| parquet_error("read", path)(e.into()))),
                    None => self.current = None,
                }
            }
            let path = self.files.next()?;
            match Self::open(&path) {
                Ok(reader) => self.current = Some((path, reader)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn parquet_error(action: &'static str, path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
    move |source| Error::Parquet {
        action,
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Float64Array, Int32Array, ListArray};
    use arrow::datatypes::{Float64Type, Schema};

    use super::*;

    #[test]
    fn floating_point_columns_have_no_statistics() {
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(1.0), None])]);
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Float64, true),
            Field::new("b", list.data_type().clone(), true),
            Field::new("c", DataType::Int32, true),
        ]));
        let columns: Vec<Arc<dyn Array>> = vec![
            Arc::new(Float64Array::from(vec![f64::NAN])),
            Arc::new(list),
            Arc::new(Int32Array::from(vec![7])),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let mut writer = FileWriter::create(&path, &schema).unwrap();
        writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
        writer.finish().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let row_group = reader.metadata().row_group(0);
        let with_statistics = row_group.columns().iter().map(|column| column.statistics().is_some());
        assert_eq!(with_statistics.collect::<Vec<_>>(), [false, false, true]);
    }
}
