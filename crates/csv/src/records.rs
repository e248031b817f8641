//! The records of a file, one at a time, each with its line. Holds one block or one record, whichever is larger.

use std::path::PathBuf;

use memchr::{memchr, memchr_iter};

use crate::error::{CsvError, RowFault};
use crate::settings::{CsvSettings, OnBadRow};
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
    /// A line that breaks the grammar is given out as a broken record, if it is certain that it is one row.
    quarantines: bool,
}

/// What [`Records::advance`] came to.
#[derive(Debug)]
pub(crate) enum Record {
    Sound,
    /// A line that breaks the grammar; it has no fields.
    Broken(RowFault),
    End,
}

impl Records {
    /// Looks at the start of `text`, for the delimiter where none is given.
    pub(crate) fn open(
        path: PathBuf,
        text: Text,
        settings: &CsvSettings,
        record_bytes_max: usize,
    ) -> Result<Self, CsvError> {
        let CsvSettings { delimiter, quote, .. } = *settings;
        let quarantines = settings.on_bad_row == OnBadRow::Quarantine;
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
            quarantines,
        };
        records.fill(SAMPLE_BYTES)?;
        if records.buffer.is_empty() && records.ended {
            return Err(CsvError::Empty { path: records.path });
        }
        if delimiter.is_none() {
            let found = delimiter_of(&records.buffer, records.ended, quote, quarantines);
            records.dialect.delimiter = found.map_err(|(first, second)| CsvError::AmbiguousDelimiter {
                path: records.path.clone(),
                first,
                second,
            })?;
        }
        Ok(records)
    }

    /// Goes to the next record.
    pub(crate) fn advance(&mut self) -> Result<Record, CsvError> {
        self.line += self.lines_of_record();
        self.start += self.length;
        self.length = 0;
        loop {
            let pending = &self.buffer[self.start..];
            if pending.is_empty() && self.ended {
                return Ok(Record::End);
            }
            match split(pending, self.ended, self.dialect, &mut self.line_end, &mut self.fields) {
                Ok(Split::Record { length }) if length <= self.record_bytes_max => {
                    self.length = length;
                    return Ok(Record::Sound);
                }
                Ok(Split::Incomplete) if pending.len() <= self.record_bytes_max => {
                    // Twice as much each time, so that a long record is not split anew block by block.
                    let wanted = (pending.len() * 2).clamp(1, self.record_bytes_max.saturating_add(1));
                    self.fill(wanted)?;
                }
                Ok(_) => return Err(self.too_long()),
                Err(error) => return self.take_broken(&error),
            }
        }
    }

    /// Makes the line with a breach the current record, where that is asked for and certain to be one row.
    ///
    /// It is certain of a line on which the record starts, and on which the quotes pair: whatever each of them was
    /// meant for, none is open at the line's end.
    fn take_broken(&mut self, error: &SplitError) -> Result<Record, CsvError> {
        let line = self.line + self.line_ends_in(&self.buffer[self.start..self.start + error.at]);
        let field = self.fields.count;
        let path = self.path.clone();
        let fault = match error.breach {
            Breach::UnterminatedQuote => {
                let field = field + 1;
                return Err(CsvError::UnterminatedQuote { path, line, field });
            }
            Breach::TextAfterQuote => RowFault::TextAfterQuote { field },
            Breach::MixedLineEnds => RowFault::MixedLineEnds { field },
        };
        let is_first_record = self.line_end.is_none(); // without it there are no columns
        // A line feed among carriage returns: the first line was taken for what it is not.
        let is_about_the_file = error.breach == Breach::MixedLineEnds && self.line_end_byte() == b'\r';
        if !self.quarantines || is_first_record || is_about_the_file {
            return Err(CsvError::Row { path, line, fault });
        }
        let several_lines = line != self.line;
        let length = self.length_of_line()?;
        let text = &self.buffer.as_bytes()[self.start..self.start + length];
        if several_lines || memchr_iter(self.dialect.quote, text).count() % 2 == 1 {
            return Err(CsvError::Uncertain {
                path,
                line,
                fault,
                several_lines,
            });
        }
        self.length = length;
        Ok(Record::Broken(fault))
    }

    /// The bytes of the line that is pending, its line end among them; reads on until they are all there.
    fn length_of_line(&mut self) -> Result<usize, CsvError> {
        let mut searched = 0;
        loop {
            let pending = &self.buffer.as_bytes()[self.start..];
            let length = match memchr(self.line_end_byte(), &pending[searched..]) {
                Some(place) => searched + place + 1,
                None if !self.ended && pending.len() <= self.record_bytes_max => {
                    searched = pending.len();
                    self.fill((searched * 2).min(self.record_bytes_max.saturating_add(1)))?;
                    continue;
                }
                None => pending.len(),
            };
            if length > self.record_bytes_max {
                return Err(self.too_long());
            }
            return Ok(length);
        }
    }

    fn too_long(&self) -> CsvError {
        CsvError::RecordTooLong {
            path: self.path.clone(),
            line: self.line,
            bytes_max: self.record_bytes_max,
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

    /// The current record as it stands in the file, without its line end.
    pub(crate) fn text(&self) -> &str {
        let text = &self.buffer[self.start..self.start + self.length];
        if self.line_end_byte() == b'\r' {
            return text.strip_suffix('\r').unwrap_or(text);
        }
        match text.strip_suffix('\n') {
            Some(text) => text.strip_suffix('\r').unwrap_or(text),
            None => text,
        }
    }

    /// Whether a line ends within the current record.
    pub(crate) fn takes_several_lines(&self) -> bool {
        self.line_ends_in(self.text()) > 0
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
        memchr_iter(self.line_end_byte(), text.as_bytes()).count() as u64
    }

    fn line_end_byte(&self) -> u8 {
        match self.line_end {
            Some(LineEnd::CarriageReturn) => b'\r',
            _ => b'\n',
        }
    }
}
