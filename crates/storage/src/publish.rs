//! Writing a source's day and making it visible.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use chrono::Utc;
use futures::StreamExt as _;

use crate::delta_log::DeltaLog;
use crate::disk;
use crate::lock::{FileLock, without_readers};
use crate::manifest::FORMAT;
use crate::name::{decode_segment, encode_segment};
use crate::retype::Joining;
use crate::schema::{EXTRACT_DATE, check_columns};
use crate::sealed;
use crate::{
    DataFile, Error, FileWriter, Lake, Manifest, Memory, Relation, Result, RunDate, RunId, Snapshot, SqlName,
    TableEntry, WrittenFile, commit,
};

/// Tables opened or committed at the same time; each waits for the disk most of the while.
const TABLES_AT_ONCE: usize = 8;

/// Does a job for each item, some at the same time; the results are in the items' order. After a
/// failure no more are begun, and those under way come to their end: the Delta library panics, on a
/// thread of its own, where it is left halfway.
pub(crate) async fn some_at_once<I: IntoIterator, R, F: Future<Output = Result<R>>>(
    items: I,
    job: impl Fn(I::Item) -> F,
) -> Result<Vec<R>> {
    let has_failed = AtomicBool::new(false);
    let jobs = items.into_iter().map(|item| {
        let (has_failed, job) = (&has_failed, job(item));
        async move {
            if has_failed.load(Ordering::Relaxed) {
                return None;
            }
            let result = job.await;
            has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
            Some(result)
        }
    });
    let results: Vec<_> = futures::stream::iter(jobs).buffered(TABLES_AT_ONCE).collect().await;
    results.into_iter().flatten().collect()
}

/// Which of a source's tables a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of them: the day has these tables and no others.
    Whole,
    /// Some: the other tables of the day stay as they are.
    Some,
    /// Some, and with those that are there already the day is complete: only for tables that do not
    /// have to be of one snapshot.
    Completing,
}

/// A table's day, written but not published.
#[derive(Clone, Debug)]
pub struct TableWrite {
    /// The table's name in the lake.
    pub name: String,
    /// Its name in its database.
    pub relation: Option<Relation>,
    /// The snapshot that it was read under.
    pub snapshot: Option<Snapshot>,
    /// For a query's result: the runs that it was computed from.
    pub inputs: BTreeMap<String, RunId>,
    /// Its columns.
    pub schema: SchemaRef,
    /// Rows as the source counted them.
    pub rows: u64,
    /// Its files, in the order of the source's rows; none is as good as an empty one.
    pub files: Vec<WrittenFile>,
}

impl Drop for DayWriter {
    fn drop(&mut self) {
        let _ = disk::remove_if_exists(&self.staging); // else the next run clears it
    }
}

/// A source's day being written. Dropped before [`DayWriter::publish`], it changes nothing.
pub struct DayWriter {
    pub(crate) lake: Lake,
    pub(crate) source: String,
    pub(crate) date: RunDate,
    pub(crate) run: RunId,
    pub(crate) command: String,
    pub(crate) staging: PathBuf,
    pub(crate) lock: FileLock,
}

impl Lake {
    /// Begins to write a source's day, holding its lock; what a killed run left is cleared away.
    ///
    /// # Errors
    /// [`Error::Locked`] while another run writes the day; [`Error::Io`] if the lake can't be written;
    /// [`Error::EscapeInPath`].
    pub fn begin_day(&self, source: &str, date: RunDate, run: &RunId, command: &str) -> Result<DayWriter> {
        self.check_path()?;
        let lock = self.lock_day(source, date, command)?;
        for complete in [true, false] {
            disk::refuse_links(&self.manifest_path(source, date, complete)?)?; // not only once all is committed
        }
        let day = self.day_writer(source, date, run, command, lock)?;
        disk::refuse_links(&day.staging)?;
        disk::remove_if_exists(&day.staging)?;
        Ok(day)
    }

    pub(crate) fn day_writer(
        &self,
        source: &str,
        date: RunDate,
        run: &RunId,
        command: &str,
        lock: FileLock,
    ) -> Result<DayWriter> {
        Ok(DayWriter {
            lake: self.clone(),
            source: source.into(),
            date,
            run: run.clone(),
            command: command.into(),
            staging: self.staging_dir(source, date)?,
            lock,
        })
    }
}

impl DayWriter {
    /// The memory of whoever writes the day.
    pub fn memory(&self) -> &Memory {
        self.lake.memory()
    }

    /// Begins a file of a table; `part` orders the files by their rows' place in the source.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Parquet`]; [`Error::NameTooLong`].
    pub fn file(&self, table: &str, schema: &SchemaRef, part: usize) -> Result<FileWriter> {
        let name = format!("part-{part:05}-{}.parquet", self.run);
        let path = self.staging.join(encode_segment(table)?).join(name);
        FileWriter::create(&path, schema, self.lake.compatibility(), self.memory())
    }

    /// Makes the tables visible as the source's day, all at once, and returns the day's manifest.
    ///
    /// A table whose columns changed gets those of all its days; where a column's type has to change
    /// for that, the other days are rewritten, see `retype`.
    ///
    /// # Errors
    /// [`Error::RowCount`] if a table's files do not hold the rows that were read,
    /// [`Error::ColumnNames`] for columns that the lake can't hold, [`Error::ColumnType`] and
    /// [`Error::Frozen`] for columns that changed: nothing has changed then. [`Error::Delta`] and
    /// [`Error::Io`] come when some tables may have been committed; the earlier manifest, and its files,
    /// are as they were.
    pub async fn publish(self, tables: Vec<TableWrite>, coverage: Coverage) -> Result<Manifest> {
        let published = self.publish_all(tables, coverage).await;
        if published.is_err() && self.lock.keeps_file() {
            let _ = self.take_back().await; // else the next run does it
        }
        published
    }

    async fn publish_all(&self, mut tables: Vec<TableWrite>, coverage: Coverage) -> Result<Manifest> {
        for table in &tables {
            check_columns(&SqlName(&table.name).to_string(), &table.schema)?;
            let written = table.files.iter().map(|file| file.rows).sum();
            if written != table.rows {
                return Err(Error::RowCount {
                    table: table.name.clone(),
                    expected: table.rows,
                    written,
                });
            }
        }
        let joining = self.join(&tables).await?;
        let mut retyped = self.retype_other_days(&tables, &joining)?;
        for (table, joining) in tables.iter_mut().zip(&joining) {
            self.retype_new_day(table, joining)?;
        }

        // A whole day is written in place of one whose manifest is damaged, too.
        let earlier = match coverage {
            Coverage::Whole => None,
            Coverage::Some | Coverage::Completing => self.lake.manifest_or_partial(&self.source, self.date)?,
        };
        let mut manifest = Manifest {
            format: FORMAT,
            version: Some(env!("CARGO_PKG_VERSION").into()),
            source: self.source.clone(),
            date: self.date,
            run: self.run.clone(),
            written_at: Utc::now(),
            complete: match coverage {
                Coverage::Whole | Coverage::Completing => true,
                Coverage::Some => earlier.as_ref().is_some_and(|m| m.complete),
            },
            tables: match (coverage, &earlier) {
                (Coverage::Some | Coverage::Completing, Some(earlier)) => earlier.tables.clone(),
                _ => BTreeMap::new(),
            },
        };

        let joining = tables.iter().zip(joining).map(|(table, joining)| {
            let other_days = retyped.days.remove(&table.name).unwrap_or_default();
            (table, joining, other_days)
        });
        self.lock.keep_file(true); // for whoever finds it, should this run stop before the end
        let publish = |(table, joining, other_days)| self.publish_table(table, joining, other_days);
        let entries = some_at_once(joining.collect::<Vec<_>>(), publish).await?;
        manifest.tables.extend(entries);

        // A table that has a folder for the day and is none of the day's leaves Delta too: the day
        // had it before, or a killed run brought it.
        let gone: Vec<String> = self
            .tables_with_the_day()?
            .into_iter()
            .filter(|name| !manifest.tables.contains_key(name))
            .collect();
        for name in &gone {
            let nothing = BTreeMap::from([(self.date, Vec::new())]);
            self.delta_table(name).await?.replace(None, &nothing, &self.run).await?;
        }

        self.write_manifest(&manifest)?;
        let names = tables.iter().map(|table| &table.name).chain(&gone);
        self.remove_unread(names, &manifest).await?;
        Ok(manifest)
    }

    /// Deletes what tables had before, if nobody reads it any more.
    pub(crate) async fn remove_unread(&self, names: impl Iterator<Item = &String>, manifest: &Manifest) -> Result<()> {
        match without_readers(&self.lake.readers_path(&self.source)?).await? {
            Some(_lock) => {
                for name in names {
                    self.remove_superseded(name, self.date, manifest.tables.get(name))?;
                    self.end_retyping(name, &self.lake.table_dir(&self.source, name)?)?;
                }
                self.lock.keep_file(false);
            }
            None => tracing::warn!(
                "{} is still being read as it was: the files that this run replaced go with the next run",
                self.source
            ),
        }
        Ok(())
    }

    async fn publish_table(
        &self,
        table: &TableWrite,
        joining: Joining,
        mut days: BTreeMap<RunDate, Vec<DataFile>>,
    ) -> Result<(String, TableEntry)> {
        let files = self.move_into_place(table)?;
        days.insert(self.date, files.clone());
        let version = joining.delta.replace(Some(&joining.columns), &days, &self.run).await?;
        let entry = TableEntry {
            delta_version: version,
            rows: table.rows,
            bytes: files.iter().map(|file| file.bytes).sum(),
            run: self.run.clone(),
            relation: table.relation.clone(),
            snapshot: table.snapshot.clone(),
            inputs: table.inputs.clone(),
            trimmed: true,
            files,
            schema: TableEntry::schema_value(&table.name, &table.schema)?,
        };
        Ok((table.name.clone(), entry))
    }

    /// A table's log, with the files that it has of the day.
    pub(crate) async fn delta_table(&self, name: &str) -> Result<commit::Table> {
        let folder = self.lake.table_dir(&self.source, name)?;
        self.recover_log(name, &folder)?;
        let days = BTreeSet::from([self.date]);
        match commit::Table::open(folder.clone(), name, &self.staging, &days).await {
            Err(Error::Delta { .. }) if DeltaLog::list(&folder)?.set_aside_torn_checkpoints()? => {
                commit::Table::open(folder, name, &self.staging, &days).await
            }
            opened => opened,
        }
    }

    /// Sets aside a torn entry at the end of a table's log.
    fn recover_log(&self, name: &str, folder: &Path) -> Result<()> {
        let only = BTreeSet::from([name.to_owned()]);
        let named = |version| {
            for date in self.lake.all_days(&self.source)? {
                let manifest = self.lake.manifest_of_tables(&self.source, date, &only)?;
                let entry = manifest.as_ref().and_then(|manifest| manifest.tables.get(name));
                if entry.is_some_and(|entry| entry.delta_version == version) {
                    return Ok(Some(date));
                }
            }
            Ok(None)
        };
        DeltaLog::list(folder)?.set_aside_torn_entries(named)
    }

    /// The tables that have a folder for the day, whatever is in it.
    pub(crate) fn tables_with_the_day(&self) -> Result<Vec<String>> {
        let source = self.lake.root().join(encode_segment(&self.source)?);
        let partition = format!("{EXTRACT_DATE}={}", self.date);
        let names = disk::list(&source)?.into_iter();
        Ok(names
            .filter(|name| source.join(name).join(&partition).is_dir())
            .filter_map(|name| decode_segment(&name))
            .collect())
    }

    /// Moves a table's files from staging into the day's folder, beside those of the day before.
    fn move_into_place(&self, table: &TableWrite) -> Result<Vec<DataFile>> {
        let mut files: Vec<WrittenFile> = table.files.iter().filter(|file| file.rows > 0).cloned().collect();
        if files.is_empty() {
            // A table without rows still has its day, and a reader of the folder its columns.
            files.push(self.file(&table.name, &table.schema, 0)?.finish()?);
        }
        self.place(&table.name, self.date, files)
    }

    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let path = self
            .lake
            .manifest_path(&self.source, manifest.date, manifest.complete)?;
        let json = sealed::to_vec(manifest).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        disk::write_atomic(&path, &json)?;
        if manifest.complete {
            disk::remove_if_exists(&self.lake.manifest_path(&self.source, manifest.date, false)?)?;
        }
        Ok(())
    }

    /// Deletes the files of a table's day that its manifest does not name: those that were replaced
    /// and those that a killed run left.
    pub(crate) fn remove_superseded(&self, table: &str, date: RunDate, entry: Option<&TableEntry>) -> Result<()> {
        let partition = format!("{EXTRACT_DATE}={date}");
        let dir = self.lake.table_dir(&self.source, table)?.join(&partition);
        let current: BTreeSet<&str> = entry
            .iter()
            .flat_map(|entry| &entry.files)
            .filter_map(|file| file.path.strip_prefix(&partition)?.strip_prefix('/'))
            .collect();
        for name in disk::list(&dir)? {
            if !current.contains(name.as_str()) {
                disk::remove_if_exists(&dir.join(name))?;
            }
        }
        if current.is_empty() {
            disk::remove_if_exists(&dir)?;
        }
        Ok(())
    }
}
