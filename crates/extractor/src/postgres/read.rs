//! Workers: COPY out of a piece, decode, write.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use lake_postgres::Connection;
use lake_postgres::copy::{BatchSize, CopyDecoder};
use lake_storage::{DayWriter, WrittenFile};

use super::PostgresSource;
use super::own_thread::on_own_thread;
use super::pieces::{Piece, workers};
use super::relation::Table;
use super::snapshot::Coordinator;
use crate::{Error, ExtractedTable, Progress, Request, Result};

const BATCH_ROWS_MAX: usize = 8192;

/// A piece of a table in its Parquet file.
pub(super) struct Part {
    pub(super) number: usize,
    /// Rows as the server counted them when it sent them.
    pub(super) counted: u64,
    pub(super) file: WrittenFile,
}

/// What the workers share.
struct Work<P> {
    tables: Vec<Table>,
    queue: Mutex<VecDeque<Piece>>,
    /// Pieces of each table that are not read yet.
    left: Mutex<Vec<(usize, u64, u64)>>,
    day: Arc<DayWriter>,
    /// A worker has failed: what the others do is in vain.
    failed: AtomicBool,
    progress: P,
}

/// Reads all pieces and returns the parts of each table, unordered.
pub(super) async fn read_all<P>(
    snapshot: &Coordinator,
    source: &PostgresSource,
    request: &Request,
    pieces: Vec<Piece>,
    day: Arc<DayWriter>,
    progress: P,
) -> Result<HashMap<String, Vec<Part>>>
where
    P: Fn(Progress) + Send + Sync + 'static,
{
    let connections = workers(&pieces, request.jobs);
    let mut left = vec![(0, 0, 0); snapshot.tables.len()];
    for piece in &pieces {
        left[piece.table].0 += 1;
    }
    let work = Arc::new(Work {
        tables: snapshot.tables.clone(),
        queue: Mutex::new(pieces.into()),
        left: Mutex::new(left),
        day,
        failed: AtomicBool::new(false),
        progress,
    });

    let mut others = Vec::new();
    if connections > 1
        && let Some(exported) = snapshot.export().await
    {
        for _ in 1..connections {
            let (work, source, command, exported) =
                (work.clone(), source.clone(), request.command.clone(), exported.clone());
            others.push(on_own_thread(move || async move {
                match Coordinator::adopt(&source, &command, &exported).await {
                    Ok(connection) => work.run(&connection).await,
                    Err(error) => {
                        tracing::warn!(%error, "no further connection to be had: fewer read the tables");
                        Ok(Vec::new())
                    }
                }
            }));
        }
    }
    // All are awaited, also after a failure: each writes files until it has ended.
    let mut done = vec![work.run(&snapshot.connection).await];
    done.extend(futures::future::join_all(others).await);
    let mut parts: HashMap<String, Vec<Part>> = HashMap::new();
    for of_worker in done {
        for (table, part) in of_worker? {
            parts.entry(table).or_default().push(part);
        }
    }
    Ok(parts)
}

impl<P: Fn(Progress) + Send + Sync> Work<P> {
    /// Reads pieces until none is left, or another worker has failed.
    async fn run(&self, connection: &Connection) -> Result<Vec<(String, Part)>> {
        let done = self.read_pieces(connection).await;
        if done.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        done
    }

    async fn read_pieces(&self, connection: &Connection) -> Result<Vec<(String, Part)>> {
        let mut parts = Vec::new();
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(piece) = next else { return Ok(parts) };
            let table = &self.tables[piece.table];
            let part = self
                .read(connection, table, &piece)
                .await
                .map_err(Error::in_table(table.relation.to_string()))?;
            let Some(part) = part else { return Ok(parts) };
            self.tell_when_done(piece.table, &part);
            parts.push((table.name.clone(), part));
        }
    }

    /// `None` once another worker has failed.
    async fn read(&self, connection: &Connection, table: &Table, piece: &Piece) -> Result<Option<Part>> {
        let copy = format!(
            "copy (select {} from {}{}) to stdout (format binary)",
            table.select,
            table.from,
            piece.condition(table)
        );
        let mut stream = connection.copy_out(&copy, "read it").await?;
        let batch_max = BatchSize {
            rows: BATCH_ROWS_MAX,
            bytes: self.day.memory().batch_bytes(),
        };
        let mut decoder = CopyDecoder::new(table.schema.clone(), &table.codecs, batch_max);
        let mut writer = self.day.file(&table.name, &table.schema, piece.number)?;
        // Read and not told yet.
        let mut bytes = 0;
        while let Some(rows) = stream.next().await? {
            let _alone = match rows.len() > batch_max.bytes {
                true => self.day.memory().alone().await,
                false => None,
            };
            bytes += rows.len() as u64;
            decoder.feed(rows)?;
            while let Some(batch) = decoder.full_batch() {
                self.write(&batch, std::mem::take(&mut bytes), &mut writer)?;
                if self.failed.load(Ordering::Relaxed) {
                    return Ok(None);
                }
            }
        }
        let decoded = decoder.end()?;
        self.write(&decoder.last_batch()?, bytes, &mut writer)?;
        let counted = stream.counted().await?;
        if decoded != counted {
            return Err(Error::RowCount { counted, decoded });
        }
        Ok(Some(Part {
            number: piece.number,
            counted,
            file: writer.finish()?,
        }))
    }

    /// Writes a batch, on this thread, whose core has the data at hand; the server goes on meanwhile.
    fn write(&self, batch: &RecordBatch, bytes: u64, writer: &mut lake_storage::FileWriter) -> Result<()> {
        writer.write(batch)?;
        (self.progress)(Progress::Read {
            rows: batch.num_rows() as u64,
            bytes,
        });
        Ok(())
    }

    fn tell_when_done(&self, table: usize, part: &Part) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (pieces, rows, bytes) = &mut left[table];
        *pieces -= 1;
        *rows += part.file.rows;
        *bytes += part.file.bytes;
        if *pieces == 0 {
            (self.progress)(Progress::TableDone(ExtractedTable {
                name: self.tables[table].name.clone(),
                rows: *rows,
                bytes: *bytes,
            }));
        }
    }
}
