//! What a user may say about a CSV file, and the column types in the user's words.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

/// How a CSV file is to be read. The default reads what most tools write: a header, quotes `"`,
/// the delimiter found by looking, UTF-8, and NULL as the empty field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvSettings {
    /// The byte between two fields; `None` finds it among comma, semicolon, tab and `|`.
    pub delimiter: Option<u8>,
    /// The byte around a field that holds delimiters, line ends or quotes (default `"`); doubled inside.
    pub quote: u8,
    /// A byte that makes a quote after it text, inside of a quoted field; so does doubling the quote.
    pub escape: Option<u8>,
    /// Lines that begin with this byte are left out, if they do not begin inside of a quoted field.
    pub comment: Option<u8>,
    /// Lines to leave out before the header.
    pub skip_rows: u64,
    /// Lines to leave out at the end, blank ones and comments counted.
    pub skip_footer: u64,
    /// Whether the first line holds the columns' names. Without, they are `column_1` … `column_n`. `None` takes it
    /// for names, and refuses a line that looks like a row.
    pub header: Option<bool>,
    /// Spellings of NULL beside the empty field. They hold for unquoted fields only.
    pub null: Vec<String>,
    /// How the file's bytes spell characters; `None` is UTF-8, with or without a byte order mark, or UTF-16 by its mark.
    pub encoding: Option<Encoding>,
    /// Types of columns by the header's names, in place of the inferred ones. Every cell that is not NULL must
    /// convert exactly. A name that the header lacks or has twice is written by its place: `column_3`.
    pub columns: BTreeMap<String, ColumnType>,
    /// Names for the lake by the header's names, which are written as for `columns`.
    pub rename: BTreeMap<String, String>,
    /// What becomes of a row that is refused.
    pub on_bad_row: OnBadRow,
}

impl CsvSettings {
    pub(crate) fn has_header(&self) -> bool {
        self.header.unwrap_or(true)
    }
}

impl Default for CsvSettings {
    fn default() -> Self {
        Self {
            delimiter: None,
            quote: b'"',
            escape: None,
            comment: None,
            skip_rows: 0,
            skip_footer: 0,
            header: None,
            null: Vec::new(),
            encoding: None,
            columns: BTreeMap::new(),
            rename: BTreeMap::new(),
            on_bad_row: OnBadRow::default(),
        }
    }
}

/// How the bytes of a file spell characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark. A UTF-16 byte order mark makes it UTF-16.
    #[default]
    Utf8,
    /// ISO 8859-1. The control characters 0x80–0x9F are refused: they are Windows-1252 in all but name.
    Latin1,
    /// Windows-1252. Its five undefined bytes are refused.
    Windows1252,
}

/// What becomes of a row that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRow {
    /// It is an error, and the whole file is refused with it.
    #[default]
    Refuse,
    /// It is left out and kept apart, if it is certain where it ends.
    Quarantine,
}

/// The type of a column, in PostgreSQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Any text, kept character for character: `Utf8`.
    Text,
    /// `Boolean`. As an override it reads all that PostgreSQL does: `t`, `true`, `yes`, `on`, `1` and their opposites.
    Boolean,
    /// `Int64`.
    Bigint,
    /// `Decimal128`: `precision` digits (1 to 38), `scale` of them after the point (0 to `precision`).
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `Float64`. A cell must be what its double is when written with as many digits: `0.10000000000000001` is one,
    /// and comes back as 0.1, but an identifier of 19 digits is not.
    Double,
    /// `Date32`, from `YYYY-MM-DD`, years 0001 to 9999.
    Date,
    /// `Timestamp(µs)`, from `YYYY-MM-DD HH:MM[:SS[.ffffff]]` without a zone.
    Timestamp,
    /// `Timestamp(µs, UTC)`, from the same followed by `Z` or `±hh[:mm]`.
    Timestamptz,
}

impl ColumnType {
    /// The Arrow type that holds the column.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Bigint => DataType::Int64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        }
    }

    /// The type whose columns are of this Arrow type; `None` if there is none.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 => Self::Text,
            DataType::Boolean => Self::Boolean,
            DataType::Int64 => Self::Bigint,
            DataType::Decimal128(precision, scale) => Self::Decimal {
                precision: *precision,
                scale: u8::try_from(*scale).ok()?,
            },
            DataType::Float64 => Self::Double,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => Self::Timestamptz,
            _ => return None,
        })
    }

    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Decimal { precision, scale } => (1..=38).contains(&precision) && scale <= precision,
            _ => true,
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Boolean => f.write_str("boolean"),
            Self::Bigint => f.write_str("bigint"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Double => f.write_str("double"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Timestamptz => f.write_str("timestamptz"),
        }
    }
}

/// A word that names no column type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a column type: write text, boolean, bigint, decimal(p,s) with 0 ≤ s ≤ p ≤ 38, double, date, \
     timestamp or timestamptz"
)]
pub struct UnknownColumnType(pub String);

impl FromStr for ColumnType {
    type Err = UnknownColumnType;

    /// Reads what `Display` writes: `text`, `decimal(10,2)`, …
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let column_type = match word {
            "text" => Some(Self::Text),
            "boolean" => Some(Self::Boolean),
            "bigint" => Some(Self::Bigint),
            "double" => Some(Self::Double),
            "date" => Some(Self::Date),
            "timestamp" => Some(Self::Timestamp),
            "timestamptz" => Some(Self::Timestamptz),
            _ => decimal_type(word),
        };
        column_type
            .filter(|column_type| column_type.is_valid())
            .ok_or_else(|| UnknownColumnType(word.to_owned()))
    }
}

fn decimal_type(word: &str) -> Option<ColumnType> {
    let (precision, scale) = word.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    Some(ColumnType::Decimal {
        precision: precision.trim().parse().ok()?,
        scale: scale.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_types_are_read_as_they_are_written() {
        for word in [
            "text",
            "boolean",
            "bigint",
            "decimal(10,2)",
            "double",
            "date",
            "timestamp",
            "timestamptz",
        ] {
            assert_eq!(
                word.parse::<ColumnType>().map(|column_type| column_type.to_string()),
                Ok(word.to_owned())
            );
        }
        assert_eq!(
            "decimal(38, 0)".parse(),
            Ok(ColumnType::Decimal {
                precision: 38,
                scale: 0
            })
        );
    }

    #[test]
    fn other_words_are_refused() {
        for word in [
            "",
            "int",
            "Text",
            "decimal",
            "decimal(39,0)",
            "decimal(2,3)",
            "decimal(0,0)",
            "decimal(2,-1)",
        ] {
            assert_eq!(word.parse::<ColumnType>(), Err(UnknownColumnType(word.to_owned())));
        }
    }
}
