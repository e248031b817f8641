//! The rows that were set aside, as a CSV file of their own: line, reason, row.

use std::io::{self, Write};

use crate::error::RowFault;

/// Writes bad rows one by one; the header comes with the first.
pub(crate) struct BadRows<'w> {
    out: &'w mut (dyn Write + Send),
    begun: bool,
}

impl<'w> BadRows<'w> {
    pub(crate) fn new(out: &'w mut (dyn Write + Send)) -> Self {
        Self { out, begun: false }
    }

    /// Appends the row that starts at `line`; `text` is all of it without its line end.
    pub(crate) fn push(&mut self, line: u64, fault: &RowFault, text: &str) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.out.write_all(b"line,reason,row\n")?;
        }
        write!(self.out, "{line},")?;
        self.quoted(&fault.to_string())?;
        self.out.write_all(b",")?;
        self.quoted(text)?;
        self.out.write_all(b"\n")
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Piece by piece: a row may be too long to be copied.
    fn quoted(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(b"\"")?;
        for piece in text.split_inclusive('"') {
            self.out.write_all(piece.as_bytes())?;
            if piece.ends_with('"') {
                self.out.write_all(b"\"")?;
            }
        }
        self.out.write_all(b"\"")
    }
}
