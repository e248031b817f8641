//! The bytes of the lake's files for DataFusion's Parquet scans, checked as they are read.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lake_storage::{CheckedFile, StoredFile};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;

/// A file of a scan: an extension of DataFusion's [`PartitionedFile`].
#[derive(Debug)]
pub(crate) struct ScannedFile {
    pub(crate) stored: StoredFile,
    /// Shared by those who read it at a time, so that each part of it is checked once.
    opened: Mutex<Weak<CheckedFile>>,
}

impl ScannedFile {
    pub(crate) fn new(stored: StoredFile) -> Self {
        Self {
            stored,
            opened: Mutex::default(),
        }
    }

    /// Opens the file, unless somebody has it open.
    fn open(&self) -> lake_storage::Result<Arc<CheckedFile>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = opened.upgrade() {
            return Ok(file);
        }
        let file = Arc::new(self.stored.open()?);
        *opened = Arc::downgrade(&file);
        Ok(file)
    }
}

thread_local! {
    /// The file whose column chunks this thread read last, or the first that it opened.
    static LAST_READ: RefCell<Option<Arc<ScannedFile>>> = const { RefCell::new(None) };
}

/// Sets the file that this thread is taken to decode, and returns what it was.
pub(crate) fn replace_last_read(file: Option<Arc<ScannedFile>>) -> Option<Arc<ScannedFile>> {
    LAST_READ.replace(file)
}

/// Makes the readers of a scan.
#[derive(Debug)]
pub(crate) struct CheckedReaders;

impl ParquetFileReaderFactory for CheckedReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let Some(scanned) = file.extensions.get_arc::<ScannedFile>() else {
            return Err(DataFusionError::Internal("a file that is not the lake's".to_owned()));
        };
        let opened = scanned.opened.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let name = file.object_meta.location.as_ref();
        Ok(Box::new(CheckedReader {
            scanned,
            opened,
            metrics: ParquetFileMetrics::new(partition_index, name, metrics),
        }))
    }
}

struct CheckedReader {
    scanned: Arc<ScannedFile>,
    opened: Option<Arc<CheckedFile>>,
    metrics: ParquetFileMetrics,
}

impl fmt::Debug for CheckedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedReader").field("scanned", &self.scanned).finish()
    }
}

impl CheckedReader {
    async fn opened(&mut self) -> ParquetResult<Arc<CheckedFile>> {
        if let Some(file) = &self.opened {
            return Ok(file.clone());
        }
        let scanned = self.scanned.clone();
        let file = blocking(move || scanned.open()).await?;
        Ok(self.opened.insert(file).clone())
    }

    async fn read(&mut self, ranges: Vec<Range<u64>>) -> ParquetResult<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.metrics
            .bytes_scanned
            .add(usize::try_from(bytes).unwrap_or(usize::MAX));
        let file = self.opened().await?;
        blocking(move || ranges.into_iter().map(|range| file.read(range)).collect()).await
    }
}

impl AsyncFileReader for CheckedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            let mut read = self.read(vec![range]).await?;
            Ok(read.pop().unwrap_or_default()) // one for each range
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        replace_last_read(Some(self.scanned.clone()));
        self.read(ranges).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        LAST_READ.with_borrow_mut(|file| _ = file.get_or_insert_with(|| self.scanned.clone()));
        async move { Ok(self.opened().await?.metadata().clone()) }.boxed()
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> lake_storage::Result<T> + Send + 'static,
) -> ParquetResult<T> {
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
    read.map_err(|error| ParquetError::External(Box::new(error)))
}
