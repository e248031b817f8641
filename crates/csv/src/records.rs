//! The records of a file, one at a time, each with its line. Holds one block or one record, whichever is larger.

use std::path::PathBuf;

use memchr::memchr_iter;

use crate::error::CsvError;
use crate::sniff::delimiter_of;
use crate::split::{Breach, Dialect, Field, Fields, LineEnd, Split, SplitError, split};
use crate::text::{Text, TextError};

/// Characters looked at to find the delimiter.
const SAMPLE_BYTES: usize = 64 * 1024;

/// A file's records in order.
pub(crate) struct Records {
    path: PathBuf,
    text: Text,
    dialect: Dialect,
    record_bytes_max: usize,
    line_end: Option<LineEnd>,
    buffer: String,
    /// The current record's place in `buffer`: `length` bytes with its line end.
    start: usize,
    length: usize,
    /// The line at which the current record starts.
    line: u64,
    fields: Fields,
    /// All text is in `buffer`.
    ended: bool,
}

impl Records {
    /// Looks at the start of `text`, for the delimiter where none is given.
    pub(crate) fn open(
        path: PathBuf,
        text: Text,
        delimiter: Option<u8>,
        quote: u8,
        record_bytes_max: usize,
    ) -> Result<Self, CsvError> {
        let mut records = Self {
            path,
            text,
            dialect: Dialect {
                delimiter: delimiter.unwrap_or(b','),
                quote,
            },
            record_bytes_max,
            line_end: None,
            buffer: String::new(),
            start: 0,
            length: 0,
            line: 1,
            fields: Fields::default(),
            ended: false,
        };
        records.fill(SAMPLE_BYTES)?;
        if records.buffer.is_empty() && records.ended {
            return Err(CsvError::Empty { path: records.path });
        }
        if delimiter.is_none() {
            let found = delimiter_of(&records.buffer, records.ended, quote);
            records.dialect.delimiter = found.map_err(|(first, second)| CsvError::AmbiguousDelimiter {
                path: records.path.clone(),
                first,
                second,
            })?;
        }
        Ok(records)
    }

    /// Goes to the next record; false at the end of the file.
    pub(crate) fn advance(&mut self) -> Result<bool, CsvError> {
        self.line += self.lines_of_record();
        self.start += self.length;
        self.length = 0;
        loop {
            let pending = &self.buffer[self.start..];
            if pending.is_empty() && self.ended {
                return Ok(false);
            }
            match split(pending, self.ended, self.dialect, &mut self.line_end, &mut self.fields) {
                Ok(Split::Record { length }) if length <= self.record_bytes_max => {
                    self.length = length;
                    return Ok(true);
                }
                Ok(Split::Incomplete) if pending.len() <= self.record_bytes_max => {
                    // Twice as much each time, so that a long record is not split anew block by block.
                    let wanted = (pending.len() * 2).clamp(1, self.record_bytes_max.saturating_add(1));
                    self.fill(wanted)?;
                }
                Ok(_) => {
                    return Err(CsvError::RecordTooLong {
                        path: self.path.clone(),
                        line: self.line,
                        bytes_max: self.record_bytes_max,
                    });
                }
                Err(error) => return Err(self.breach(&error)),
            }
        }
    }

    /// The current record's fields, at most [`COLUMNS_MAX`](crate::split::COLUMNS_MAX) of them.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter(&self.buffer[self.start..self.start + self.length])
    }

    /// How many fields the current record has.
    pub(crate) fn field_count(&self) -> usize {
        self.fields.count
    }

    /// Whether the current record is a line without a character.
    pub(crate) fn is_blank(&self) -> bool {
        self.fields.is_blank()
    }

    /// The line at which the current record starts.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The digest of the file's bytes, once `advance` has said false.
    pub(crate) fn digest(&self) -> u64 {
        self.text.digest()
    }

    /// Reads until at least `wanted` bytes are pending, or all there are.
    fn fill(&mut self, wanted: usize) -> Result<(), CsvError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        while !self.ended && (self.buffer.len() < wanted || self.buffer.len() == held) {
            match self.text.read_into(&mut self.buffer) {
                Ok(more) => self.ended = !more,
                Err(TextError::Read(source)) => {
                    return Err(CsvError::Read {
                        path: self.path.clone(),
                        source,
                    });
                }
                Err(TextError::Fault { offset, fault }) => {
                    let line = self.line + self.line_ends_in(&self.buffer);
                    return Err(CsvError::Text {
                        path: self.path.clone(),
                        line,
                        offset,
                        fault,
                    });
                }
            }
        }
        Ok(())
    }

    fn lines_of_record(&self) -> u64 {
        if self.fields.any_quoted {
            self.line_ends_in(&self.buffer[self.start..self.start + self.length])
        } else {
            u64::from(self.length > 0)
        }
    }

    fn line_ends_in(&self, text: &str) -> u64 {
        let line_end = if self.line_end == Some(LineEnd::CarriageReturn) {
            b'\r'
        } else {
            b'\n'
        };
        memchr_iter(line_end, text.as_bytes()).count() as u64
    }

    fn breach(&self, error: &SplitError) -> CsvError {
        let path = self.path.clone();
        let line = self.line + self.line_ends_in(&self.buffer[self.start..self.start + error.at]);
        let field = self.fields.count;
        match error.breach {
            Breach::UnterminatedQuote => CsvError::UnterminatedQuote {
                path,
                line,
                field: field + 1,
            },
            Breach::TextAfterQuote => CsvError::TextAfterQuote { path, line, field },
            Breach::MixedLineEnds => CsvError::MixedLineEnds { path, line, field },
        }
    }
}
