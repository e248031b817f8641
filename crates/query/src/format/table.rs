//! Aligned columns for people, as psql draws them.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lake_storage::is_control;
use unicode_width::UnicodeWidthStr as _;

use super::value::{columns, is_number, prepare};
use super::write_error;
use crate::Result;

/// Rows that decide on the columns' widths; later ones that are wider stick out.
const ROWS_MEASURED: usize = 1_000;
/// … or as many bytes of their text, whichever comes first.
const BYTES_MEASURED: usize = 8 << 20;

pub(super) struct TableWriter<W> {
    out: W,
    schema: SchemaRef,
    widths: Vec<usize>,
    /// The rows measured so far; none once the header is written.
    first: Option<Vec<Vec<String>>>,
    first_bytes: usize,
}

impl<W: Write> TableWriter<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> Self {
        let names = schema.fields().iter().map(|field| visible(field.name()).width());
        Self {
            out,
            schema: schema.clone(),
            widths: names.collect(),
            first: Some(Vec::new()),
            first_bytes: 0,
        }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let arrays = prepare(batch)?;
        let schema = self.schema.clone();
        let columns = columns(&schema, &arrays)?;
        let mut text = Vec::new();
        let mut lines = String::new();
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(columns.len());
            for column in &columns {
                text.clear();
                if column.is_null(row) {
                    text.extend_from_slice(b"NULL");
                } else {
                    column.text(row, &mut text)?;
                }
                cells.push(visible(&String::from_utf8_lossy(&text)));
            }
            match &mut self.first {
                Some(first) => {
                    for (width, cell) in self.widths.iter_mut().zip(&cells) {
                        *width = cell.width().max(*width);
                        self.first_bytes += cell.len();
                    }
                    first.push(cells);
                    if first.len() >= ROWS_MEASURED || self.first_bytes >= BYTES_MEASURED {
                        self.write_first()?;
                    }
                }
                None => self.push_row(&cells, &mut lines),
            }
        }
        self.out.write_all(lines.as_bytes()).map_err(write_error)
    }

    pub(super) fn finish(mut self, rows: u64) -> Result<W> {
        self.write_first()?;
        let end = if rows == 1 {
            "(1 row)\n".to_owned()
        } else {
            format!("({rows} rows)\n")
        };
        self.out.write_all(end.as_bytes()).map_err(write_error)?;
        Ok(self.out)
    }

    /// Writes the header and the rows that were measured.
    fn write_first(&mut self) -> Result<()> {
        let Some(first) = self.first.take() else {
            return Ok(());
        };
        let mut lines = String::new();
        let names: Vec<String> = self.schema.fields().iter().map(|field| visible(field.name())).collect();
        for (place, (name, width)) in names.iter().zip(&self.widths).enumerate() {
            lines.push_str(if place > 0 { "| " } else { " " });
            let padding = width - name.width();
            push_spaces(padding / 2, &mut lines);
            lines.push_str(name);
            // As in psql, the last header has its space too.
            push_spaces(padding - padding / 2 + 1, &mut lines);
        }
        lines.push('\n');
        let rules: Vec<String> = self.widths.iter().map(|width| "-".repeat(width + 2)).collect();
        lines.push_str(&rules.join("+"));
        lines.push('\n');
        for cells in &first {
            self.push_row(cells, &mut lines);
        }
        self.out.write_all(lines.as_bytes()).map_err(write_error)
    }

    fn push_row(&self, cells: &[String], lines: &mut String) {
        let last = cells.len().saturating_sub(1);
        for (place, cell) in cells.iter().enumerate() {
            lines.push_str(if place > 0 { " | " } else { " " });
            let padding = self.widths[place].saturating_sub(cell.width());
            if is_number(self.schema.field(place).data_type()) {
                push_spaces(padding, lines);
                lines.push_str(cell);
            } else {
                lines.push_str(cell);
                if place < last {
                    push_spaces(padding, lines);
                }
            }
        }
        lines.push('\n');
    }
}

fn push_spaces(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// Text with control characters as escapes: a cell can't move the cursor or break the line.
///
/// Characters that turn the direction of writing count among them: they would reorder the line.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_control(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(visible("a\u{1b}[31mb\n\t\u{202e}é"), "a\\u{1b}[31mb\\n\\t\\u{202e}é");
    }
}
