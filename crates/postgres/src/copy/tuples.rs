//! The frame of a COPY stream: its header, its tuples, its trailer. Knows bytes and lengths, not types.

use super::{HEADER_BYTES, SIGNATURE};
use crate::{Error, Result};

/// The most that a tuple takes. A server sends each in one message, whose length `MaxAllocSize` bounds
/// (`src/include/utils/memutils.h`).
const TUPLE_BYTES_MAX: usize = 0x3fff_ffff;
/// The most of a chunk that is read at once, so that with what is carried over a place fits its 32 bits.
const CHUNK_BYTES_MAX: usize = 1 << 30;
/// Fields of a block. Their places take 32 KiB: with the fields themselves, what a core has at hand.
const BLOCK_FIELDS: usize = 4096;
const BLOCK_ROWS_MAX: usize = 512;

/// Cuts a COPY stream, which comes in chunks cut anywhere, into blocks of whole tuples.
///
/// Every length is checked before it is believed; a stream that ends before its trailer is an
/// error, never a short table.
pub(super) struct TupleReader {
    columns: usize,
    state: State,
    /// The beginning of a tuple whose end is in the next chunk.
    carry: Vec<u8>,
    /// The fields of the block at hand, column after column, with room for `block_rows` of each.
    places: Vec<Place>,
    block_rows: usize,
    tuples: u64,
    batch_max: BatchSize,
    /// Of the batch that the next tuple is of, so far.
    batch: BatchSize,
}

/// How large a batch is: its rows, and the bytes that they take in the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchSize {
    /// Rows.
    pub rows: usize,
    /// Bytes in the stream, lengths included.
    pub bytes: usize,
}

impl BatchSize {
    /// One batch of all rows.
    pub const UNBOUNDED: Self = Self {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Tuples,
    Ended,
}

/// Where a field begins in its data, and its length, or -1 for NULL.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) begin: u32,
    pub(super) length: i32,
}

/// Some rows as they were sent.
pub(super) struct Block<'a> {
    data: &'a [u8],
    places: &'a [Place],
    rows_max: usize,
    pub(super) rows: usize,
    /// Its last row is the last of a batch.
    pub(super) ends_batch: bool,
    /// The place of its first row in the stream, from 0.
    pub(super) first_row: u64,
}

impl<'a> Block<'a> {
    pub(super) fn column(&self, column: usize) -> Fields<'a> {
        let places = &self.places[column * self.rows_max..][..self.rows];
        Fields {
            data: self.data,
            places,
        }
    }
}

/// Fields of one type.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) data: &'a [u8],
    pub(super) places: &'a [Place],
}

impl<'a> Fields<'a> {
    pub(super) fn len(self) -> usize {
        self.places.len()
    }

    /// The field at `index`; `None` for NULL.
    pub(super) fn get(self, index: usize) -> Option<&'a [u8]> {
        let Place { begin, length } = self.places[index];
        let length = usize::try_from(length).ok()?;
        Some(&self.data[begin as usize..][..length])
    }

    pub(super) fn iter(self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> {
        self.places.iter().map(move |place| {
            let length = usize::try_from(place.length).ok()?;
            Some(&self.data[place.begin as usize..][..length])
        })
    }
}

impl TupleReader {
    /// Ends a batch with the row by which it has the rows, or the bytes, of `batch_max`: where a chunk is
    /// cut makes no difference.
    pub(super) fn new(columns: usize, batch_max: BatchSize) -> Self {
        let block_rows = (BLOCK_FIELDS / columns.max(1)).clamp(1, BLOCK_ROWS_MAX);
        Self {
            columns,
            state: State::Header,
            carry: Vec::new(),
            places: vec![Place::default(); columns * block_rows],
            block_rows,
            tuples: 0,
            batch_max,
            batch: BatchSize::default(),
        }
    }

    /// Takes the next chunk of the stream and hands on the tuples that it makes whole, in blocks.
    ///
    /// A chunk that ends where a tuple ends is read where it lies; of others the rest is copied.
    pub(super) fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(&Block<'_>) -> Result<()>) -> Result<()> {
        for chunk in chunk.chunks(CHUNK_BYTES_MAX) {
            if self.carry.is_empty() {
                let used = self.read(chunk, &mut each)?;
                self.carry.extend_from_slice(&chunk[used..]);
            } else {
                let mut carry = std::mem::take(&mut self.carry);
                carry.extend_from_slice(chunk);
                let used = self.read(&carry, &mut each)?;
                carry.drain(..used);
                self.carry = carry;
            }
        }
        Ok(())
    }

    /// Ends the stream and returns how many tuples it had.
    pub(super) fn end(&self) -> Result<u64> {
        if self.state == State::Ended && self.carry.is_empty() {
            Ok(self.tuples)
        } else {
            Err(self.damaged(0, "it ends before its trailer"))
        }
    }

    /// What is wrong with the tuple that comes after `rows` of the block at hand.
    pub(super) fn damaged(&self, rows: usize, reason: impl Into<String>) -> Error {
        Error::Stream {
            reason: reason.into(),
            row: self.tuples + rows as u64,
        }
    }

    /// Reads the whole tuples of `data` and returns how many bytes they took.
    fn read(&mut self, data: &[u8], each: &mut impl FnMut(&Block<'_>) -> Result<()>) -> Result<usize> {
        let mut at = 0;
        if self.state == State::Header {
            if data.len() < HEADER_BYTES {
                return Ok(0);
            }
            self.check_header(data)?;
            self.state = State::Tuples;
            at = HEADER_BYTES;
        }
        loop {
            let (begin, mut rows) = (at, 0);
            let rows_max = self.block_rows.min(self.batch_max.rows - self.batch.rows);
            let bytes_max = self.batch_max.bytes - self.batch.bytes;
            // What stops here is said once the rows before it are handed on.
            let stopped = loop {
                if rows == rows_max || at - begin >= bytes_max {
                    break None;
                }
                match self.locate(data, at, rows) {
                    Ok(Located::Tuple { end }) => {
                        at = end;
                        rows += 1;
                    }
                    Ok(Located::Trailer { end }) => at = end,
                    Ok(Located::Incomplete) => break Some(Ok(at)),
                    Err(error) => break Some(Err(error)),
                }
            };
            if rows > 0 {
                self.batch.rows += rows;
                self.batch.bytes += at - begin;
                let ends_batch = self.batch.rows >= self.batch_max.rows || self.batch.bytes >= self.batch_max.bytes;
                if ends_batch {
                    self.batch = BatchSize::default();
                }
                each(&Block {
                    data,
                    places: &self.places,
                    rows_max: self.block_rows,
                    rows,
                    ends_batch,
                    first_row: self.tuples,
                })?;
                self.tuples += rows as u64;
            }
            if let Some(stopped) = stopped {
                return stopped;
            }
        }
    }

    fn check_header(&self, data: &[u8]) -> Result<()> {
        if !data.starts_with(SIGNATURE) {
            return Err(self.damaged(0, "it does not begin with COPY's signature"));
        }
        // Critical flags are bits 16 to 31; no server sets any, nor sends an extension.
        match data[SIGNATURE.len()..HEADER_BYTES] {
            [0, 0, _, _, 0, 0, 0, 0] => Ok(()),
            _ => Err(self.damaged(0, "its header has features that this version does not know")),
        }
    }

    /// Finds the fields of the tuple at `start`, which becomes the block's row `row`.
    fn locate(&mut self, data: &[u8], start: usize, row: usize) -> Result<Located> {
        if self.state == State::Ended && start < data.len() {
            return Err(self.damaged(row, "bytes follow its trailer"));
        }
        let tuple = &data[start..];
        let Some((count, mut rest)) = tuple.split_first_chunk() else {
            return Ok(Located::Incomplete);
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.state = State::Ended;
            return Ok(Located::Trailer { end: start + 2 });
        }
        if usize::try_from(count) != Ok(self.columns) {
            return Err(self.damaged(row, format!("a tuple has {count} fields, not {}", self.columns)));
        }
        for places in self.places.chunks_exact_mut(self.block_rows) {
            let Some((length, from)) = rest.split_first_chunk() else {
                return self.incomplete(row, tuple.len());
            };
            let length = i32::from_be_bytes(*length);
            // In 32 bits: the data is a chunk, and before it less than a tuple.
            let begin = (data.len() - from.len()) as u32;
            places[row] = Place { begin, length };
            let bytes = match usize::try_from(length) {
                Ok(bytes) => bytes,
                Err(_) if length == -1 => 0,
                Err(_) => return Err(self.damaged(row, format!("a field's length is {length}"))),
            };
            let Some(after) = from.get(bytes..) else {
                return self.incomplete(row, tuple.len() - from.len() + bytes);
            };
            rest = after;
        }
        Ok(Located::Tuple {
            end: data.len() - rest.len(),
        })
    }

    /// A tuple of at least so many bytes has not come as a whole. If they are too many that is said now: what
    /// comes is kept until it has.
    fn incomplete(&self, row: usize, bytes: usize) -> Result<Located> {
        if bytes > TUPLE_BYTES_MAX {
            return Err(self.damaged(row, "a row takes more than the 1 GiB that a server sends"));
        }
        Ok(Located::Incomplete)
    }
}

enum Located {
    Tuple { end: usize },
    Trailer { end: usize },
    Incomplete,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(tail: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        bytes.extend(tail);
        bytes
    }

    fn read(stream: &[u8], chunk_bytes: usize) -> Result<Vec<Vec<Option<Vec<u8>>>>> {
        let mut reader = TupleReader::new(2, BatchSize::UNBOUNDED);
        let mut rows = Vec::new();
        for chunk in stream.chunks(chunk_bytes) {
            reader.feed(chunk, |block| {
                rows.extend((0..block.rows).map(|row| {
                    let fields = (0..2).map(|column| block.column(column).get(row));
                    fields.map(|field| field.map(<[u8]>::to_vec)).collect()
                }));
                Ok(())
            })?;
        }
        assert_eq!(reader.end()?, rows.len() as u64);
        Ok(rows)
    }

    const ROW: &[u8] = b"\0\x02\0\0\0\x01a\xff\xff\xff\xff";
    const TRAILER: &[u8] = b"\xff\xff";

    #[test]
    fn chunks_may_be_cut_anywhere() {
        let bytes = stream(&[ROW, b"\0\x02\0\0\0\0\0\0\0\x03xyz", TRAILER].concat());
        for chunk_bytes in 1..=bytes.len() {
            let rows = read(&bytes, chunk_bytes).unwrap();
            assert_eq!(rows[0], [Some(b"a".to_vec()), None]);
            assert_eq!(rows[1], [Some(Vec::new()), Some(b"xyz".to_vec())]);
        }
    }

    #[test]
    fn a_stream_that_breaks_the_format_is_an_error() {
        for (bytes, reason) in [
            (stream(ROW), "before its trailer"),
            (stream(&ROW[..5]), "before its trailer"),
            (stream(&[TRAILER, b"x"].concat()), "follow its trailer"),
            (stream(b"\0\x03"), "3 fields, not 2"),
            (stream(b"\xff\xfe"), "-2 fields"),
            (stream(b"\0\x02\xff\xff\xff\xfe"), "length is -2"),
            (stream(b"\0\x02\0\xff\xff\xffabc"), "before its trailer"),
            (stream(b"\0\x02\x7f\xff\xff\xffabc"), "more than the 1 GiB"),
            (stream(b"\0\x02\0\0\0\x01a\x3f\xff\xff\xff"), "more than the 1 GiB"),
            (b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0".to_vec(), "features"),
            (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x04".to_vec(), "features"),
            (b"PGCOPX\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec(), "signature"),
            (Vec::new(), "before its trailer"),
        ] {
            for chunk_bytes in [1, 7, 1000] {
                let error = read(&bytes, chunk_bytes).unwrap_err().to_string();
                assert!(error.contains(reason), "{error}");
            }
        }
    }
}
