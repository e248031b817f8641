//! What can be wrong with a CSV file, each with its place and what helps.

use std::io;
use std::path::PathBuf;

use arrow::error::ArrowError;

use crate::settings::ColumnType;

/// Why a CSV file was refused.
///
/// A `line` is a physical line of the file, the first being 1; for a record over several lines it is the
/// one where the trouble starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The file could not be opened.
    #[error("{path}: can't be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A folder, a pipe or a device: a CSV file is read twice.
    #[error("{path}: is not a regular file, and it is read twice: write the data to a file first")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Reading or decompressing failed.
    #[error("{path}: can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's or the decompressor's answer.
        source: io::Error,
    },
    /// Settings that contradict each other.
    #[error("{path}: {reason}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// No byte beyond a byte order mark.
    #[error("{path}: is empty: not even a header")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are not characters.
    #[error("{path}: line {line}, byte {offset}: {fault}")]
    Text {
        /// The file.
        path: PathBuf,
        /// Where it stands.
        line: u64,
        /// Bytes before it, counted in the decompressed file.
        offset: u64,
        /// What it is.
        fault: TextFault,
    },
    /// More than one delimiter splits the file into even rows.
    #[error("{path}: both {first} and {second} could be the delimiter: set `delimiter`")]
    AmbiguousDelimiter {
        /// The file.
        path: PathBuf,
        /// The one, as it is shown to people.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A row with more or fewer fields than the first line.
    #[error(
        "{path}: line {line}: {found} fields where the first line has {expected} (delimiter {delimiter:?}): a field \
         that holds the delimiter or a line end must be quoted; set `delimiter` if it is another"
    )]
    Ragged {
        /// The file.
        path: PathBuf,
        /// Where the row starts.
        line: u64,
        /// Fields of the first line.
        expected: usize,
        /// Fields of this row.
        found: usize,
        /// What the fields were split at.
        delimiter: char,
    },
    /// A quoted field that never ends.
    #[error("{path}: line {line}: the quote that opens field {field} is never closed")]
    UnterminatedQuote {
        /// The file.
        path: PathBuf,
        /// Where the quote opens.
        line: u64,
        /// The field's position in its record, the first being 1.
        field: usize,
    },
    /// A quoted field goes on after its closing quote.
    #[error("{path}: line {line}: text after the closing quote of field {field}: a quote inside a field is doubled")]
    TextAfterQuote {
        /// The file.
        path: PathBuf,
        /// Where the text stands.
        line: u64,
        /// The field's position in its record, the first being 1.
        field: usize,
    },
    /// A line end of another kind than the first line's, outside quotes.
    #[error(
        "{path}: line {line}: a lone carriage return beside line feeds, outside quotes: quote field {field}, or end \
         every line alike"
    )]
    MixedLineEnds {
        /// The file.
        path: PathBuf,
        /// Where it stands.
        line: u64,
        /// The field's position in its record, the first being 1.
        field: usize,
    },
    /// A record beyond the limit: most often a quote too many, long before.
    #[error("{path}: line {line}: the record that starts here is longer than {bytes_max} bytes: is a quote missing?")]
    RecordTooLong {
        /// The file.
        path: PathBuf,
        /// Where the record starts.
        line: u64,
        /// The limit in bytes of UTF-8.
        bytes_max: usize,
    },
    /// More columns than any table has.
    #[error("{path}: line {line}: {found} columns, at most {columns_max} are read")]
    TooManyColumns {
        /// The file.
        path: PathBuf,
        /// The first line.
        line: u64,
        /// Its fields.
        found: usize,
        /// The limit.
        columns_max: usize,
    },
    /// A column without a name.
    #[error("{path}: line {line}: column {position} has no name: write one into the header, or set `header: false`")]
    EmptyName {
        /// The file.
        path: PathBuf,
        /// The header's line.
        line: u64,
        /// The column, the first being 1.
        position: usize,
    },
    /// Two columns of one name. A Delta table can't hold names that differ only in case either.
    #[error(
        "{path}: line {line}: columns {first} ({first_name:?}) and {second} ({second_name:?}) have the same name but \
         for case: rename one in the header"
    )]
    DuplicateName {
        /// The file.
        path: PathBuf,
        /// The header's line.
        line: u64,
        /// The one column, the first being 1.
        first: usize,
        /// Its name, shortened.
        first_name: String,
        /// The other column.
        second: usize,
        /// Its name, shortened.
        second_name: String,
    },
    /// A setting for a column that the file does not have.
    #[error("{path}: no column {column:?}, for which `columns` sets a type: the file has {names}")]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The name in the settings.
        column: String,
        /// The file's names, shortened.
        names: String,
    },
    /// A cell that the type set for its column can't hold exactly.
    #[error(
        "{path}: line {line}, column {column:?}: {value:?} is not exactly a {column_type}: `columns: {{{column}: \
         text}}` carries it as it is"
    )]
    Value {
        /// The file.
        path: PathBuf,
        /// Where the row starts.
        line: u64,
        /// The column's name.
        column: String,
        /// The cell, shortened.
        value: String,
        /// The type set for the column.
        column_type: ColumnType,
    },
    /// The file is not the one that was checked.
    #[error("{path}: changed while it was read: try again once nothing writes to it")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Arrow refused an array that should have been right.
    #[error("{path}: a batch can't be built")]
    Batch {
        /// The file.
        path: PathBuf,
        /// Arrow's reason.
        source: ArrowError,
    },
}

/// Why bytes are not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextFault {
    /// Not UTF-8.
    #[error("not UTF-8: set `encoding: latin1` or `windows1252` if that is what it is")]
    NotUtf8,
    /// Half of a surrogate pair, or half a code unit at the end.
    #[error("not UTF-16, which its byte order mark promises")]
    NotUtf16,
    /// 0x80–0x9F under Latin-1.
    #[error("byte 0x{0:02X} is a control character in Latin-1: set `encoding: windows1252` if that is what it is")]
    NotLatin1(u8),
    /// One of the five bytes that Windows-1252 leaves undefined.
    #[error("byte 0x{0:02X} is no character of Windows-1252")]
    NotWindows1252(u8),
    /// A byte order mark against the encoding that was set.
    #[error("a Unicode byte order mark, against the encoding that is set: set `encoding: utf8`")]
    ByteOrderMark,
    /// U+0000, which PostgreSQL's text can't hold.
    #[error("a NUL character, which no text column can hold (or UTF-16 without a byte order mark)")]
    Nul,
}

/// At most 80 characters of `text`, to be shown in an error.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
