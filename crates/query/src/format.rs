//! The formats that rows are written in, one file each, and the writer that picks one.
//!
//! Nothing is changed on the way: a number keeps all its digits, a NULL stays apart from an empty
//! string, and what a format can't tell apart is an error.

mod array_text;
mod calendar;
mod delimited;
mod json;
mod parquet_output;
mod table;
mod value;

pub(crate) use value::quotient_text;

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use crate::{Error, Result};

/// A format for rows.
///
/// | type | table, csv, tsv | json, ndjson |
/// | --- | --- | --- |
/// | boolean | `true`, `false` | `true`, `false` |
/// | integer, decimal | all digits | a number with all digits |
/// | float | the shortest that reads back the same, `NaN`, `Infinity` | a number; `"NaN"`, `"Infinity"` |
/// | date | `2021-01-31` | `"2021-01-31"` |
/// | timestamp | `2021-01-31 12:00:00.5` | `"2021-01-31T12:00:00.5"` |
/// | … of UTC | `2021-01-31 12:00:00.5+00` | `"2021-01-31T12:00:00.5Z"` |
/// | binary | `\x00ff` | `"\\x00ff"` |
/// | list | PostgreSQL's array text, `{1,NULL,3}` | `[1,null,3]` |
/// | struct, map | JSON | `{"a":1}` |
/// | NULL | `NULL`, nothing, `\N` | `null` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Aligned columns for people, as psql draws them; NULL is `NULL`, and `(n rows)` comes last.
    Table,
    /// RFC 4180 with a header and `\n`: NULL is nothing, an empty string is `""`.
    Csv,
    /// PostgreSQL's `COPY` text with a header: tabs between, NULL is `\N`, `\t`, `\n` and `\\` escaped.
    Tsv,
    /// One array with an object for each row.
    Json,
    /// An object a line.
    Ndjson,
    /// Parquet, compressed with zstd.
    Parquet,
}

impl Format {
    /// The names of all formats, for messages.
    pub const NAMES: &'static str = "table, csv, tsv, json, ndjson, parquet";

    /// All formats.
    pub const ALL: [Self; 6] = [
        Self::Table,
        Self::Csv,
        Self::Tsv,
        Self::Json,
        Self::Ndjson,
        Self::Parquet,
    ];

    /// What a file's name ends with, after the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            other => other.extension(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Reads a name in any case; `jsonl` is another name of `ndjson`.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`].
    fn from_str(text: &str) -> Result<Self> {
        let name = match text.to_lowercase() {
            name if name == "jsonl" => "ndjson".to_owned(),
            name => name,
        };
        let format = Self::ALL.into_iter().find(|format| format.name() == name);
        format.ok_or_else(|| Error::UnknownFormat { text: text.to_owned() })
    }
}

/// Writes batches of rows in a format; memory is bounded by a batch, or for Parquet a row group.
///
/// The output is written in large pieces, so it needs no buffer of its own.
pub struct FormatWriter<W: Write + Send> {
    writer: Writer<W>,
    rows: u64,
}

enum Writer<W: Write + Send> {
    Table(table::TableWriter<W>),
    Delimited(delimited::DelimitedWriter<W>),
    Json(json::JsonWriter<W>),
    Parquet(Box<parquet_output::ParquetWriter<W>>),
}

impl<W: Write + Send> FormatWriter<W> {
    /// Begins the output for rows of `schema`.
    ///
    /// Two columns of one name are fine in `table`, `csv` and `tsv`; in the others a reader would
    /// lose one of them.
    ///
    /// # Errors
    /// [`Error::DuplicateColumn`]; [`Error::Write`]; for Parquet, types that it has not.
    pub fn new(format: Format, schema: &SchemaRef, out: W) -> Result<Self> {
        let writer = match format {
            Format::Table => Writer::Table(table::TableWriter::new(schema, out)),
            Format::Csv => Writer::Delimited(delimited::DelimitedWriter::new(delimited::CSV, schema, out)?),
            Format::Tsv => Writer::Delimited(delimited::DelimitedWriter::new(delimited::TSV, schema, out)?),
            Format::Json | Format::Ndjson => {
                refuse_duplicates(format, schema)?;
                Writer::Json(json::JsonWriter::new(schema, out, format == Format::Json))
            }
            Format::Parquet => {
                refuse_duplicates(format, schema)?;
                Writer::Parquet(Box::new(parquet_output::ParquetWriter::new(schema, out)?))
            }
        };
        Ok(Self { writer, rows: 0 })
    }

    /// Writes a batch, which has the schema given at the beginning.
    ///
    /// # Errors
    /// [`Error::Write`], with the kind `BrokenPipe` if the reader went away; [`Error::Value`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        match &mut self.writer {
            Writer::Table(writer) => writer.write(batch),
            Writer::Delimited(writer) => writer.write(batch),
            Writer::Json(writer) => writer.write(batch),
            Writer::Parquet(writer) => writer.write(batch),
        }
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what ends the format, flushes, and gives the output back.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(self) -> Result<W> {
        let mut out = match self.writer {
            Writer::Table(writer) => writer.finish(self.rows)?,
            Writer::Delimited(writer) => writer.finish(),
            Writer::Json(writer) => writer.finish()?,
            Writer::Parquet(writer) => writer.finish()?,
        };
        out.flush().map_err(write_error)?;
        Ok(out)
    }
}

fn refuse_duplicates(format: Format, schema: &Schema) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            return Err(Error::DuplicateColumn {
                column: field.name().clone(),
                format,
            });
        }
    }
    Ok(())
}

fn write_error(source: std::io::Error) -> Error {
    Error::Write { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        assert_eq!("JSONL".parse::<Format>().unwrap(), Format::Ndjson);
        assert!(
            Format::NAMES
                .split(", ")
                .eq(Format::ALL.iter().map(|format| format.name()))
        );
        assert!("xlsx".parse::<Format>().is_err());
    }
}
