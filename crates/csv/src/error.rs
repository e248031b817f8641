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
    /// A row that is refused.
    #[error("{path}: line {line}: {fault}: {}", fault.hint())]
    Row {
        /// The file.
        path: PathBuf,
        /// Where the trouble starts.
        line: u64,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// A row that was to be quarantined, but might be a part of a row or more than one.
    #[error(
        "{path}: line {line}: {fault}; the row can't be quarantined, since where it ends is not certain{}: {}",
        if *several_lines { " (it takes up several lines)" } else { " (it has an odd number of quotes)" },
        fault.hint()
    )]
    Uncertain {
        /// The file.
        path: PathBuf,
        /// Where the trouble starts.
        line: u64,
        /// What is wrong with it.
        fault: RowFault,
        /// Whether it takes up several lines, a sign of a quote too many far above; else its quotes do not pair.
        several_lines: bool,
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
    /// A record that the lines to be left out at the end are part of.
    #[error(
        "{path}: line {line}: the record that starts here goes on into the lines that `skip_footer` leaves out: is a \
         quote missing?"
    )]
    IntoFooter {
        /// The file.
        path: PathBuf,
        /// Where the record starts.
        line: u64,
    },
    /// Fewer lines than are to be left out.
    #[error("{path}: has no line left after `skip_rows: {skip_rows}` and `skip_footer: {skip_footer}`")]
    NothingLeft {
        /// The file.
        path: PathBuf,
        /// Lines left out at the start.
        skip_rows: u64,
        /// Lines left out at the end.
        skip_footer: u64,
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
    #[error(
        "{path}: line {line}: column {position} has no name: give it one with `rename: {{column_{position}: …}}`, or \
         set `header: false` if this line is a row"
    )]
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
        "{path}: line {line}: columns {first} ({first_name:?}) and {second} ({second_name:?}) would have the same \
         name but for case: give one another with `rename: {{{key}: …}}`, or set `header: false` if this line is a row"
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
        /// What `rename` calls it.
        key: String,
    },
    /// A first line whose cells look like those below them, where nothing says that it holds names.
    #[error(
        "{path}: line {line} looks like a row, not like names: its field {position} is {cell:?}, and the column below it is \
         {column_type}: write `header: false` if it is a row, or `header: true` if these are names"
    )]
    HeaderIsRow {
        /// The file.
        path: PathBuf,
        /// The first line.
        line: u64,
        /// The first such column, the first being 1.
        position: usize,
        /// Its name, shortened.
        cell: String,
        /// The type of the cells below.
        column_type: ColumnType,
    },
    /// Lines that are no part of the table seem to stand before the header.
    #[error(
        "{path}: line {line} has one field, and the lines after it have {fields} each by {delimiter}: set `skip_rows: {line}` \
         if the header comes after it, or `delimiter: \",\"` if the file has one column"
    )]
    LinesBefore {
        /// The file.
        path: PathBuf,
        /// The first line.
        line: u64,
        /// Fields of the others.
        fields: usize,
        /// What cuts them, as it is shown to people.
        delimiter: &'static str,
    },
    /// A file of another kind.
    #[error("{path}: is {kind}, not CSV: {mend}")]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// What to do.
        mend: &'static str,
    },
    /// A setting for a column that the file does not have.
    #[error("{path}: `{setting}` speaks of a column {column:?}, which the file does not have{hint}")]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// The name in it, shortened.
        column: String,
        /// The nearest of the file's names, or all of them, shortened.
        hint: String,
    },
    /// A setting for a name that two columns have.
    #[error(
        "{path}: `{setting}` speaks of a column {column:?}, but columns {first} and {second} are both called so: \
         write `column_{first}` or `column_{second}`"
    )]
    AmbiguousColumn {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// The name in it, shortened.
        column: String,
        /// The one column, the first being 1.
        first: usize,
        /// The other column.
        second: usize,
    },
    /// The bad rows could not be written to where they are kept.
    #[error("{path}: its bad rows can't be written")]
    BadRows {
        /// The CSV file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
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

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// More or fewer fields than the first line.
    #[error(
        "{found} field{} where the first line has {expected} (delimiter {delimiter:?})",
        if *found == 1 { "" } else { "s" }
    )]
    Ragged {
        /// Fields of the first line.
        expected: usize,
        /// Fields of this row.
        found: usize,
        /// What the fields were split at.
        delimiter: char,
        /// Lines before it, if it is the first row and has more fields: it may be the header.
        lines_before: Option<u64>,
    },
    /// A quoted field goes on after its closing quote.
    #[error(
        "text after the closing quote of field {field}{}",
        if *further == 0 { String::new() } else { format!(", {further} line{} further down", if *further == 1 { "" } else { "s" }) }
    )]
    TextAfterQuote {
        /// The field's position in its record, the first being 1.
        field: usize,
        /// Lines between the quote that opens and the one that closes: it is the former that the line is of.
        further: u64,
    },
    /// A line end of another kind than the first line's, outside quotes.
    #[error("a lone carriage return beside line feeds, outside quotes")]
    MixedLineEnds {
        /// The field's position in its record, the first being 1.
        field: usize,
    },
    /// A cell that the type set for its column can't hold exactly.
    #[error("column {column:?}: {value:?} is not exactly a {column_type}")]
    Value {
        /// What a setting calls the column.
        column: String,
        /// The cell, shortened.
        value: String,
        /// The type set for the column.
        column_type: ColumnType,
    },
}

impl RowFault {
    /// What helps.
    fn hint(&self) -> String {
        match self {
            Self::Ragged {
                lines_before: Some(lines),
                ..
            } => format!(
                "set `skip_rows: {lines}` if this is the header, and `delimiter` if it is another; a field that holds the \
                 delimiter or a line end must be quoted"
            ),
            Self::Ragged { .. } => "a field that holds the delimiter or a line end must be quoted; set `delimiter` if \
                                    it is another"
                .to_owned(),
            Self::TextAfterQuote { .. } => {
                "a quote inside a field is doubled; set `escape` if another character stands before it".to_owned()
            }
            Self::MixedLineEnds { field } => format!("quote field {field}, or end every line alike"),
            Self::Value { column, .. } => {
                format!("`columns: {{{}: text}}` carries it as it is", key_text(column))
            }
        }
    }
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
    /// U+0000 in great number.
    #[error("NUL characters all over: UTF-16 without a byte order mark, or no text: save the file as UTF-8")]
    Nul,
}

/// At most 80 characters of `text`, to be shown in an error.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A name as a key of the config.
pub(crate) fn key_text(name: &str) -> String {
    let name = shortened(name);
    if name
        .chars()
        .all(|character| character.is_alphanumeric() || character == '_')
    {
        name
    } else {
        format!("{name:?}")
    }
}

/// The name that may have been meant by a wrong one.
pub(crate) fn nearest<'a>(wrong: &str, names: &'a [String]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    names
        .iter()
        .filter(|name| name.len() <= 4 * wrong.len() + 16) // a hostile header may hold megabytes
        .map(|name| (strsim::levenshtein(&wrong, &name.to_lowercase()), name.as_str()))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min()
        .map(|(_, name)| name)
}
