//! The lake's folder: where things are in it, and which days are complete.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk;
use crate::lock::{Acquired, CLEARING, FileLock};
use crate::name::{decode_segment, encode_segment};
use crate::other_tools::KnownLogs;
use crate::{
    BatchReader, Compatibility, Error, Manifest, Memory, ReadGuard, Result, RunDate, RunId, SchemaChange, TableEntry,
};

/// How long a run waits for another that clears up after a killed one.
const CLEARING_PATIENCE: Duration = Duration::from_secs(30);

/// A lake on the local disk.
#[derive(Clone, Debug)]
pub struct Lake {
    root: PathBuf,
    schema_change: SchemaChange,
    memory: Memory,
    compatibility: Compatibility,
    known_logs: KnownLogs,
}

impl Lake {
    /// Names a lake's folder, which may be a link to another; nothing of the lake is read or created yet.
    ///
    /// # Errors
    /// [`Error::Io`] if the path can't be followed.
    pub fn at(root: &Path) -> Result<Self> {
        Ok(Self {
            root: disk::resolve(root)?,
            schema_change: SchemaChange::default(),
            memory: Memory::default(),
            compatibility: Compatibility::default(),
            known_logs: KnownLogs::default(),
        })
    }

    /// Says what runs may change about the columns of the lake's tables, and of the target's.
    pub fn with_schema_change(self, schema_change: SchemaChange) -> Self {
        Self { schema_change, ..self }
    }

    /// Says which readers the Parquet files are for that are written from now on.
    pub fn with_compatibility(self, compatibility: Compatibility) -> Self {
        Self { compatibility, ..self }
    }

    pub(crate) fn compatibility(&self) -> Compatibility {
        self.compatibility
    }

    /// Says how much memory whoever reads and writes the lake may take.
    pub fn with_memory(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    /// The memory of whoever reads and writes the lake.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn known_logs(&self) -> &KnownLogs {
        &self.known_logs
    }

    /// What runs may change about the columns of tables.
    pub fn schema_change(&self) -> SchemaChange {
        self.schema_change
    }

    /// The lake's folder, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses a folder that Delta readers would look for elsewhere: they take a table's folder as a
    /// URL, and several of them decode it once too often.
    ///
    /// # Errors
    /// [`Error::EscapeInPath`] if the path has a `%` before two hexadecimal digits.
    pub fn check_path(&self) -> Result<()> {
        let path = self.root.to_string_lossy();
        let is_escape = |bytes: &[u8]| bytes[0] == b'%' && bytes[1..].iter().all(u8::is_ascii_hexdigit);
        if path.as_bytes().windows(3).any(is_escape) {
            return Err(Error::EscapeInPath {
                root: self.root.clone(),
            });
        }
        Ok(())
    }

    /// A table's folder: a Delta table once a day of it was published.
    ///
    /// # Errors
    /// [`Error::NameTooLong`].
    pub fn table_dir(&self, source: &str, table: &str) -> Result<PathBuf> {
        Ok(self.root.join(encode_segment(source)?).join(encode_segment(table)?))
    }

    /// The manifest that makes a source's day complete; none if it isn't.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Manifest`].
    pub fn manifest(&self, source: &str, date: RunDate) -> Result<Option<Manifest>> {
        self.read_manifest(source, date, true, None)
    }

    /// The complete manifest, or else the one of the tables that were extracted singly.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Manifest`].
    pub fn manifest_or_partial(&self, source: &str, date: RunDate) -> Result<Option<Manifest>> {
        match self.manifest(source, date)? {
            Some(manifest) => Ok(Some(manifest)),
            None => self.read_manifest(source, date, false, None),
        }
    }

    /// [`Lake::manifest_or_partial`] with no other tables than `tables`: for readers of a few tables of
    /// many days.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Manifest`].
    pub fn manifest_of_tables(
        &self,
        source: &str,
        date: RunDate,
        tables: &BTreeSet<String>,
    ) -> Result<Option<Manifest>> {
        match self.read_manifest(source, date, true, Some(tables))? {
            Some(manifest) => Ok(Some(manifest)),
            None => self.read_manifest(source, date, false, Some(tables)),
        }
    }

    /// The sources that have a manifest, sorted by name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sources(&self) -> Result<Vec<String>> {
        let names = disk::list(&self.root.join("_manifests"))?;
        Ok(names.iter().filter_map(|name| decode_segment(name)).collect())
    }

    /// The complete days of a source, in order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn days(&self, source: &str) -> Result<Vec<RunDate>> {
        let names = disk::list(&self.root.join("_manifests").join(encode_segment(source)?))?;
        Ok(names
            .iter()
            .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
            .collect())
    }

    /// The days of a source that have a manifest, also those of single tables, in order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn all_days(&self, source: &str) -> Result<BTreeSet<RunDate>> {
        let names = disk::list(&self.root.join("_manifests").join(encode_segment(source)?))?;
        let date = |name: &String| {
            let name = name.strip_suffix(".json")?;
            name.strip_suffix(".partial").unwrap_or(name).parse().ok()
        };
        Ok(names.iter().filter_map(date).collect())
    }

    /// A source's tables that were ever published, or begun to be.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tables(&self, source: &str) -> Result<BTreeSet<String>> {
        let names = disk::list(&self.root.join(encode_segment(source)?))?;
        Ok(names.iter().filter_map(|name| decode_segment(name)).collect())
    }

    /// A table's day as batches, in the order of the source's rows.
    ///
    /// # Errors
    /// Those of [`Lake::files`]; reading errors come with the batches.
    pub fn batches(&self, source: &str, table: &str, entry: &TableEntry) -> Result<BatchReader> {
        Ok(BatchReader::new(self.files(source, table, entry)?, &self.memory))
    }

    /// Keeps the files that a source's manifests name from being deleted. Take it before reading the
    /// manifest, and hold it until the files are read.
    ///
    /// # Errors
    /// [`Error::Link`]; [`Error::NameTooLong`].
    pub fn read_guard(&self, source: &str) -> Result<ReadGuard> {
        ReadGuard::take(&self.readers_path(source)?)
    }

    pub(crate) fn readers_path(&self, source: &str) -> Result<PathBuf> {
        Ok(self
            .root
            .join("_locks")
            .join(encode_segment(source)?)
            .join("readers.lock"))
    }

    pub(crate) fn manifest_path(&self, source: &str, date: RunDate, complete: bool) -> Result<PathBuf> {
        let suffix = if complete { "" } else { ".partial" };
        Ok(self
            .root
            .join("_manifests")
            .join(encode_segment(source)?)
            .join(format!("{date}{suffix}.json")))
    }

    pub(crate) fn staging_dir(&self, source: &str, date: RunDate) -> Result<PathBuf> {
        Ok(self
            .root
            .join("_staging")
            .join(encode_segment(source)?)
            .join(date.to_string()))
    }

    /// The folder of a day's run records, and of the rows that its runs left out.
    pub fn runs_dir(&self, date: RunDate) -> PathBuf {
        self.root.join("_runs").join(date.to_string())
    }

    pub(crate) fn run_lock_path(&self, run: &RunId) -> PathBuf {
        self.root.join("_locks").join("_runs").join(format!("{run}.lock"))
    }

    pub(crate) fn day_lock_path(&self, source: &str, date: RunDate) -> Result<PathBuf> {
        let locks = self.root.join("_locks").join(encode_segment(source)?);
        Ok(locks.join(format!("{date}.lock")))
    }

    pub(crate) fn lock_day(&self, source: &str, date: RunDate, command: &str) -> Result<FileLock> {
        let path = self.day_lock_path(source, date)?;
        let patience = Instant::now() + CLEARING_PATIENCE;
        loop {
            match FileLock::acquire(&path, command)? {
                Acquired::Ours(lock) => return Ok(lock),
                Acquired::HeldBy(holder) if holder.command == CLEARING && Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Acquired::HeldBy(holder) => {
                    return Err(Error::Locked {
                        source_name: source.into(),
                        date,
                        holder,
                    });
                }
            }
        }
    }
}
