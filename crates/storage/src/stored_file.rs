//! A Parquet file of the lake, and the proof that its bytes are those that were written.
//!
//! ```text
//!  manifest ── size, hash of the footer ─► footer ── hash of each column chunk ─► PAR1 │ chunk │ chunk │ … │ footer
//! ```
//!
//! The footer is all that comes after the last chunk: the page indexes, the metadata, its length. The chunks' hashes
//! are in it, where they are needed, and not in the manifest, which is read whole for each table that is asked for.
//!
//! A file from before there were hashes has its size and its rows compared; what is wrong in it beyond that is found
//! where it can't be decoded.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::Schema;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use crate::hash::{Hash, Hashing};
use crate::{Error, MissingStep, Result, RunDate, SqlName, disk, padding, panics};

/// The first bytes of a Parquet file.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";
/// The key in a footer under which it has the hashes of the column chunks, in their order.
const CHUNK_HASHES: &str = "lake.chunk_hashes";
/// Bytes are hashed in pieces that stay in a processor's cache.
const PIECE_BYTES: usize = 256 << 10;

/// Where a file's footer begins, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    pub(crate) offset: u64,
    pub(crate) hash: Hash,
}

/// A Parquet file and what is known of it.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Its columns of `char(n)` whose values still have the blanks that pad them.
    pub padded: Arc<[String]>,
    pub(crate) footer: Option<Footer>,
    /// None while it is not published.
    pub(crate) origin: Option<Origin>,
}

/// The table's day that a file is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The day; none if the path does not say it.
    pub date: Option<RunDate>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", SqlName(&self.source), SqlName(&self.table))?;
        self.date.map_or(Ok(()), |date| write!(f, " of {date}"))
    }
}

/// How a file is not what was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// There is no such file.
    #[error("it is gone")]
    Missing,
    /// It is shorter or longer.
    #[error("{expected} bytes were written, and it has {found}")]
    Size {
        /// As it was written.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// It has other rows.
    #[error("{expected} rows were written, and it has {found}")]
    Rows {
        /// As were written.
        expected: u64,
        /// As its footer says.
        found: i64,
    },
    /// Its first bytes are others.
    #[error("it does not begin as a Parquet file")]
    Magic,
    /// Its footer's bytes are others.
    #[error("its footer has changed since it was written")]
    Footer,
    /// A column chunk's bytes are others.
    #[error("column {column:?} has changed in row group {row_group} since it was written")]
    Chunk {
        /// The column.
        column: String,
        /// Its row group, from 0.
        row_group: usize,
    },
    /// Its bytes make no sense.
    #[error("it can't be decoded: {reason}")]
    Undecodable {
        /// The reader's words.
        reason: String,
    },
}

/// The entry of a footer that has the hashes of all chunks.
pub(crate) fn chunk_hashes(hashes: &[Hash]) -> KeyValue {
    let hashes: Vec<String> = hashes.iter().map(Hash::to_string).collect();
    KeyValue::new(CHUNK_HASHES.to_owned(), hashes.join(","))
}

impl StoredFile {
    /// Whether all its bytes can be checked.
    pub fn has_hashes(&self) -> bool {
        self.footer.is_some()
    }

    /// A file that another tool has written for a table of `schema`: of it nothing is known but what it says itself.
    pub(crate) fn of_other_tool(path: PathBuf, origin: Origin, schema: &Schema) -> Result<Self> {
        let file = disk::open_to_read(&path)?;
        let bytes = file.metadata().map_err(disk::io("read", &path))?.len();
        let mut stored = Self {
            path,
            rows: 0,
            bytes,
            padded: padding::columns(schema).collect(),
            footer: None,
            origin: Some(origin),
        };
        let metadata = stored.decode(|| {
            let parsed = ParquetMetaDataReader::new().parse_and_finish(&file);
            parsed.map_err(|error| stored.undecodable(&error))
        })?;
        stored.rows = metadata.file_metadata().num_rows().cast_unsigned();
        Ok(stored)
    }

    /// Opens the file and checks its size and its footer.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Link`]; [`Error::Io`].
    pub fn open(&self) -> Result<CheckedFile> {
        let file = match disk::open_to_read(&self.path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(self.damaged(Damage::Missing));
            }
            file => file?,
        };
        let found = file.metadata().map_err(disk::io("read", &self.path))?.len();
        if found != self.bytes {
            return Err(self.damaged(Damage::Size {
                expected: self.bytes,
                found,
            }));
        }
        let metadata = match self.footer {
            Some(footer) => self.decode(|| {
                let bytes = Bytes::from(self.checked_footer(&file, footer)?);
                let mut reader = ParquetMetaDataReader::new();
                let parsed = reader.try_parse_sized(&bytes, self.bytes);
                parsed.and_then(|()| reader.finish()).map_err(|e| self.undecodable(&e))
            }),
            None => self.decode(|| {
                // With the page indexes, so that nobody has to decode them where a panic is not caught.
                let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
                let parsed = reader.parse_and_finish(&file).and_then(|metadata| {
                    ArrowReaderMetadata::try_new(Arc::new(metadata.clone()), ArrowReaderOptions::default())?;
                    Ok(metadata)
                });
                parsed.map_err(|error| self.undecodable(&error))
            }),
        }?;
        let rows = metadata.file_metadata().num_rows();
        if u64::try_from(rows) != Ok(self.rows) {
            return Err(self.damaged(Damage::Rows {
                expected: self.rows,
                found: rows,
            }));
        }
        let chunks = match self.footer {
            Some(_) => chunks(&metadata).ok_or_else(|| self.damaged(Damage::Footer))?,
            None => Vec::new(),
        };
        Ok(CheckedFile {
            stored: self.clone(),
            file,
            metadata: Arc::new(metadata),
            chunks,
        })
    }

    fn checked_footer(&self, file: &File, footer: Footer) -> Result<Vec<u8>> {
        let length = self.bytes.checked_sub(footer.offset).map(usize::try_from);
        let Some(Ok(length)) = length else {
            return Err(self.damaged(Damage::Footer));
        };
        let mut bytes = vec![0; length];
        self.read_at(file, &mut bytes, footer.offset)?;
        match Hash::of(&bytes) == footer.hash {
            true => Ok(bytes),
            false => Err(self.damaged(Damage::Footer)),
        }
    }

    fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> Result<()> {
        file.read_exact_at(bytes, offset).map_err(disk::io("read", &self.path))
    }

    /// Runs what decodes the file's bytes: where these make no sense, it may panic.
    ///
    /// # Errors
    /// Those of `f`; [`Error::Damaged`] for a panic.
    pub fn decode<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        panics::catch(f).unwrap_or_else(|reason| Err(self.damaged(Damage::Undecodable { reason })))
    }

    /// The error for what a reader of the file's bytes says.
    pub fn undecodable(&self, error: &dyn std::error::Error) -> Error {
        let mut reason = error.to_string();
        // Its own prefix says that Parquet, or Arrow, is at fault.
        for prefix in ["Parquet argument error: ", "Parquet error: "] {
            reason = reason.replace(prefix, "");
        }
        self.damaged(Damage::Undecodable { reason })
    }

    fn damaged(&self, damage: Damage) -> Error {
        let mend = match &self.origin {
            Some(Origin {
                source,
                table,
                date: Some(date),
            }) => MissingStep::mend(source, Some(table), *date),
            _ => "run this again".to_owned(),
        };
        Error::Damaged {
            of: self
                .origin
                .as_ref()
                .map(|origin| format!("{origin}: "))
                .unwrap_or_default(),
            path: self.path.clone(),
            damage,
            mend,
        }
    }
}

impl AsRef<Path> for StoredFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// A file that is open, its size and footer as they were written; the rest is checked as it is read.
#[derive(Debug)]
pub struct CheckedFile {
    stored: StoredFile,
    file: File,
    metadata: Arc<ParquetMetaData>,
    /// In the order of the file, without gaps; none if there are no hashes.
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    range: Range<u64>,
    hash: Hash,
    is_checked: AtomicBool,
}

/// The chunks with their hashes; none if the footer has not one for each.
fn chunks(metadata: &ParquetMetaData) -> Option<Vec<Chunk>> {
    let mut pairs = metadata.file_metadata().key_value_metadata()?.iter();
    let hashes = pairs.find(|pair| pair.key == CHUNK_HASHES)?.value.as_deref()?;
    let mut hashes = hashes.split(',').filter(|hash| !hash.is_empty());
    let columns = metadata.row_groups().iter().flat_map(|row_group| row_group.columns());
    let chunks: Option<Vec<Chunk>> = columns
        .map(|column| {
            let (start, length) = column.byte_range();
            Some(Chunk {
                range: start..start + length,
                hash: hashes.next()?.parse().ok()?,
                is_checked: AtomicBool::new(false),
            })
        })
        .collect();
    chunks.filter(|_| hashes.next().is_none())
}

impl CheckedFile {
    /// What the file is.
    pub fn stored(&self) -> &StoredFile {
        &self.stored
    }

    /// Its footer, without the page indexes.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Reads some bytes, checked with all of the chunks that they are in.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Io`].
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let length = range.end.checked_sub(range.start).map(usize::try_from);
        let (Some(Ok(length)), true) = (length, range.end <= self.stored.bytes) else {
            return Err(self.stored.damaged(Damage::Undecodable {
                reason: "its footer leads beyond its end".to_owned(),
            }));
        };
        let first = self.chunks.partition_point(|chunk| chunk.range.end <= range.start);
        let touched = self.chunks[first..].partition_point(|chunk| chunk.range.start < range.end);
        if let Some(footer) = self.stored.footer
            && range.end > footer.offset
        {
            self.stored.checked_footer(&self.file, footer)?;
        }
        // Most reads are of one whole chunk: they get by with reading it once.
        let is_one = touched == 1 && self.chunks[first].range == range;
        if !is_one {
            for chunk in first..first + touched {
                self.check(chunk)?;
            }
        }
        let mut bytes = vec![0; length];
        self.stored.read_at(&self.file, &mut bytes, range.start)?;
        if is_one && !self.chunks[first].is_checked.load(Ordering::Relaxed) {
            self.compare(first, Hash::of(&bytes))?;
        }
        Ok(bytes.into())
    }

    /// Checks a row group's chunks.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Io`].
    pub(crate) fn check_row_group(&self, row_group: usize) -> Result<()> {
        if self.chunks.is_empty() {
            return Ok(());
        }
        let columns = self.metadata.file_metadata().schema_descr().num_columns();
        (row_group * columns..(row_group + 1) * columns).try_for_each(|chunk| self.check(chunk))
    }

    /// Checks all of a file that has hashes.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Io`].
    pub(crate) fn check_all(&self) -> Result<()> {
        let mut magic = [0; MAGIC.len()];
        self.stored.read_at(&self.file, &mut magic, 0)?;
        if magic != *MAGIC {
            return Err(self.stored.damaged(Damage::Magic));
        }
        (0..self.chunks.len()).try_for_each(|chunk| self.check(chunk))
    }

    fn check(&self, chunk: usize) -> Result<()> {
        let Chunk { range, is_checked, .. } = &self.chunks[chunk];
        if is_checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut hashing = Hashing::default();
        let mut piece = vec![0; PIECE_BYTES.min((range.end - range.start) as usize)];
        let mut position = range.start;
        while position < range.end {
            let length = piece.len().min((range.end - position) as usize);
            self.stored.read_at(&self.file, &mut piece[..length], position)?;
            hashing.feed(&piece[..length]);
            position += length as u64;
        }
        self.compare(chunk, hashing.end())
    }

    fn compare(&self, chunk: usize, hash: Hash) -> Result<()> {
        let expected = &self.chunks[chunk];
        if expected.hash != hash {
            let columns = self.metadata.file_metadata().schema_descr().num_columns();
            let column = self.metadata.row_group(chunk / columns).column(chunk % columns);
            return Err(self.stored.damaged(Damage::Chunk {
                column: column.column_path().parts().first().cloned().unwrap_or_default(),
                row_group: chunk / columns,
            }));
        }
        expected.is_checked.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl From<Error> for ParquetError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}
