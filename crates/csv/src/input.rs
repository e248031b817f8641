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

    /// The bytes from the start; gzip and zstd are known by their first bytes, whatever the file is called.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>, CsvError> {
        let path = self.path();
        match self {
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
                decompressed(BufReader::with_capacity(FILE_BUFFER_BYTES, file))
            }
            Self::Memory { bytes, .. } => decompressed(Cursor::new(bytes.clone())),
        }
        .map_err(|source| CsvError::Read {
            path: path.to_owned(),
            source,
        })
    }
}

fn decompressed(mut bytes: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let start = bytes.fill_buf()?;
    if start.starts_with(&[0x1F, 0x8B]) {
        Ok(Box::new(Archive {
            format: "gzip",
            unpacked: MultiGzDecoder::new(bytes),
        }))
    } else if start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        Ok(Box::new(Archive {
            format: "zstd",
            // Refuses windows beyond 128 MiB, which is what bounds its memory.
            unpacked: zstd::Decoder::with_buffer(bytes)?,
        }))
    } else {
        Ok(Box::new(bytes))
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
