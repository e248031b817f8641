//! Parquet files: written as a stream in bounded memory, read back in bounded batches.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

use crate::disk::{self, io};
use crate::encoding::leaf;
use crate::memory::Alone;
use crate::row_groups::{self, RowGroups};
use crate::{CheckedFile, Compatibility, Error, Footer, Memory, Result, StoredFile, padding};

/// For what is written by others in these properties: `RowGroups` has a bound of its own.
const ROW_GROUP_BYTES_MAX: usize = 16 << 20;
/// A column's page, and its dictionary. All columns together have as much as 16 such: a writer holds one
/// of each, a reader too.
const PAGE_BYTES_MAX: usize = 1 << 20;
const PAGES_BYTES_MAX: usize = 16 << 20;
const PAGE_BYTES_MIN: usize = 16 << 10;
const BATCH_ROWS_MAX: u64 = 8192;

/// One Parquet file being written.
pub struct FileWriter {
    path: PathBuf,
    writer: RowGroups<File>,
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
    /// By which its bytes are known.
    pub(crate) footer: Footer,
}

impl WrittenFile {
    /// The file as one to be read.
    pub(crate) fn stored(&self) -> StoredFile {
        StoredFile {
            path: self.path.clone(),
            rows: self.rows,
            bytes: self.bytes,
            padded: Arc::default(),
            footer: Some(self.footer),
            origin: None,
        }
    }
}

impl FileWriter {
    /// Creates the file and the folders above it.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Parquet`], naming the file.
    pub fn create(path: &Path, schema: &SchemaRef, compatibility: Compatibility, memory: &Memory) -> Result<Self> {
        if let Some(parent) = path.parent() {
            disk::create_dir_all(parent)?;
        }
        let file = disk::create(path)?;
        let properties = base_properties(schema);
        let writer = RowGroups::new(file, schema.clone(), properties, compatibility, memory);
        let writer = writer.map_err(parquet_error(path))?;
        Ok(Self {
            path: path.into(),
            writer,
        })
    }

    /// Appends a batch, which has the file's schema.
    ///
    /// # Errors
    /// [`Error::Parquet`], e.g. when the disk is full.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(parquet_error(&self.path))
    }

    /// Bytes written to disk so far.
    pub fn bytes_written(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Writes the footer and syncs the file.
    ///
    /// # Errors
    /// [`Error::Parquet`] or [`Error::Io`].
    pub fn finish(mut self) -> Result<WrittenFile> {
        let (metadata, footer) = self.writer.finish().map_err(parquet_error(&self.path))?;
        let file = self.writer.inner();
        file.sync_all().map_err(io("sync", &self.path))?;
        let bytes = file.metadata().map_err(io("read", &self.path))?.len();
        Ok(WrittenFile {
            path: self.path,
            rows: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default(),
            bytes,
            footer,
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
    let columns = schema.fields().len().max(1);
    let page_bytes = (PAGES_BYTES_MAX / columns).clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_size_limit(page_bytes)
        .set_dictionary_page_size_limit(page_bytes)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .set_created_by(concat!("lake version ", env!("CARGO_PKG_VERSION")).into());
    let leaves = schema.fields().iter().map(|field| leaf(field));
    let floating = leaves.filter(|(_, data_type)| data_type.is_floating());
    floating.fold(properties, |properties, (column, _)| {
        properties.set_column_statistics_enabled(column, EnabledStatistics::None)
    })
}

/// Reads files one after another as one sequence of batches, each row group once its bytes are known to be those that
/// were written.
pub struct BatchReader {
    files: std::vec::IntoIter<StoredFile>,
    current: Option<OpenFile>,
    memory: Memory,
    /// While the rows of a row group are larger than a batch.
    alone: Option<Alone>,
}

struct OpenFile {
    file: CheckedFile,
    footer: ArrowReaderMetadata,
    /// Bytes of each row group's average row.
    row_bytes: Vec<u64>,
    next_row_group: usize,
    /// Of the row group at hand.
    batches: Option<ParquetRecordBatchReader>,
}

impl BatchReader {
    /// Reads `files` in their order; each batch holds about as many bytes as a worker's part of the
    /// memory has for it, or one row. Where rows are larger, it waits until no other reader has such.
    pub fn new(files: Vec<StoredFile>, memory: &Memory) -> Self {
        Self {
            files: files.into_iter(),
            current: None,
            memory: memory.clone(),
            alone: None,
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => match self.files.next() {
                    Some(file) => self.current.insert(OpenFile::open(&file)?),
                    None => return Ok(None),
                },
            };
            if let Some(batch) = current.next_batch()? {
                return Ok(Some(batch));
            }
            self.alone = None;
            if !current.begin_row_group(&self.memory, &mut self.alone)? {
                self.current = None;
            }
        }
    }
}

impl OpenFile {
    fn open(stored: &StoredFile) -> Result<Self> {
        let file = stored.open()?;
        let footer = stored.decode(|| {
            let footer = ArrowReaderMetadata::try_new(file.metadata().clone(), ArrowReaderOptions::default());
            footer.map_err(|error| stored.undecodable(&error))
        })?;
        Ok(Self {
            row_bytes: row_groups::row_bytes(footer.metadata()),
            file,
            footer,
            next_row_group: 0,
            batches: None,
        })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batches) = &mut self.batches else {
            return Ok(None);
        };
        let stored = self.file.stored();
        let batch = stored.decode(|| batches.next().transpose().map_err(|error| stored.undecodable(&error)))?;
        Ok(batch.map(|batch| padding::trim(batch, &stored.padded)))
    }

    /// Goes on to the next row group; tells whether there is one.
    fn begin_row_group(&mut self, memory: &Memory, alone: &mut Option<Alone>) -> Result<bool> {
        let Some(row_bytes) = self.row_bytes.get(self.next_row_group) else {
            return Ok(false);
        };
        let batch_bytes = memory.batch_bytes() as u64;
        if *row_bytes > batch_bytes {
            *alone = futures::executor::block_on(memory.alone());
        }
        let rows = (batch_bytes / (*row_bytes).max(1)).clamp(1, BATCH_ROWS_MAX);
        self.file.check_row_group(self.next_row_group)?;
        let stored = self.file.stored();
        let file = self.file.file().try_clone().map_err(io("read", &stored.path))?;
        self.batches = Some(stored.decode(|| {
            let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.footer.clone())
                .with_row_groups(vec![self.next_row_group])
                .with_batch_size(rows as usize)
                .build();
            batches.map_err(|error| stored.undecodable(&error))
        })?);
        self.next_row_group += 1;
        Ok(true)
    }
}

impl Iterator for BatchReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

fn parquet_error(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
    move |source| Error::Parquet {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Float64Array, Int32Array, ListArray, StringArray};
    use arrow::datatypes::{DataType, Field, Float64Type, Schema};
    use parquet::file::metadata::RowGroupMetaData;

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
        let mut writer = FileWriter::create(&path, &schema, Compatibility::New, &Memory::default()).unwrap();
        writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
        writer.finish().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let row_group = reader.metadata().row_group(0);
        let with_statistics = row_group.columns().iter().map(|column| column.statistics().is_some());
        assert_eq!(with_statistics.collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn batches_and_row_groups_are_bounded_in_bytes() {
        let memory = Memory::new(crate::MemorySize::MIN, 1);
        let megabyte = "x".repeat(1_000_000); // a dictionary has it once
        let column: Arc<dyn Array> = Arc::new(StringArray::from_iter_values([megabyte.as_str(); 4]));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let mut writer = FileWriter::create(&path, &batch.schema(), Compatibility::New, &memory).unwrap();
        for _ in 0..15 {
            writer.write(&batch).unwrap();
        }
        let written = writer.finish().unwrap();
        assert_eq!(written.rows, 60);
        let footer = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let groups = footer.metadata().row_groups().iter();
        assert_eq!(groups.map(RowGroupMetaData::num_rows).collect::<Vec<_>>(), [24, 24, 12]);
        let read = BatchReader::new(vec![written.stored()], &memory).map(|batch| batch.unwrap().num_rows());
        assert_eq!(read.collect::<Vec<_>>(), [2; 30]);
    }
}
