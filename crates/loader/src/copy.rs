//! A table's Parquet files as a COPY stream, and the stream into a staging table.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema};
use bytes::{Bytes, BytesMut};
use lake_postgres::copy::CopyEncoder;
use lake_postgres::{ColumnCodec, Connection, Error as PgError, quote_identifier};
use lake_storage::{BatchReader, Memory, StoredFile};
use tokio::sync::mpsc;

use crate::plan::{ColumnPlan, TablePlan};
use crate::staging::Staging;
use crate::{Error, Progress, Result};

/// A piece of the stream: large enough for the network, small beside the batch that it is cut from.
const CHUNK_BYTES: usize = 128 << 10;
/// Chunks between the thread that encodes and the connection that sends.
const CHUNKS_AHEAD: usize = 8;

/// Some bytes of a COPY stream.
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// The rows that begin in it.
    pub(crate) rows: u64,
}

/// Reads a table's day as a COPY stream, header and trailer included. Blocks on the disk.
pub(crate) struct CopyStream {
    table: String,
    columns: Vec<(String, DataType)>,
    reader: BatchReader,
    encoder: CopyEncoder,
    batch: Option<Remainder>,
    /// Of a row that is larger than a chunk.
    rest: Bytes,
    state: State,
}

/// What is left of a batch.
struct Remainder {
    batch: RecordBatch,
    /// Of the whole batch: a slice accounts for all of it.
    row_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Ended,
}

impl CopyStream {
    /// The stream of columns of a table out of some of its files, each sent as its codec says.
    pub(crate) fn open<'a>(
        table: String,
        columns: impl Iterator<Item = (&'a ColumnPlan, ColumnCodec)>,
        files: Vec<StoredFile>,
        memory: &Memory,
    ) -> Self {
        let named = |(column, codec): (&ColumnPlan, ColumnCodec)| {
            let typed = (column.name_in_lake.clone(), column.data_type.clone());
            (typed, (column.name_in_lake.clone(), codec))
        };
        let (columns, codecs) = columns.map(named).unzip();
        Self {
            table,
            columns,
            reader: BatchReader::new(files, memory),
            encoder: CopyEncoder::new(codecs),
            batch: None,
            rest: Bytes::new(),
            state: State::Header,
        }
    }

    fn chunk(&mut self) -> Result<Chunk> {
        let mut bytes = BytesMut::with_capacity(2 * CHUNK_BYTES);
        let mut rows = 0;
        if self.state == State::Header {
            self.encoder.header(&mut bytes);
            self.state = State::Rows;
        }
        while bytes.len() < CHUNK_BYTES {
            let Some(slice) = self.next_rows(CHUNK_BYTES - bytes.len())? else {
                self.encoder.trailer(&mut bytes);
                self.state = State::Ended;
                break;
            };
            self.encoder.rows(&slice, &mut bytes).map_err(|e| self.copy_error(e))?;
            rows += slice.num_rows() as u64;
        }
        Ok(Chunk {
            bytes: bytes.freeze(),
            rows,
        })
    }

    /// The next rows of about so many bytes, at least one.
    fn next_rows(&mut self, bytes: usize) -> Result<Option<RecordBatch>> {
        let Remainder { batch, row_bytes } = match self.batch.take() {
            Some(remainder) => remainder,
            None => match self.reader.next() {
                Some(batch) => {
                    let batch = self.arrange(&batch?)?;
                    let row_bytes = (batch.get_array_memory_size() / batch.num_rows().max(1)).max(1);
                    Remainder { batch, row_bytes }
                }
                None => return Ok(None),
            },
        };
        let rows = (bytes / row_bytes).max(1);
        if rows >= batch.num_rows() {
            return Ok(Some(batch));
        }
        let slice = batch.slice(0, rows);
        let batch = batch.slice(rows, batch.num_rows() - rows);
        self.batch = Some(Remainder { batch, row_bytes });
        Ok(Some(slice))
    }

    /// The manifest's columns in its order and types. A file may hold the same strings in another
    /// layout (views, dictionaries), according to who wrote it.
    fn arrange(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let arrays = self
            .columns
            .iter()
            .map(|(name, data_type)| {
                let array = batch.column_by_name(name).ok_or_else(|| PgError::Encode {
                    column: name.clone(),
                    reason: "its Parquet file lacks it".into(),
                })?;
                if is_other_layout(array.data_type(), data_type) {
                    Ok((name, arrow::compute::cast(array, data_type)?))
                } else {
                    Ok((name, array.clone()))
                }
            })
            .collect::<Result<Vec<(&String, ArrayRef)>, PgError>>()
            .map_err(|e| self.copy_error(e))?;
        if arrays.is_empty() {
            let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            return RecordBatch::try_new_with_options(Schema::empty().into(), Vec::new(), &rows)
                .map_err(|e| self.copy_error(e.into()));
        }
        RecordBatch::try_from_iter_with_nullable(arrays.into_iter().map(|(name, array)| (name, array, true)))
            .map_err(|e| self.copy_error(e.into()))
    }

    fn copy_error(&self, source: PgError) -> Error {
        Error::Copy {
            table: self.table.clone(),
            source: source.into(),
        }
    }
}

impl Iterator for CopyStream {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.rest.is_empty() {
            let bytes = self.rest.split_to(CHUNK_BYTES.min(self.rest.len()));
            return Some(Ok(Chunk { bytes, rows: 0 }));
        }
        if self.state == State::Ended {
            return None;
        }
        let mut chunk = self.chunk();
        match &mut chunk {
            // What sends it copies each chunk as a whole.
            Ok(chunk) => self.rest = chunk.bytes.split_off(chunk.bytes.len().min(2 * CHUNK_BYTES)),
            Err(_) => self.state = State::Ended,
        }
        Some(chunk)
    }
}

fn is_other_layout(have: &DataType, wanted: &DataType) -> bool {
    match (have, wanted) {
        (DataType::Dictionary(_, value), _) => is_other_layout(value, wanted) || **value == *wanted,
        (DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8) => true,
        (DataType::LargeBinary | DataType::BinaryView, DataType::Binary) => true,
        _ => false,
    }
}

/// Copies one of a table's files into its staging table; returns the rows that the server counts.
///
/// # Errors
/// [`Error::Copy`] with the server's answer.
#[tracing::instrument(skip_all, fields(table = %plan.target, rows = file.rows))]
pub(crate) async fn fill(
    connection: &Connection,
    plan: &TablePlan,
    staging: &Staging,
    file: &StoredFile,
    memory: &Memory,
    progress: &(impl Fn(Progress) + Send + Sync),
) -> Result<u64> {
    let codecs = staging.columns.iter().map(|column| column.codec.clone());
    let columns = plan.columns.iter().zip(codecs);
    let stream = CopyStream::open(plan.label(), columns, vec![file.clone()], memory);
    let (sender, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
    // Ends by itself when nobody receives any more.
    let reader = tokio::task::spawn_blocking(move || {
        for chunk in stream {
            if sender.blocking_send(chunk).is_err() {
                break;
            }
        }
    });

    let action = format!("copy into {}", staging.table);
    let copy_error = |source: PgError| Error::Copy {
        table: plan.label(),
        source: source.into(),
    };
    let statement = statement(plan, staging);
    let copy = connection.copy_in(&statement, &action).await;
    let mut copy = copy.map_err(copy_error)?;
    let mut share = Share::of(file);
    while let Some(chunk) = chunks.recv().await {
        let Chunk { bytes, rows } = chunk?; // the unfinished COPY makes the server give it up
        copy.send(bytes).await.map_err(copy_error)?;
        let bytes = share.of_rows(rows);
        progress(Progress::Sent { rows, bytes });
    }
    reader.await.map_err(|source| Error::Reader {
        table: plan.label(),
        source,
    })?;
    copy.finish().await.map_err(copy_error)
}

fn statement(plan: &TablePlan, staging: &Staging) -> String {
    let columns: Vec<String> = plan
        .columns
        .iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    let list = if columns.is_empty() {
        String::new()
    } else {
        format!(" ({})", columns.join(", "))
    };
    format!("copy {}{list} from stdin (format binary)", staging.table.quoted())
}

/// Hands out a file's bytes in proportion to its rows, to the last.
struct Share {
    rows: u64,
    bytes: u64,
    rows_done: u64,
    bytes_done: u64,
}

impl Share {
    fn of(file: &StoredFile) -> Self {
        Self {
            rows: file.rows,
            bytes: file.bytes,
            rows_done: 0,
            bytes_done: 0,
        }
    }

    fn of_rows(&mut self, rows: u64) -> u64 {
        self.rows_done = (self.rows_done + rows).min(self.rows);
        let done = match self.rows {
            0 => self.bytes,
            rows => (u128::from(self.bytes) * u128::from(self.rows_done) / u128::from(rows)) as u64,
        };
        let bytes = done - self.bytes_done;
        self.bytes_done = done;
        bytes
    }
}
