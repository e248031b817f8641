//! The content of a COPY stream as a few numbers, whatever the order of its rows.

use std::hash::{DefaultHasher, Hasher as _};

use super::{HEADER_BYTES, SIGNATURE};
use crate::{Error, Result};

/// What a COPY stream holds: two streams of the same rows have equal digests in any order.
///
/// Only digests of one process can be compared: the hash function may change between versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Rows.
    pub rows: u64,
    /// The sum of the rows' 128-bit hashes.
    pub row_sum: u128,
    /// For each column the sum of its fields' hashes: tells which columns make rows differ.
    pub column_sums: Vec<u128>,
}

/// Reads a COPY stream, in chunks cut anywhere, into a [`Digest`].
pub struct CopyDigest {
    digest: Digest,
    begun: bool,
    ended: bool,
    /// The beginning of a tuple whose end is in the next chunk.
    carry: Vec<u8>,
    /// Where the fields of the tuple at hand are; none for NULL.
    fields: Vec<Option<(usize, usize)>>,
}

impl CopyDigest {
    /// A digest of a stream whose tuples have so many fields.
    pub fn new(columns: usize) -> Self {
        Self {
            digest: Digest {
                rows: 0,
                row_sum: 0,
                column_sums: vec![0; columns],
            },
            begun: false,
            ended: false,
            carry: Vec::new(),
            fields: Vec::with_capacity(columns),
        }
    }

    /// Takes the next chunk of the stream.
    ///
    /// # Errors
    /// [`Error::Stream`] if the format is violated.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        if self.carry.is_empty() {
            let used = self.read(chunk)?;
            self.carry.extend_from_slice(&chunk[used..]);
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend_from_slice(chunk);
            let used = self.read(&carry)?;
            carry.drain(..used);
            self.carry = carry;
        }
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`Error::Stream`] if its trailer did not come.
    pub fn end(self) -> Result<Digest> {
        if self.ended && self.carry.is_empty() {
            Ok(self.digest)
        } else {
            Err(self.damaged("it ends before its trailer"))
        }
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::Stream {
            reason: reason.into(),
            row: self.digest.rows,
        }
    }

    /// Reads the whole tuples of `data` and returns how many bytes they took.
    fn read(&mut self, data: &[u8]) -> Result<usize> {
        let mut at = 0;
        if !self.begun {
            if data.len() < HEADER_BYTES {
                return Ok(0);
            }
            if !data.starts_with(SIGNATURE) {
                return Err(self.damaged("it does not begin with COPY's signature"));
            }
            at = HEADER_BYTES;
            self.begun = true;
        }
        while at < data.len() {
            if self.ended {
                return Err(self.damaged("bytes follow its trailer"));
            }
            match self.tuple(data, at)? {
                Some(end) => at = end,
                None => break,
            }
        }
        Ok(at)
    }

    /// Reads the tuple at `start` and returns its end; `None` if it isn't whole yet.
    fn tuple(&mut self, data: &[u8], start: usize) -> Result<Option<usize>> {
        let Some(count) = data[start..].first_chunk() else {
            return Ok(None);
        };
        let count = i16::from_be_bytes(*count);
        let mut at = start + 2;
        if count == -1 {
            self.ended = true;
            return Ok(Some(at));
        }
        let columns = self.digest.column_sums.len();
        if usize::try_from(count) != Ok(columns) {
            return Err(self.damaged(format!("a tuple has {count} fields, not {columns}")));
        }
        self.fields.clear();
        for _ in 0..columns {
            let Some(length) = data.get(at..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            at += 4;
            match i32::from_be_bytes(*length) {
                -1 => self.fields.push(None),
                length => {
                    let length =
                        usize::try_from(length).map_err(|_| self.damaged(format!("a field's length is {length}")))?;
                    self.fields.push(Some((at, at + length)));
                    at += length;
                }
            }
        }
        if at > data.len() {
            return Ok(None);
        }
        let mut row: u128 = 0;
        for (field, sum) in self.fields.iter().zip(&mut self.digest.column_sums) {
            let hash = hash(field.map(|(begin, end)| &data[begin..end]));
            *sum = sum.wrapping_add(hash.into());
            // An odd factor and a rotation keep every field, at its own place, in the row's hash.
            const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
            row = (row ^ u128::from(hash)).wrapping_mul(FACTOR).rotate_left(47);
        }
        self.digest.row_sum = self.digest.row_sum.wrapping_add(row);
        self.digest.rows += 1;
        Ok(Some(at))
    }
}

fn hash(field: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match field {
        None => hasher.write_u8(0), // NULL is not the empty field
        Some(bytes) => {
            hasher.write_u8(1);
            hasher.write(bytes);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(rows: &[&[Option<&str>]]) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        out.extend([0; 8]);
        for row in rows {
            out.extend((row.len() as i16).to_be_bytes());
            for field in *row {
                let length = field.map_or(-1, |text| text.len() as i32);
                out.extend(length.to_be_bytes());
                out.extend(field.unwrap_or_default().as_bytes());
            }
        }
        out.extend((-1i16).to_be_bytes());
        out
    }

    fn digest(stream: &[u8], chunk_bytes: usize) -> Digest {
        let mut digest = CopyDigest::new(2);
        for chunk in stream.chunks(chunk_bytes) {
            digest.feed(chunk).unwrap();
        }
        digest.end().unwrap()
    }

    #[test]
    fn the_order_of_rows_and_the_cut_of_chunks_make_no_difference() {
        let (a, b) = ([Some("1"), Some("one")], [Some("2"), None]);
        let forth = stream(&[&a, &b, &b]);
        let back = stream(&[&b, &a, &b]);
        assert_eq!(digest(&forth, 1), digest(&back, 1000));
        assert_eq!(digest(&forth, 7).rows, 3);
        assert_ne!(digest(&forth, 7), digest(&stream(&[&a, &a, &b]), 7));
    }

    #[test]
    fn a_value_in_another_row_or_column_makes_a_difference() {
        let straight = digest(&stream(&[&[Some("1"), Some("a")], &[Some("2"), Some("b")]]), 99);
        let crossed = digest(&stream(&[&[Some("1"), Some("b")], &[Some("2"), Some("a")]]), 99);
        assert_eq!(straight.column_sums, crossed.column_sums);
        assert_ne!(straight.row_sum, crossed.row_sum);
        let null = digest(&stream(&[&[None, Some("a")]]), 99);
        let empty = digest(&stream(&[&[Some(""), Some("a")]]), 99);
        assert_ne!(null.column_sums[0], empty.column_sums[0]);
        assert_eq!(null.column_sums[1], empty.column_sums[1]);
    }

    #[test]
    fn a_stream_cut_short_is_an_error() {
        let whole = stream(&[&[Some("1"), Some("one")]]);
        for length in 0..whole.len() {
            let mut digest = CopyDigest::new(2);
            assert!(
                digest.feed(&whole[..length]).and_then(|()| digest.end()).is_err(),
                "{length}"
            );
        }
    }
}
