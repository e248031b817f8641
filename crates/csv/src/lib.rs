//! A CSV file as Arrow record batches, for the pipeline: nothing is lost or changed without an error.
//!
//! ```text
//!          first pass: every record is checked, every cell seen           second pass: batches
//! file ─► input ─► text ─► split / records ─► rows ─► infer ─► schema  │  rows ─► column ─► RecordBatch
//!      (gzip, zstd) (UTF-8)   (RFC 4180)    │                          │  digest and row counts as before?
//!                                           └─► a bad row: an error, or set aside
//! ```
//!
//! # What a file may look like
//! - UTF-8 or UTF-16 by its byte order mark, or the encoding that is set; NUL characters are text, unless they are all over.
//! - Plain, gzip or zstd, told by its first bytes.
//! - RFC 4180, with LF and CRLF line ends, mixed as they come, or CR throughout. A quote inside an unquoted field is
//!   text; text after a closing quote, a quote that is never closed, and rows with more or fewer fields than the first
//!   line are refused.
//! - Any size; a record of at most 64 MiB, and 16,384 columns.
//! - The first line is the header. A blank line after it is skipped where the file has more than one column; in
//!   a file of one column it is a NULL, as PostgreSQL's COPY writes it.
//!
//! # NULL and the empty text
//! As in PostgreSQL's CSV: an empty field is NULL, and a quoted empty field `""` is the empty text, which makes its
//! column text.
//!
//! # Types
//! A column gets the narrowest type that gives back every one of its cells: boolean, `Int64`, `Decimal128(18,s)` or
//! `(38,s)`, `Float64` (only where an exponent, NaN or infinity occurs), `Date32` and timestamps in ISO 8601, and
//! `Utf8` for all else. Numbers with leading zeros, a plus, spaces or thousands separators are codes, and codes are
//! text. So is a column with `-0`, whose sign a decimal drops, and one with more digits than its type can carry: a
//! double is written in the shortest way, so that it is the same number when it is written again.
//!
//! # Names
//! Settings speak of columns by the header's own names, and of one without a name of its own by its place, as
//! `column_3`. [`CsvSettings::rename`] gives columns other names in the schema; there, none may be empty, and no two
//! alike but for case.
//!
//! # Bad rows
//! [`OnBadRow::Quarantine`] leaves bad rows out, of which neither types nor batches know; the second pass can write
//! them down. It does so only with what is certain to be one row: a cell that its column's set type can't hold; and,
//! on a line of their own, too few or too many fields, and, if the quotes in that line pair, text after a closing quote
//! or a lone carriage return. A row over several lines may be many, swallowed by a quote too many, and stays an error;
//! so do a quote that is never closed, a record beyond the limit, bytes that are no text, and all that is wrong with
//! the header.

mod bad_rows;
mod calendar;
mod column;
mod error;
mod found;
mod header;
mod infer;
mod input;
mod number;
mod records;
mod rows;
mod settings;
mod sniff;
mod split;
#[cfg(test)]
mod tests;
mod text;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::bad_rows::BadRows;
use crate::column::ColumnBuilder;
use crate::error::shortened;
pub use crate::error::{CsvError, RowFault, TextFault};
pub use crate::found::Found;
use crate::infer::Observer;
use crate::input::Input;
use crate::rows::{Limits, Row, Rows};
pub use crate::settings::{ColumnType, CsvSettings, Encoding, OnBadRow, UnknownColumnType};

/// The most that one batch may be asked to hold: text arrays count their bytes in 31 bits.
const BATCH_BYTES_LIMIT: usize = 1 << 30;

/// Field metadata: `true` where no cell of the file told what type the column has. It is text until
/// another file of the table knows better.
pub const METADATA_NO_VALUES: &str = "lake.no_values";

fn field(name: &str, observer: &Observer) -> Field {
    let field = Field::new(name, observer.column_type().data_type(), true);
    match observer.has_no_type() {
        true => field.with_metadata([(METADATA_NO_VALUES.to_owned(), "true".to_owned())].into()),
        false => field,
    }
}

fn refuse_row_as_header(path: &Path, rows: &Rows, observers: &[Observer]) -> Result<(), CsvError> {
    let header = rows.header();
    let mut cells = (1..).zip(&header.names).zip(observers);
    match cells.find(|((_, cell), observer)| observer.is_like(cell)) {
        Some(((position, cell), observer)) => Err(CsvError::HeaderIsRow {
            path: path.to_owned(),
            line: header.line,
            position,
            cell: shortened(cell),
            column_type: observer.column_type(),
        }),
        None => Ok(()),
    }
}

/// A CSV file that was read once: every record is sound, and the type of every column is known.
#[derive(Debug, Clone)]
pub struct CsvFile {
    input: Input,
    settings: CsvSettings,
    limits: Limits,
    schema: SchemaRef,
    column_types: Vec<ColumnType>,
    observers: Vec<Observer>,
    found: Found,
    rows: u64,
    bad_rows: u64,
    digest: u64,
}

impl CsvFile {
    /// Reads the whole file, checks it and infers its types. Blocks; memory is bounded by the longest record.
    ///
    /// # Errors
    /// The first thing in the file that the rules above refuse, with its line.
    pub fn open(path: &Path, settings: &CsvSettings) -> Result<Self, CsvError> {
        Self::from_input(Input::File(path.to_owned()), settings, Limits::default())
    }

    /// The same for a file in memory, which errors call `name`.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn from_bytes(name: &str, bytes: impl Into<Arc<[u8]>>, settings: &CsvSettings) -> Result<Self, CsvError> {
        let input = Input::Memory {
            name: PathBuf::from(name),
            bytes: bytes.into(),
        };
        Self::from_input(input, settings, Limits::default())
    }

    fn from_input(input: Input, settings: &CsvSettings, limits: Limits) -> Result<Self, CsvError> {
        let mut rows = Rows::open(&input, settings, limits)?;
        let mut observers: Vec<_> = rows.set_types().iter().copied().map(Observer::new).collect();
        loop {
            match rows.advance()? {
                Row::Good => {
                    for (cell, observer) in rows.cells().zip(&mut observers) {
                        if let Some(cell) = cell {
                            observer.observe(cell);
                        }
                    }
                }
                Row::Bad(_) => {}
                Row::End => break,
            }
        }
        if settings.header.is_none() {
            refuse_row_as_header(input.path(), &rows, &observers)?;
        }
        let column_types: Vec<_> = observers.iter().map(Observer::column_type).collect();
        let fields: Vec<_> = rows
            .names()
            .iter()
            .zip(&observers)
            .map(|(name, observer)| field(name, observer))
            .collect();
        Ok(Self {
            // The second pass does not guess again.
            settings: CsvSettings {
                delimiter: Some(rows.delimiter()),
                header: Some(settings.has_header()),
                ..settings.clone()
            },
            input,
            limits,
            schema: Arc::new(Schema::new(fields)),
            column_types,
            observers,
            found: rows.found().clone(),
            rows: rows.count(),
            bad_rows: rows.bad(),
            digest: rows.digest(),
        })
    }

    /// One field per column in the file's order, all nullable.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Gives columns the types that they have in `earlier`, by name, where every cell comes back from
    /// them; types that were set stay.
    ///
    /// A file a day has integers one day, decimals the next and nothing on Sunday: its table should
    /// not change with each.
    pub fn keep_types(&mut self, earlier: &Schema) {
        let mut fields = self.schema.fields().to_vec();
        for ((field, column_type), observer) in fields.iter_mut().zip(&mut self.column_types).zip(&self.observers) {
            let had = earlier.field_with_name(field.name()).ok();
            let had = had.filter(|had| !had.metadata().contains_key(METADATA_NO_VALUES));
            if let Some(kept) = had.and_then(|had| ColumnType::of(had.data_type()))
                && observer.fits(kept)
            {
                *column_type = kept;
                *field = Arc::new(Field::new(field.name(), kept.data_type(), true));
            }
        }
        self.schema = Arc::new(Schema::new(fields));
    }

    /// How the file is read where no setting says it.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Rows of the file, without its header and its bad rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that were left out, under [`OnBadRow::Quarantine`].
    pub fn bad_rows(&self) -> u64 {
        self.bad_rows
    }

    /// Reads the file again, now into batches of this [`schema`](Self::schema), rows in the file's order.
    ///
    /// A batch is closed by the row with which its arrays reach `batch_bytes_max` bytes (at most 1 GiB is taken). A
    /// file without rows gives no batch. Trust the batches only once the iterator has ended without an error: that
    /// the file is still the one that was checked shows at its end.
    ///
    /// # Errors
    /// The file can't be opened again. The iterator gives [`CsvError::Changed`] if its bytes are not the same as
    /// before, and ends after any error.
    pub fn batches<'w>(&self, batch_bytes_max: usize) -> Result<CsvBatches<'w>, CsvError> {
        let opened = Rows::open(&self.input, &self.settings, self.limits);
        let rows = opened.map_err(|error| self.second_pass_error(error))?;
        if rows.names().len() != self.column_types.len() {
            return Err(self.changed());
        }
        Ok(CsvBatches {
            builders: self.column_types.iter().copied().map(ColumnBuilder::new).collect(),
            file: self.clone(),
            rows,
            bad_rows: None,
            batch_bytes_max: batch_bytes_max.min(BATCH_BYTES_LIMIT),
            ended: false,
        })
    }

    /// What the first pass accepted can only be refused now if it is no longer the same.
    fn second_pass_error(&self, error: CsvError) -> CsvError {
        match error {
            CsvError::Open { .. } | CsvError::NotAFile { .. } | CsvError::Read { .. } => error,
            _ => self.changed(),
        }
    }

    fn bad_rows_error(&self, source: std::io::Error) -> CsvError {
        CsvError::BadRows {
            path: self.input.path().to_owned(),
            source,
        }
    }

    fn changed(&self) -> CsvError {
        CsvError::Changed {
            path: self.input.path().to_owned(),
        }
    }
}

/// The batches of a [`CsvFile`], in the file's order.
pub struct CsvBatches<'w> {
    file: CsvFile,
    rows: Rows,
    bad_rows: Option<BadRows<'w>>,
    builders: Vec<ColumnBuilder>,
    batch_bytes_max: usize,
    ended: bool,
}

impl<'w> CsvBatches<'w> {
    /// Writes the rows that are left out to `out` as the batches are read: a CSV file with the columns `line`, at which
    /// the row starts, `reason`, and `row`, its text as it stands in the file but in UTF-8. Without a bad row nothing is
    /// written. All of it is written and flushed once the iterator has ended without an error.
    #[must_use]
    pub fn write_bad_rows(mut self, out: &'w mut (dyn Write + Send)) -> Self {
        self.bad_rows = Some(BadRows::new(out));
        self
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CsvError> {
        let (mut batch_rows, mut batch_bytes) = (0_usize, 0);
        while batch_bytes < self.batch_bytes_max || batch_rows == 0 {
            match self
                .rows
                .advance()
                .map_err(|error| self.file.second_pass_error(error))?
            {
                Row::Good => {}
                Row::Bad(fault) => {
                    if let Some(bad_rows) = &mut self.bad_rows {
                        bad_rows
                            .push(self.rows.line(), &fault, self.rows.text())
                            .map_err(|error| self.file.bad_rows_error(error))?;
                    }
                    continue;
                }
                Row::End => {
                    self.ended = true;
                    break;
                }
            }
            batch_rows += 1;
            for (cell, builder) in self.rows.cells().zip(&mut self.builders) {
                batch_bytes += builder.append(cell).ok_or_else(|| self.file.changed())?;
            }
        }
        if self.ended {
            let now = (self.rows.count(), self.rows.bad(), self.rows.digest());
            if now != (self.file.rows, self.file.bad_rows, self.file.digest) {
                return Err(self.file.changed());
            }
            if let Some(bad_rows) = &mut self.bad_rows {
                bad_rows.flush().map_err(|error| self.file.bad_rows_error(error))?;
            }
        }
        if batch_rows == 0 {
            return Ok(None);
        }
        let arrays = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        RecordBatch::try_new(self.file.schema(), arrays)
            .map(Some)
            .map_err(|source| CsvError::Batch {
                path: self.file.input.path().to_owned(),
                source,
            })
    }
}

impl Iterator for CsvBatches<'_> {
    type Item = Result<RecordBatch, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.next_batch();
        self.ended |= batch.is_err();
        batch.transpose()
    }
}
