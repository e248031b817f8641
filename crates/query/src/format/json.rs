//! JSON: one array of objects, or an object a line.
//!
//! arrow's own writer makes strings of decimals, loses the difference between NaN and NULL and
//! leaves NULL columns out.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::value::{columns, json_string, prepare};
use super::write_error;
use crate::Result;

pub(super) struct JsonWriter<W> {
    out: W,
    schema: SchemaRef,
    /// `{"first":`, `,"second":` …
    keys: Vec<Vec<u8>>,
    array: bool,
    empty: bool,
}

impl<W: Write> JsonWriter<W> {
    pub(super) fn new(schema: &SchemaRef, out: W, array: bool) -> Self {
        let key = |(place, field): (usize, &arrow::datatypes::FieldRef)| {
            let mut key = vec![if place == 0 { b'{' } else { b',' }];
            json_string(field.name(), &mut key);
            key.push(b':');
            key
        };
        Self {
            out,
            schema: schema.clone(),
            keys: schema.fields().iter().enumerate().map(key).collect(),
            array,
            empty: true,
        }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let arrays = prepare(batch)?;
        let columns = columns(&self.schema, &arrays)?;
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            match (self.array, self.empty) {
                (true, true) => text.push(b'['),
                (true, false) => text.extend_from_slice(b",\n "),
                (false, _) => {}
            }
            self.empty = false;
            for (key, column) in self.keys.iter().zip(&columns) {
                text.extend_from_slice(key);
                column.json(row, &mut text)?;
            }
            text.extend_from_slice(if columns.is_empty() { b"{}" } else { b"}" });
            if !self.array {
                text.push(b'\n');
            }
        }
        self.out.write_all(&text).map_err(write_error)
    }

    pub(super) fn finish(mut self) -> Result<W> {
        let end: &[u8] = match (self.array, self.empty) {
            (true, true) => b"[]\n",
            (true, false) => b"]\n",
            (false, _) => b"",
        };
        self.out.write_all(end).map_err(write_error)?;
        Ok(self.out)
    }
}
