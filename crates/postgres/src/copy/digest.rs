//! The content of a COPY stream as a few numbers, whatever the order of its rows.

use std::hash::{DefaultHasher, Hasher as _};

use super::tuples::{BatchSize, TupleReader};
use crate::Result;

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
    tuples: TupleReader,
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
            tuples: TupleReader::new(columns, BatchSize::UNBOUNDED),
        }
    }

    /// Takes the next chunk of the stream.
    ///
    /// # Errors
    /// [`crate::Error::Stream`] if the format is violated.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        let digest = &mut self.digest;
        self.tuples.feed(chunk, |block| {
            for row in 0..block.rows {
                let mut row_hash: u128 = 0;
                for (column, sum) in digest.column_sums.iter_mut().enumerate() {
                    let hash = hash(block.column(column).get(row));
                    *sum = sum.wrapping_add(hash.into());
                    // An odd factor and a rotation keep every field, at its own place, in the row's hash.
                    const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
                    row_hash = (row_hash ^ u128::from(hash)).wrapping_mul(FACTOR).rotate_left(47);
                }
                digest.row_sum = digest.row_sum.wrapping_add(row_hash);
            }
            digest.rows += block.rows as u64;
            Ok(())
        })
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`crate::Error::Stream`] if its trailer did not come.
    pub fn end(self) -> Result<Digest> {
        self.tuples.end()?;
        Ok(self.digest)
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
    use super::super::SIGNATURE;
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
