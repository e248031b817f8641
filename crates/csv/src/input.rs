//! Where a CSV file's bytes come from, as often as they are asked for, decompressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::error::CsvError;

const FILE_BUFFER_BYTES: usize = 256 * 1024;

/// Bytes that can be read from the start more than once.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    File(PathBuf),
    Memory { name: PathBuf, bytes: Arc<[u8]> },
}

impl Input {
    /// What errors call it.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory { name, .. } => name,
        }
    }

    /// The bytes from the start, and how they were packed; gzip and zstd are known by their first bytes, whatever the
    /// file is called.
    pub(crate) fn open(&self) -> Result<(Box<dyn Read + Send>, Option<&'static str>), CsvError> {
        let path = self.path();
        let bytes: Box<dyn BufRead + Send> = match self {
            Self::File(path) => {
                let open_error = |source| CsvError::Open {
                    path: path.clone(),
                    source,
                };
                // Before it is opened: opening a pipe that nobody writes to would wait for ever.
                if !std::fs::metadata(path).map_err(open_error)?.is_file() {
                    return Err(CsvError::NotAFile { path: path.clone() });
                }
                let file = File::open(path).map_err(open_error)?;
                Box::new(BufReader::with_capacity(FILE_BUFFER_BYTES, file))
            }
            Self::Memory { bytes, .. } => Box::new(Cursor::new(bytes.clone())),
        };
        let mut bytes = bytes;
        let read_error = |source| CsvError::Read {
            path: path.to_owned(),
            source,
        };
        if let Some((kind, mend)) = other_kind(bytes.fill_buf().map_err(read_error)?) {
            return Err(CsvError::OtherKind {
                path: path.to_owned(),
                kind,
                mend,
            });
        }
        decompressed(bytes).map_err(read_error)
    }
}

/// What a file is that begins like no CSV file, and what to do with it.
fn other_kind(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const WORKBOOK: (&str, &str) = ("a workbook", "save the sheet as CSV, and name that file");
    const PACKED: &str = "unpack it, or pack it with gzip or zstd, which are read as they are";
    let holds = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    if start.starts_with(b"PK\x03\x04") {
        let is_workbook = holds(b"[Content_Types].xml") || holds(b"xl/") || holds(b"opendocument.spreadsheet");
        return Some(if is_workbook {
            WORKBOOK
        } else {
            ("a zip archive", PACKED)
        });
    }
    let kinds: [(&[u8], _); 8] = [
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", WORKBOOK),
        (b"PAR1", ("a Parquet file", "write it as CSV")),
        (b"BZh", ("packed with bzip2", PACKED)),
        (b"\xFD7zXZ\0", ("packed with xz", PACKED)),
        (b"7z\xBC\xAF\x27\x1C", ("a 7z archive", PACKED)),
        (b"%PDF-", ("a PDF file", "get the data as CSV where it comes from")),
        (
            b"<!DOCTYPE html",
            (
                "a web page",
                "see what it says: it may be an error of where the file comes from",
            ),
        ),
        (
            b"<html",
            (
                "a web page",
                "see what it says: it may be an error of where the file comes from",
            ),
        ),
    ];
    let begins = |kind: &[u8]| {
        start
            .get(..kind.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(kind))
    };
    kinds.into_iter().find(|(kind, _)| begins(kind)).map(|(_, told)| told)
}

fn decompressed(mut bytes: Box<dyn BufRead + Send>) -> io::Result<(Box<dyn Read + Send>, Option<&'static str>)> {
    let start = bytes.fill_buf()?;
    if start.starts_with(&[0x1F, 0x8B]) {
        let (format, unpacked) = ("gzip", MultiGzDecoder::new(bytes));
        Ok((Box::new(Archive { format, unpacked }), Some(format)))
    } else if start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        // Refuses windows beyond 128 MiB, which is what bounds its memory.
        let (format, unpacked) = ("zstd", zstd::Decoder::with_buffer(bytes)?);
        Ok((Box::new(Archive { format, unpacked }), Some(format)))
    } else {
        Ok((Box::new(bytes), None))
    }
}

/// Says in its errors that it is the archive that is at fault: the decompressors' own words leave one guessing.
struct Archive<R> {
    format: &'static str,
    unpacked: R,
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.unpacked.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => error,
            _ if error.raw_os_error().is_some() => error,
            ErrorKind::UnexpectedEof => io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("the {} archive ends early: was it copied whole?", self.format),
            ),
            kind => io::Error::new(kind, format!("the {} archive is damaged: {error}", self.format)),
        })
    }
}
