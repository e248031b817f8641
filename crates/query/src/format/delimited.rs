//! CSV as psql and DuckDB write it, and PostgreSQL's tab-separated text.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::value::{columns, prepare};
use super::write_error;
use crate::Result;

/// What sets the two apart.
pub(super) struct Style {
    delimiter: u8,
    null: &'static [u8],
    push_field: fn(&[u8], &mut Vec<u8>),
}

/// RFC 4180 but for its line ends; NULL is nothing.
pub(super) const CSV: Style = Style {
    delimiter: b',',
    null: b"",
    push_field: push_quoted,
};

/// `COPY … (FORMAT text, HEADER)`.
pub(super) const TSV: Style = Style {
    delimiter: b'\t',
    null: b"\\N",
    push_field: push_escaped,
};

pub(super) struct DelimitedWriter<W> {
    out: W,
    schema: SchemaRef,
    style: Style,
}

impl<W: Write> DelimitedWriter<W> {
    pub(super) fn new(style: Style, schema: &SchemaRef, mut out: W) -> Result<Self> {
        let mut line = Vec::new();
        for (place, field) in schema.fields().iter().enumerate() {
            if place > 0 {
                line.push(style.delimiter);
            }
            (style.push_field)(field.name().as_bytes(), &mut line);
        }
        line.push(b'\n');
        out.write_all(&line).map_err(write_error)?;
        Ok(Self {
            out,
            schema: schema.clone(),
            style,
        })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let arrays = prepare(batch)?;
        let columns = columns(&self.schema, &arrays)?;
        let mut lines = Vec::new();
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            for (place, column) in columns.iter().enumerate() {
                if place > 0 {
                    lines.push(self.style.delimiter);
                }
                if column.is_null(row) {
                    lines.extend_from_slice(self.style.null);
                } else {
                    text.clear();
                    column.text(row, &mut text)?;
                    (self.style.push_field)(&text, &mut lines);
                }
            }
            lines.push(b'\n');
        }
        self.out.write_all(&lines).map_err(write_error)
    }

    pub(super) fn finish(self) -> W {
        self.out
    }
}

/// Appends a field, in quotes only where it would be read as something else: an empty string would
/// be NULL, and `\.` on its own ends the data for older versions of psql.
fn push_quoted(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !text.is_empty() && text != b"\\." && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends a field with the escapes of PostgreSQL's documentation of COPY, "Text Format".
fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        let escape = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            0x08 => b'b',
            0x0b => b'v',
            0x0c => b'f',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escape]);
    }
}
