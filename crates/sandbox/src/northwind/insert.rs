//! INSERT statements of many rows.

use std::io::{self, Write};

use super::value::Value;

/// Rows in one statement: enough to be quick, and few enough for a readable script.
const ROWS_MAX: usize = 100;

/// The INSERT statements of one table.
pub(super) struct Insert<'w, W: Write> {
    out: &'w mut W,
    table: &'static str,
    rows: usize,
}

impl<'w, W: Write> Insert<'w, W> {
    pub(super) fn into(out: &'w mut W, table: &'static str) -> Self {
        Self { out, table, rows: 0 }
    }

    /// Writes a row: a value for each of the table's columns, in their order.
    pub(super) fn row<const N: usize>(&mut self, values: [Value<'_>; N]) -> io::Result<()> {
        if self.rows.is_multiple_of(ROWS_MAX) {
            if self.rows > 0 {
                self.out.write_all(b";\n")?;
            }
            write!(self.out, "insert into {} values\n(", self.table)?;
        } else {
            self.out.write_all(b",\n(")?;
        }
        self.rows += 1;
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.write_all(b", ")?;
            }
            write!(self.out, "{value}")?;
        }
        self.out.write_all(b")")
    }

    /// Ends the last statement.
    pub(super) fn end(self) -> io::Result<()> {
        if self.rows > 0 {
            self.out.write_all(b";\n\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_batched() {
        let mut out = Vec::new();
        let mut insert = Insert::into(&mut out, "t");
        for number in 0..=ROWS_MAX as u64 {
            insert.row([number.into(), Value::Null]).unwrap();
        }
        insert.end().unwrap();
        let script = String::from_utf8(out).unwrap();
        assert_eq!(script.matches("insert into t values\n(").count(), 2);
        assert!(script.ends_with("(99, null);\ninsert into t values\n(100, null);\n\n"));
    }

    #[test]
    fn no_rows_are_no_statement() {
        let mut out = Vec::new();
        Insert::into(&mut out, "t").end().unwrap();
        assert!(out.is_empty());
    }
}
