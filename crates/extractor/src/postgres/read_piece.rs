//! One piece: COPY out, decode, write.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use lake_postgres::Connection;
use lake_postgres::copy::{BatchSize, CopyDecoder, RefusedColumn};
use lake_storage::FileWriter;

use super::drift;
use super::pieces::Piece;
use super::read::{Part, Sink, Work};
use super::refused::Refused;
use super::relation::Table;
use crate::{Error, Progress, Result};

const BATCH_ROWS_MAX: usize = 8192;

impl<P: Fn(Progress) + Send + Sync> Work<P> {
    /// `None` if a value of the piece can't be taken, once there will be no day, and once another worker has failed.
    pub(super) async fn read(&self, connection: &Connection, table: &Table, piece: &Piece) -> Result<Option<Part>> {
        let copy = format!(
            "copy (select {} from {}{}) to stdout (format binary)",
            table.select.join(", "),
            table.from,
            piece.condition(table)
        );
        let explain = |error| drift::explain(error, table);
        let mut stream = connection.copy_out(&copy, "read it").await.map_err(explain)?;
        let batch_max = BatchSize {
            rows: BATCH_ROWS_MAX,
            bytes: self.sink.memory().batch_bytes(),
        };
        let mut decoder = CopyDecoder::new(table.schema.clone(), &table.codecs, batch_max);
        let mut writer = match &self.sink {
            Sink::Day(day) => Some(day.file(&table.name, &table.schema, piece.number)?),
            Sink::Nowhere(_) => None,
        };
        let mut is_refused = false;
        // Read and not told yet.
        let mut bytes = 0;
        while let Some(rows) = stream.next().await.map_err(explain)? {
            let _alone = match rows.len() > batch_max.bytes {
                true => self.sink.memory().alone().await,
                false => None,
            };
            bytes += rows.len() as u64;
            decoder.feed(rows)?;
            while let Some(batch) = decoder.full_batch() {
                self.write(&batch, std::mem::take(&mut bytes), writer.as_mut())?;
            }
            let refused = decoder.refused();
            is_refused |= !refused.is_empty();
            self.refuse(piece, refused);
            if is_refused || self.looks_only.load(Ordering::Relaxed) {
                writer = None;
            }
            if self.failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        let decoded = decoder.end()?;
        if !is_refused {
            self.write(&decoder.last_batch()?, bytes, writer.as_mut())?;
        }
        let counted = stream.counted()?;
        if decoded != counted {
            return Err(Error::RowCount { counted, decoded });
        }
        let Some(writer) = writer else { return Ok(None) };
        Ok(Some(Part {
            number: piece.number,
            counted,
            file: writer.finish()?,
        }))
    }

    /// Writes a batch, on this thread, whose core has the data at hand; the server goes on meanwhile.
    fn write(&self, batch: &RecordBatch, bytes: u64, writer: Option<&mut FileWriter>) -> Result<()> {
        if let Some(writer) = writer {
            writer.write(batch)?;
        }
        (self.progress)(Progress::Read {
            rows: batch.num_rows() as u64,
            bytes,
        });
        Ok(())
    }

    /// Remembers the columns with a value that can't be taken.
    fn refuse(&self, piece: &Piece, columns: Vec<RefusedColumn>) {
        for RefusedColumn { error, .. } in columns {
            let refused = Refused {
                table: piece.table,
                piece: piece.number,
                error,
            };
            if !refused.is_shape() && !self.looks_only.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "{}; there will be no day: the rest is read for other columns that need a line in the config",
                    refused.describe(&self.tables)
                );
            }
            self.refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(refused);
        }
    }
}
