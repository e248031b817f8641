//! The frame of a COPY stream: its header, its tuples, its trailer. Knows bytes and lengths, not types.

use super::{HEADER_BYTES, SIGNATURE};
use crate::{Error, Result};

/// The most that a tuple takes. A server sends each in one message, whose length `MaxAllocSize` bounds
/// (`src/include/utils/memutils.h`).
const TUPLE_BYTES_MAX: usize = 0x3fff_ffff;

/// Cuts a COPY stream, which comes in chunks cut anywhere, into tuples.
///
/// Every length is checked before it is believed; a stream that ends before its trailer is an
/// error, never a short table.
pub(super) struct TupleReader {
    columns: usize,
    state: State,
    /// The beginning of a tuple whose end is in the next chunk.
    carry: Vec<u8>,
    /// Fields of the tuple at hand: where each begins, and its length or -1.
    fields: Vec<(usize, i32)>,
    tuples: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Tuples,
    Ended,
}

/// A row's fields as they were sent.
pub(super) struct Tuple<'a> {
    data: &'a [u8],
    fields: &'a [(usize, i32)],
    /// Its place in the stream, from 0.
    pub(super) row: u64,
    /// Its bytes in the stream, lengths included.
    pub(super) bytes: usize,
}

impl<'a> Tuple<'a> {
    /// The fields in the order of the columns; `None` for NULL.
    pub(super) fn fields(&self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let data = self.data;
        let fields = self.fields.iter();
        fields.map(move |&(begin, length)| Some(&data[begin..begin + usize::try_from(length).ok()?]))
    }
}

impl TupleReader {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            columns,
            state: State::Header,
            carry: Vec::new(),
            fields: Vec::with_capacity(columns),
            tuples: 0,
        }
    }

    /// Takes the next chunk of the stream and hands on the tuples that it makes whole.
    pub(super) fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(&Tuple<'_>) -> Result<()>) -> Result<()> {
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
        Ok(())
    }

    /// Ends the stream and returns how many tuples it had.
    pub(super) fn end(&self) -> Result<u64> {
        if self.state == State::Ended && self.carry.is_empty() {
            Ok(self.tuples)
        } else {
            Err(self.damaged("it ends before its trailer"))
        }
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::Stream {
            reason: reason.into(),
            row: self.tuples,
        }
    }

    /// Reads the whole tuples of `data` and returns how many bytes they took.
    fn read(&mut self, data: &[u8], each: &mut impl FnMut(&Tuple<'_>) -> Result<()>) -> Result<usize> {
        let mut at = 0;
        if self.state == State::Header {
            if data.len() < HEADER_BYTES {
                return Ok(0);
            }
            self.check_header(data)?;
            self.state = State::Tuples;
            at = HEADER_BYTES;
        }
        while at < data.len() {
            if self.state == State::Ended {
                return Err(self.damaged("bytes follow its trailer"));
            }
            let Some(end) = self.locate(data, at)? else { break };
            if self.state == State::Tuples {
                let tuple = Tuple {
                    data,
                    fields: &self.fields,
                    row: self.tuples,
                    bytes: end - at,
                };
                each(&tuple)?;
                self.tuples += 1;
            }
            at = end;
        }
        Ok(at)
    }

    fn check_header(&self, data: &[u8]) -> Result<()> {
        if !data.starts_with(SIGNATURE) {
            return Err(self.damaged("it does not begin with COPY's signature"));
        }
        // Critical flags are bits 16 to 31; no server sets any, nor sends an extension.
        match data[SIGNATURE.len()..HEADER_BYTES] {
            [0, 0, _, _, 0, 0, 0, 0] => Ok(()),
            _ => Err(self.damaged("its header has features that this version does not know")),
        }
    }

    /// Finds the fields of the tuple at `start` and returns its end; `None` if it isn't whole yet.
    fn locate(&mut self, data: &[u8], start: usize) -> Result<Option<usize>> {
        let Some(count) = data[start..].first_chunk() else {
            return Ok(None);
        };
        let count = i16::from_be_bytes(*count);
        let mut at = start + 2;
        if count == -1 {
            self.state = State::Ended;
            return Ok(Some(at));
        }
        if usize::try_from(count) != Ok(self.columns) {
            return Err(self.damaged(format!("a tuple has {count} fields, not {}", self.columns)));
        }
        self.fields.clear();
        for _ in 0..count {
            let Some(length) = data.get(at..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            let length = i32::from_be_bytes(*length);
            if length < -1 {
                return Err(self.damaged(format!("a field's length is {length}")));
            }
            at += 4;
            self.fields.push((at, length));
            at += length.max(0) as usize;
            // Said now: what comes is kept until the tuple is whole.
            if at - start > TUPLE_BYTES_MAX {
                return Err(self.damaged("a row takes more than the 1 GiB that a server sends"));
            }
        }
        Ok((at <= data.len()).then_some(at))
    }
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
        let mut reader = TupleReader::new(2);
        let mut rows = Vec::new();
        for chunk in stream.chunks(chunk_bytes) {
            reader.feed(chunk, |tuple| {
                rows.push(tuple.fields().map(|field| field.map(<[u8]>::to_vec)).collect());
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
