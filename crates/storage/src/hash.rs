//! The hash of bytes that the lake wrote, by which whoever reads them knows that they are still the same.

use std::fmt;
use std::hash::Hasher as _;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::mpsc::Receiver;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

/// Its name is written with each value, so that another can take its place.
const ALGORITHM: &str = "xxh3-64:";

/// The XXH3 hash of some bytes, written as `xxh3-64:` and sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(XxHash3_64::oneshot(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{:016x}", self.0)
    }
}

impl FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix(ALGORITHM).filter(|digits| digits.len() == 16);
        digits
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Self)
            .filter(|hash| hash.to_string() == text) // digits have one way to be written
            .ok_or_else(|| format!("{text:?} is no hash that this version of lake knows"))
    }
}

impl TryFrom<String> for Hash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

/// Hashes bytes that come one piece after the other.
#[derive(Default)]
pub(crate) struct Hashing(XxHash3_64);

impl Hashing {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn end(&mut self) -> Hash {
        Hash(std::mem::take(&mut self.0).finish())
    }
}

/// Hashes what is written, part by part.
///
/// There may be a buffer before it, so that it sees bytes later than they are written. Where a part ends has to be sent
/// before the first byte of the next one is written: then it is known in time.
pub(crate) struct HashingWriter<W> {
    inner: W,
    ends: Receiver<u64>,
    next_end: Option<u64>,
    position: u64,
    hashing: Hashing,
    parts: Vec<Hash>,
}

impl<W: Write> HashingWriter<W> {
    pub(crate) fn new(inner: W, ends: Receiver<u64>) -> Self {
        Self {
            inner,
            ends,
            next_end: None,
            position: 0,
            hashing: Hashing::default(),
            parts: Vec::new(),
        }
    }

    pub(crate) fn inner(&self) -> &W {
        &self.inner
    }

    /// The hashes of the parts that have ended.
    pub(crate) fn parts(&self) -> &[Hash] {
        &self.parts
    }

    /// The hash of what came after the last part's end.
    pub(crate) fn end(&mut self) -> Hash {
        self.hashing.end()
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let mut bytes = &bytes[..written];
        while !bytes.is_empty() {
            self.next_end = self.next_end.or_else(|| self.ends.try_recv().ok());
            let of_part = self.next_end.map_or(bytes.len() as u64, |end| end - self.position);
            let (part, rest) = bytes.split_at(bytes.len().min(usize::try_from(of_part).unwrap_or(usize::MAX)));
            self.hashing.feed(part);
            self.position += part.len() as u64;
            if self.next_end == Some(self.position) {
                self.parts.push(self.hashing.end());
                self.next_end = None;
            }
            bytes = rest;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufWriter;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_hash_is_the_same_for_ever() {
        // The reference implementation's value for no bytes.
        assert_eq!(Hash::of(b"").to_string(), "xxh3-64:2d06800538d394c2");
        let hash = Hash::of(b"lake");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("xxh9:2d06800538d394c2".parse::<Hash>().is_err());
    }

    #[test]
    fn parts_are_hashed_apart_behind_a_buffer() {
        let (ends, received) = channel();
        let mut writer = BufWriter::with_capacity(7, HashingWriter::new(Vec::new(), received));
        let mut end = 0;
        let parts: [&[u8]; 4] = [b"PAR1", b"three", b"a part that is longer than the buffer", b"x"];
        for part in parts {
            end += part.len() as u64;
            ends.send(end).unwrap();
            writer.write_all(part).unwrap();
        }
        writer.flush().unwrap();
        assert_eq!(writer.get_ref().parts(), parts.map(Hash::of));
        writer.write_all(b"footer").unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.get_mut().end(), Hash::of(b"footer"));
    }
}
