//! The rows of a source that a run left out, in a file beside the run's record.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::disk;
use crate::name::{SEGMENT_BYTES_MAX, encode_segment};
use crate::{DayWriter, Error, Result};

/// A file being written; it is beside the run's record once [`BadRowsFile::keep`] has returned.
pub struct BadRowsFile {
    staged: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
}

impl DayWriter {
    /// Begins the file of a table's bad rows. It belongs to the run, not to the day: the next run of the day leaves it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::NameTooLong`].
    pub fn bad_rows_file(&self, table: &str) -> Result<BadRowsFile> {
        let (source, segment) = (encode_segment(&self.source)?, encode_segment(table)?);
        let name = format!("{}.{source}.{segment}.bad.csv", self.run);
        if name.len() > SEGMENT_BYTES_MAX {
            return Err(Error::NameTooLong { name: table.into() });
        }
        // Beside the table's Parquet files, where the next run clears away what a killed one left.
        let dir = self.staging.join(segment);
        disk::create_dir_all(&dir)?;
        let staged = dir.join("rows.bad.csv");
        let file = disk::create(&staged)?;
        Ok(BadRowsFile {
            path: self.lake.runs_dir(self.date).join(name),
            file: BufWriter::new(file),
            staged,
        })
    }
}

impl Write for BadRowsFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl BadRowsFile {
    /// Syncs the file and puts it beside the run's record; returns its path.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn keep(self) -> Result<PathBuf> {
        let Self { staged, path, file } = self;
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .map_err(disk::io("write", &staged))?;
        let dir = path.parent().map(PathBuf::from).unwrap_or_default();
        disk::create_dir_all(&dir)?;
        fs::rename(&staged, &path).map_err(disk::io("move", &staged))?;
        disk::sync(&dir)?;
        Ok(path)
    }
}
