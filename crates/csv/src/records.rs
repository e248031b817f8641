//! The records of a file, one at a time, each with its line. Holds one block or one record, whichever is larger.

use std::path::{Path, PathBuf};

use memchr::memchr_iter;

use crate::error::{CsvError, RowFault};
use crate::settings::{CsvSettings, OnBadRow};
use crate::sniff::{Doubt, delimiter_of};
use crate::split::{Breach, Dialect, Field, Fields, LineEnd, Split, SplitError, first_line, split};
use crate::text::{Text, TextError};

/// Characters looked at to find the delimiter.
const SAMPLE_BYTES: usize = 64 * 1024;

/// A file's records in order.
pub(crate) struct Records {
    path: PathBuf,
    text: Text,
    dialect: Dialect,
    comment: Option<u8>,
    /// The line after which all is left out.
    last_line: Option<u64>,
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
    /// Whether there was a record.
    begun: bool,
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
    /// Looks at the start of `text`, for the delimiter where none is given; `last_line` is the last one to be read.
    pub(crate) fn open(
        path: PathBuf,
        text: Text,
        settings: &CsvSettings,
        last_line: Option<u64>,
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
                escape: settings.escape,
            },
            comment: settings.comment,
            last_line,
            record_bytes_max,
            line_end: None,
            buffer: String::new(),
            start: 0,
            length: 0,
            line: 1,
            fields: Fields::default(),
            ended: false,
            begun: false,
            quarantines,
        };
        records.fill(SAMPLE_BYTES)?;
        if records.buffer.is_empty() && records.ended {
            return Err(CsvError::Empty { path: records.path });
        }
        for _ in 0..settings.skip_rows {
            records.skip_line()?;
        }
        if records.is_at_end() {
            return Err(CsvError::NothingLeft {
                path: records.path,
                skip_rows: settings.skip_rows,
                skip_footer: settings.skip_footer,
            });
        }
        records.fill(SAMPLE_BYTES)?;
        if let Some(said) = records.said_delimiter() {
            if delimiter.is_some_and(|set| set != said) {
                let reason = format!(
                    "its first line says `sep={}`, and `delimiter` is another",
                    char::from(said)
                );
                return Err(CsvError::Settings {
                    path: records.path,
                    reason,
                });
            }
            records.dialect.delimiter = said;
            records.skip_line()?;
        } else if delimiter.is_none() {
            let (sample, ended) = records.sample();
            let found = delimiter_of(sample, ended, records.dialect, records.comment, quarantines);
            records.dialect.delimiter = found.map_err(|doubt| records.doubtful(doubt))?;
        }
        Ok(records)
    }

    /// The delimiter that a first line `sep=;` tells, as spreadsheets write it.
    fn said_delimiter(&self) -> Option<u8> {
        let (sample, _) = self.sample();
        let line = &sample[..first_line(sample, true, &mut None)?];
        let line = line.trim_end_matches(['\r', '\n']).trim_matches('"');
        match line.as_bytes() {
            [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', said] if said.is_ascii() && *said != self.dialect.quote => {
                Some(*said)
            }
            _ => None,
        }
    }

    fn doubtful(&self, doubt: Doubt) -> CsvError {
        let path = self.path.clone();
        match doubt {
            Doubt::Two(first, second) => CsvError::AmbiguousDelimiter { path, first, second },
            Doubt::LinesBefore { fields, delimiter } => CsvError::LinesBefore {
                path,
                line: self.line,
                fields,
                delimiter,
            },
        }
    }

    /// The text that is pending, without what is left out at the end, and whether nothing follows it.
    fn sample(&self) -> (&str, bool) {
        let pending = &self.buffer[self.start..];
        let Some(last_line) = self.last_line else {
            return (pending, self.ended);
        };
        let (mut length, mut line_end) = (0, self.line_end);
        for _ in self.line..=last_line {
            match first_line(&pending[length..], self.ended, &mut line_end) {
                Some(line) => length += line,
                None => return (pending, false),
            }
        }
        (&pending[..length], true)
    }

    /// Whether nothing is left to be read.
    fn is_at_end(&self) -> bool {
        self.start == self.buffer.len() && self.ended || self.last_line.is_some_and(|last| self.line > last)
    }

    /// Goes to the next record.
    pub(crate) fn advance(&mut self) -> Result<Record, CsvError> {
        self.line += self.lines_of_record();
        self.start += self.length;
        self.length = 0;
        loop {
            if self.is_at_end() {
                self.read_out()?;
                return Ok(Record::End);
            }
            let pending = &self.buffer[self.start..];
            if self.comment.is_some() && pending.bytes().next() == self.comment {
                self.skip_line()?;
                continue;
            }
            match split(pending, self.ended, self.dialect, &mut self.line_end, &mut self.fields) {
                Ok(Split::Record { length }) if length <= self.record_bytes_max => {
                    self.length = length;
                    self.begun = true;
                    let ends = |last: u64| self.line + self.line_ends_in(self.text()) <= last;
                    return match self.last_line {
                        Some(last) if !ends(last) => Err(CsvError::IntoFooter {
                            path: self.path.clone(),
                            line: self.line,
                        }),
                        _ => Ok(Record::Sound),
                    };
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

    /// Leaves out the line that is pending.
    fn skip_line(&mut self) -> Result<(), CsvError> {
        self.start += self.length_of_line()?;
        self.line += 1;
        Ok(())
    }

    /// Reads what is left out at the end: the digest is of the whole file.
    fn read_out(&mut self) -> Result<(), CsvError> {
        while !self.ended {
            self.start = self.buffer.len();
            self.fill(1)?;
        }
        self.start = self.buffer.len();
        Ok(())
    }

    /// Makes the line with a breach the current record, where that is asked for and certain to be one row.
    ///
    /// It is certain of a line on which the record starts, and on which the quotes pair: whatever each of them was
    /// meant for, none is open at the line's end.
    fn take_broken(&mut self, error: &SplitError) -> Result<Record, CsvError> {
        let line_of = |at: usize| self.line + self.line_ends_in(&self.buffer[self.start..self.start + at]);
        let breach_line = line_of(error.at);
        let mut line = breach_line;
        let field = self.fields.count;
        let path = self.path.clone();
        let fault = match error.breach {
            Breach::UnterminatedQuote => {
                let field = field + 1;
                return Err(CsvError::UnterminatedQuote { path, line, field });
            }
            // The quote that opens is the one to look at: it may have swallowed all lines since.
            Breach::TextAfterQuote { open } => {
                line = line_of(open);
                let further = breach_line - line;
                RowFault::TextAfterQuote { field, further }
            }
            Breach::MixedLineEnds => RowFault::MixedLineEnds { field },
        };
        let is_first_record = !self.begun; // without it there are no columns
        // A line feed among carriage returns: the first line was taken for what it is not.
        let is_about_the_file = error.breach == Breach::MixedLineEnds && self.line_end_byte() == b'\r';
        if !self.quarantines || is_first_record || is_about_the_file {
            return Err(CsvError::Row { path, line, fault });
        }
        let several_lines = breach_line != self.line;
        let length = self.length_of_line()?;
        let text = &self.buffer.as_bytes()[self.start..self.start + length];
        let any_escape = self.dialect.escape.is_some_and(|escape| text.contains(&escape));
        if several_lines || any_escape || memchr_iter(self.dialect.quote, text).count() % 2 == 1 {
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
            let pending = &self.buffer[self.start + searched..];
            let line = first_line(pending, self.ended, &mut self.line_end);
            // A carriage return may be half of a line end.
            let length = searched + line.unwrap_or(pending.len() - usize::from(pending.ends_with('\r')));
            if length > self.record_bytes_max {
                return Err(self.too_long());
            }
            if line.is_some() {
                return Ok(length);
            }
            searched = length;
            self.fill((searched * 2).clamp(1, self.record_bytes_max.saturating_add(1)))?;
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

    /// What the file's encoding is called.
    pub(crate) fn encoding(&self) -> &'static str {
        self.text.encoding()
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

/// How many lines a file has.
pub(crate) fn count_lines(path: &Path, mut text: Text, line_bytes_max: usize) -> Result<u64, CsvError> {
    let (mut buffer, mut line_end, mut lines) = (String::new(), None, 0);
    loop {
        let more = text.read_into(&mut buffer).map_err(|error| match error {
            TextError::Read(source) => CsvError::Read {
                path: path.to_owned(),
                source,
            },
            TextError::Fault { offset, fault } => CsvError::Text {
                path: path.to_owned(),
                line: lines + 1,
                offset,
                fault,
            },
        })?;
        let mut start = 0;
        while start < buffer.len()
            && let Some(length) = first_line(&buffer[start..], !more, &mut line_end)
        {
            lines += 1;
            start += length;
        }
        buffer.drain(..start);
        if buffer.len() > line_bytes_max {
            return Err(CsvError::RecordTooLong {
                path: path.to_owned(),
                line: lines + 1,
                bytes_max: line_bytes_max,
            });
        }
        if !more {
            return Ok(lines);
        }
    }
}
