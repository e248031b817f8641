//! Bytes to characters: byte order marks, encodings, and the place of the first byte that is no text.
//!
//! Also takes the digest of the bytes, by which the second pass knows the file it was promised.

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};

use memchr::memchr_iter;

use crate::error::TextFault;
use crate::settings::Encoding;

/// So many bytes tell whether a file is UTF-16 without a byte order mark.
const LOOKED_AT_BYTES: usize = 4096;

/// A file's characters, a block of bytes at a time.
pub(crate) struct Text {
    input: Box<dyn Read + Send>,
    block_bytes: usize,
    decoder: Decoder,
    /// Bytes not yet decoded: a block, after the start of a character that the block before cut.
    raw: Vec<u8>,
    /// The first block is read by `open`, which looks for a byte order mark.
    primed: bool,
    ended: bool,
    /// The place of `raw` in the decompressed file.
    offset: u64,
    fault: Option<TextFault>,
    digest: DefaultHasher,
}

/// Why there are no more characters.
#[derive(Debug)]
pub(crate) enum TextError {
    Read(io::Error),
    Fault { offset: u64, fault: TextFault },
}

impl Text {
    pub(crate) fn open(input: Box<dyn Read + Send>, encoding: Encoding, block_bytes: usize) -> io::Result<Self> {
        let mut text = Self {
            input,
            block_bytes: block_bytes.max(4),
            decoder: Decoder::Utf8,
            raw: Vec::new(),
            primed: true,
            ended: false,
            offset: 0,
            fault: None,
            digest: DefaultHasher::new(),
        };
        while text.raw.len() < LOOKED_AT_BYTES && !text.ended {
            text.fill()?;
        }
        let looked_at = text.raw.len().min(LOOKED_AT_BYTES);
        let nuls = memchr_iter(0, &text.raw[..looked_at]).count();
        let (mark, mark_length) = match text.raw.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => (Some(Decoder::Utf8), 3),
            [0xFF, 0xFE, ..] => (
                Some(Decoder::Utf16 {
                    unit: u16::from_le_bytes,
                }),
                2,
            ),
            [0xFE, 0xFF, ..] => (
                Some(Decoder::Utf16 {
                    unit: u16::from_be_bytes,
                }),
                2,
            ),
            _ => (None, 0),
        };
        text.decoder = match encoding {
            Encoding::Utf8 => mark.unwrap_or(Decoder::Utf8),
            Encoding::Latin1 => Decoder::Latin1,
            Encoding::Windows1252 => Decoder::Windows1252,
        };
        if encoding == Encoding::Utf8 {
            text.raw.drain(..mark_length);
            text.offset = mark_length as u64;
        } else if mark_length > 0 {
            text.fault = Some(TextFault::ByteOrderMark);
        }
        if mark_length < 2 && nuls * 4 > looked_at {
            text.fault = Some(TextFault::Nul);
        }
        Ok(text)
    }

    /// Appends some more characters to `out`; false once there are none left to come.
    ///
    /// A fault is told only after the characters before it, so that the caller can count their lines.
    pub(crate) fn read_into(&mut self, out: &mut String) -> Result<bool, TextError> {
        if let Some(fault) = self.fault {
            return Err(TextError::Fault {
                offset: self.offset,
                fault,
            });
        }
        if !std::mem::take(&mut self.primed) {
            self.fill().map_err(TextError::Read)?;
        }
        let (decoded, fault) = self.decoder.decode(&self.raw, self.ended, out);
        self.raw.drain(..decoded);
        self.offset += decoded as u64;
        self.fault = fault;
        Ok(!self.ended || fault.is_some())
    }

    /// What the encoding is called.
    pub(crate) fn encoding(&self) -> &'static str {
        match self.decoder {
            Decoder::Utf8 => "UTF-8",
            Decoder::Utf16 { .. } => "UTF-16",
            Decoder::Latin1 => "Latin-1",
            Decoder::Windows1252 => "Windows-1252",
        }
    }

    /// The digest of all bytes read so far, before decoding and after decompression.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    fn fill(&mut self) -> io::Result<()> {
        let held = self.raw.len();
        // Always a whole block, so that both passes feed the digest in the same pieces.
        let read = (&mut self.input)
            .take(self.block_bytes as u64)
            .read_to_end(&mut self.raw)?;
        self.digest.write(&self.raw[held..]);
        self.ended = read < self.block_bytes;
        Ok(())
    }
}

enum Decoder {
    Utf8,
    Utf16 { unit: fn([u8; 2]) -> u16 },
    Latin1,
    Windows1252,
}

impl Decoder {
    /// Decodes `raw` into `out`: the bytes used, and what stands right after them if that is a fault.
    fn decode(&self, raw: &[u8], last: bool, out: &mut String) -> (usize, Option<TextFault>) {
        if let Self::Utf16 { unit } = self {
            return decode_utf16(raw, *unit, last, out);
        }
        match self {
            Self::Utf8 | Self::Utf16 { .. } => decode_utf8(raw, last, out),
            Self::Latin1 => decode_bytes(raw, latin1, out),
            Self::Windows1252 => decode_bytes(raw, windows1252, out),
        }
    }
}

fn decode_utf8(raw: &[u8], last: bool, out: &mut String) -> (usize, Option<TextFault>) {
    let Err(error) = std::str::from_utf8(raw).map(|valid| out.push_str(valid)) else {
        return (raw.len(), None);
    };
    let used = error.valid_up_to();
    out.push_str(std::str::from_utf8(&raw[..used]).unwrap_or_default());
    let cut_by_the_block = error.error_len().is_none() && !last;
    (used, (!cut_by_the_block).then_some(TextFault::NotUtf8))
}

fn decode_utf16(raw: &[u8], unit: fn([u8; 2]) -> u16, last: bool, out: &mut String) -> (usize, Option<TextFault>) {
    let (pairs, _) = raw.as_chunks::<2>();
    let mut used = 0;
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match decoded {
            Ok(character) => {
                out.push(character);
                used += 2 * character.len_utf16();
            }
            Err(_) if !last && used + 2 == 2 * pairs.len() => return (used, None),
            Err(_) => return (used, Some(TextFault::NotUtf16)),
        }
    }
    (used, (last && used < raw.len()).then_some(TextFault::NotUtf16))
}

fn decode_bytes(
    raw: &[u8],
    character: fn(u8) -> Result<char, TextFault>,
    out: &mut String,
) -> (usize, Option<TextFault>) {
    for (used, byte) in raw.iter().enumerate() {
        match character(*byte) {
            Ok(character) => out.push(character),
            Err(fault) => return (used, Some(fault)),
        }
    }
    (raw.len(), None)
}

fn latin1(byte: u8) -> Result<char, TextFault> {
    match byte {
        0x80..=0x9F => Err(TextFault::NotLatin1(byte)),
        _ => Ok(char::from(byte)),
    }
}

fn windows1252(byte: u8) -> Result<char, TextFault> {
    /// 0x80–0x9F, after the code page's table at unicode.org; a NUL where it defines none.
    const UPPER_CONTROLS: [char; 32] = [
        '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”',
        '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
    ];
    let character = match byte {
        0x80..=0x9F => UPPER_CONTROLS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    };
    if character == '\0' && byte != 0 {
        Err(TextFault::NotWindows1252(byte))
    } else {
        Ok(character)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// The text read in blocks of every small size, which must not matter, and the fault's offset.
    fn read(bytes: &[u8], encoding: Encoding) -> (String, Option<(u64, TextFault)>) {
        let read_in_blocks = |block_bytes| {
            let mut text =
                Text::open(Box::new(Cursor::new(bytes.to_vec())), encoding, block_bytes).expect("memory can be read");
            let mut out = String::new();
            loop {
                match text.read_into(&mut out) {
                    Ok(true) => {}
                    Ok(false) => return (out, None),
                    Err(TextError::Fault { offset, fault }) => return (out, Some((offset, fault))),
                    Err(TextError::Read(error)) => panic!("{error}"),
                }
            }
        };
        let whole = read_in_blocks(1 << 16);
        for block_bytes in 4..12 {
            assert_eq!(
                read_in_blocks(block_bytes),
                whole,
                "blocks of {block_bytes} of {bytes:x?}"
            );
        }
        whole
    }

    #[test]
    fn every_encoding_gives_its_characters() {
        let words = "a€😀ÿ, \u{FEFF}\r\n".repeat(3);
        let utf16 = |unit: fn(u16) -> [u8; 2], mark: &[u8]| {
            [mark.to_vec(), words.encode_utf16().flat_map(unit).collect()].concat()
        };
        for bytes in [
            words.as_bytes().to_vec(),
            ["\u{FEFF}".as_bytes(), words.as_bytes()].concat(),
            utf16(u16::to_le_bytes, &[0xFF, 0xFE]),
            utf16(u16::to_be_bytes, &[0xFE, 0xFF]),
        ] {
            assert_eq!(read(&bytes, Encoding::Utf8), (words.clone(), None));
        }
        assert_eq!(read(b"a\xE9\xFF\xA0", Encoding::Latin1), ("aéÿ\u{A0}".to_owned(), None));
        assert_eq!(read(b"a\xE9\x80\x9F", Encoding::Windows1252), ("aé€Ÿ".to_owned(), None));
        assert_eq!(read(b"abcd\0", Encoding::Windows1252), ("abcd\0".to_owned(), None));
        assert_eq!(read(b"\xFE\xFF\0a\0\0", Encoding::Utf8), ("a\0".to_owned(), None));
        assert_eq!(read(b"", Encoding::Utf8), (String::new(), None));
        assert_eq!(read(b"\xEF\xBB\xBF", Encoding::Utf8), (String::new(), None));
    }

    #[test]
    fn the_first_byte_that_is_no_text_is_named() {
        for (bytes, encoding, text, offset, fault) in [
            (&b"abcdefg\xFFh"[..], Encoding::Utf8, "abcdefg", 7, TextFault::NotUtf8),
            (b"abcdef\xE2\x82", Encoding::Utf8, "abcdef", 6, TextFault::NotUtf8),
            (b"abc\xE2\x82def", Encoding::Utf8, "abc", 3, TextFault::NotUtf8),
            (b"abc\xE2\x82\0def", Encoding::Utf8, "abc", 3, TextFault::NotUtf8),
            (b"a\xED\xA0\x80", Encoding::Utf8, "a", 1, TextFault::NotUtf8),
            (b"\xFF\xFEa\0\x00\xD8b\0", Encoding::Utf8, "a", 4, TextFault::NotUtf16),
            (b"\xFF\xFEa\0\x00\xD8", Encoding::Utf8, "a", 4, TextFault::NotUtf16),
            (b"\xFF\xFEa\0b", Encoding::Utf8, "a", 4, TextFault::NotUtf16),
            (b"a\0b\0", Encoding::Utf8, "", 0, TextFault::Nul),
            (b"ab\x80", Encoding::Latin1, "ab", 2, TextFault::NotLatin1(0x80)),
            (b"\0a\0b", Encoding::Latin1, "", 0, TextFault::Nul),
            (
                b"ab\x81",
                Encoding::Windows1252,
                "ab",
                2,
                TextFault::NotWindows1252(0x81),
            ),
            (b"\xEF\xBB\xBFa", Encoding::Latin1, "", 0, TextFault::ByteOrderMark),
        ] {
            assert_eq!(
                read(bytes, encoding),
                (text.to_owned(), Some((offset, fault))),
                "{bytes:x?}"
            );
        }
    }
}
