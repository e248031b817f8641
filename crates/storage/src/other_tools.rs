//! Days that other tools have changed in the Delta table: readers are told, `lake adopt` takes them over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use chrono::Utc;

use crate::commit::State;
use crate::delta_log::{DeltaLog, Others};
use crate::disk;
use crate::name::encode_segment;
use crate::prerequisite::shell_word;
use crate::retype::rewrite;
use crate::schema::EXTRACT_DATE;
use crate::{
    DayWriter, Error, Lake, MissingStep, Origin, RESULTS, Result, RunDate, RunId, StoredFile, TableEntry, WrittenFile,
    padding,
};

const CLOCK_TICK: Duration = Duration::from_millis(100);

/// What is known of tables' logs, as long as their folders do not change.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownLogs(Arc<Mutex<HashMap<PathBuf, Arc<Known>>>>);

#[derive(Debug)]
struct Known {
    /// When the folder of the log changed last.
    changed: SystemTime,
    latest: Option<u64>,
    others: Others,
    /// All days' files, read only where another tool was at work.
    files: OnceLock<BTreeMap<RunDate, DayFiles>>,
}

#[derive(Debug, Default)]
struct DayFiles {
    paths: BTreeSet<String>,
    has_deleted_rows: bool,
}

impl DayFiles {
    /// Whether the rows are still those of the files that the day's manifest names.
    fn has_rows_of(&self, entry: &TableEntry, date: RunDate, folder: &Path) -> Result<bool> {
        let is_same =
            self.paths.len() == entry.files.len() && entry.files.iter().all(|file| self.paths.contains(&file.path));
        if is_same || self.has_deleted_rows {
            return Ok(!self.has_deleted_rows);
        }
        DeltaLog::list(folder)?.keeps_rows(entry.delta_version + 1, date)
    }
}

/// A table's day that was brought up to date.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Adopted {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The day.
    pub date: RunDate,
    /// Its rows until now, by its manifest.
    pub rows_before: u64,
    /// Its rows from now on.
    pub rows: u64,
}

/// Which days are brought up to date: all, or those that are named.
#[derive(Clone, Debug, Default)]
pub struct Adopt {
    /// Sources.
    pub sources: Vec<String>,
    /// Tables.
    pub tables: Vec<String>,
    /// The day.
    pub date: Option<RunDate>,
}

impl KnownLogs {
    fn of(&self, folder: &Path) -> Result<Arc<Known>> {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = std::fs::metadata(folder.join("_delta_log")).and_then(|found| found.modified());
        let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
        if let Some(known) = logs.get(folder).filter(|known| known.changed == changed) {
            return Ok(known.clone());
        }
        let log = DeltaLog::list(folder)?;
        let known = Arc::new(Known {
            changed,
            latest: log.latest_whole()?,
            others: log.others()?,
            files: OnceLock::new(),
        });
        // A folder can change twice within a tick of the disk's clock.
        if changed.elapsed().is_ok_and(|age| age > CLOCK_TICK) {
            logs.insert(folder.to_owned(), known.clone());
        }
        Ok(known)
    }
}

impl Known {
    fn files(&self, folder: &Path, table: &str) -> Result<&BTreeMap<RunDate, DayFiles>> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let mut days: BTreeMap<RunDate, DayFiles> = BTreeMap::new();
        for file in read_state(folder, table)?.iter().flat_map(State::files) {
            let day = days.entry(file.date).or_default();
            day.paths.insert(file.remove.path.clone());
            day.has_deleted_rows |= file.remove.deletion_vector.is_some();
        }
        Ok(self.files.get_or_init(|| days))
    }
}

/// Reads a log for callers that may be on any thread, of a runtime or not.
fn read_state(folder: &Path, table: &str) -> Result<Option<State>> {
    let read = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.map_err(disk::io("read", folder))?;
        let state = runtime.block_on(State::read(folder, table, None));
        Ok(state?.map(|(state, _)| state))
    };
    thread::scope(|scope| scope.spawn(read).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Lake {
    /// The files of a table's day, in the order of the source's rows.
    ///
    /// # Errors
    /// [`Error::OtherTool`] if another tool has changed the day's rows; [`Error::FileGone`];
    /// [`Error::NameTooLong`].
    pub fn files(&self, source: &str, table: &str, entry: &TableEntry) -> Result<Vec<StoredFile>> {
        let folder = self.table_dir(source, table)?;
        let Some(date) = day_of(entry) else {
            return Ok(Vec::new());
        };
        let files = self.named_files(source, table, entry)?;
        let Some(known) = self.changed_since(&folder, entry)? else {
            return Ok(files);
        };
        let nothing = DayFiles::default();
        let day = known.files(&folder, table)?.get(&date).unwrap_or(&nothing);
        if !day.has_rows_of(entry, date, &folder)? {
            return Err(Error::OtherTool {
                table: table.into(),
                date,
                command: adopt_command(source, table, date),
            });
        }
        let Some(gone) = files.iter().find(|file| !file.path.exists()) else {
            return Ok(files);
        };
        disk::refuse_links(&gone.path)?; // it may be there, at the end of one that leads nowhere
        Err(Error::FileGone {
            table: table.into(),
            date,
            path: gone.path.clone(),
            // The other tool may have put the file's rows into others.
            command: if day.paths.is_empty() {
                self.remake_command(source, table, date)
            } else {
                adopt_command(source, table, date)
            },
        })
    }

    /// The files that a manifest names, whatever has become of them.
    pub(crate) fn named_files(&self, source: &str, table: &str, entry: &TableEntry) -> Result<Vec<StoredFile>> {
        let folder = self.table_dir(source, table)?;
        let padded: Arc<[String]> = match entry.trimmed {
            true => Arc::default(),
            false => padding::columns(&*entry.arrow_schema(table)?).collect(),
        };
        let files = entry.files.iter().map(|file| StoredFile {
            path: folder.join(&file.path),
            padded: padded.clone(),
            rows: file.rows,
            bytes: file.bytes,
            footer: file.footer,
            origin: Some(Origin {
                source: source.into(),
                table: table.into(),
                date: day_of(entry),
            }),
        });
        Ok(files.collect())
    }

    /// What is known of a table's log, if another tool has committed since the day was written.
    fn changed_since(&self, folder: &Path, entry: &TableEntry) -> Result<Option<Arc<Known>>> {
        // The usual case by two looks at the disk: nothing was committed since.
        let is_there = |version| DeltaLog::entry_path_in(folder, version).exists();
        if is_there(entry.delta_version) && !is_there(entry.delta_version + 1) {
            return Ok(None);
        }
        let known = self.known_logs().of(folder)?;
        Ok((known.others > Some(entry.delta_version)).then_some(known))
    }

    fn remake_command(&self, source: &str, table: &str, date: RunDate) -> String {
        let (step, name) = if source == RESULTS {
            ("transform", table)
        } else {
            ("extract", source)
        };
        let missing = MissingStep {
            step,
            name: name.into(),
            date,
            older_than: None,
        };
        missing.command()
    }

    /// Brings manifests up to date with what other tools did to their days in the Delta tables.
    ///
    /// # Errors
    /// [`Error::Locked`] if a run writes such a day; [`Error::DeletionVectors`]; [`Error::Delta`], [`Error::Io`].
    pub async fn adopt(&self, wanted: &Adopt, run: &RunId, command: &str) -> Result<Vec<Adopted>> {
        let mut adopted = Vec::new();
        let is_wanted = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        for source in self
            .sources()?
            .iter()
            .filter(|source| is_wanted(&wanted.sources, source))
        {
            let days = self.all_days(source)?;
            for date in days
                .into_iter()
                .filter(|date| wanted.date.is_none_or(|wanted| wanted == *date))
            {
                let Some(manifest) = self.manifest_or_partial(source, date)? else {
                    continue;
                };
                let tables = manifest
                    .tables
                    .iter()
                    .filter(|(name, _)| is_wanted(&wanted.tables, name));
                let mut names = Vec::new();
                for (name, entry) in tables {
                    if self.is_out_of_date(source, name, entry)? {
                        names.push(name.clone());
                    }
                }
                if !names.is_empty() {
                    let day = self.begin_day(source, date, run, command)?;
                    adopted.extend(day.adopt(&names).await?);
                }
            }
        }
        Ok(adopted)
    }

    /// Whether the log has another tool's work that came after the manifest, or lacks the manifest's own commit.
    fn is_out_of_date(&self, source: &str, table: &str, entry: &TableEntry) -> Result<bool> {
        let known = self.known_logs().of(&self.table_dir(source, table)?)?;
        Ok(known.others > Some(entry.delta_version) || known.latest < Some(entry.delta_version))
    }
}

impl DayWriter {
    async fn adopt(self, names: &[String]) -> Result<Vec<Adopted>> {
        let mut adopted = Vec::new();
        let Some(mut manifest) = self.lake.manifest_or_partial(&self.source, self.date)? else {
            return Ok(adopted);
        };
        for name in names {
            let Some(entry) = manifest.tables.get_mut(name) else {
                continue;
            };
            let log = DeltaLog::list(&self.lake.table_dir(&self.source, name)?)?;
            let table = self.delta_table(name).await?;
            let keeps_rows = log.keeps_rows(entry.delta_version + 1, self.date)?;
            let rows_before = entry.rows;
            if table.latest() >= Some(entry.delta_version) && !table.has_files(&entry.files) {
                self.take_over(name, entry, &table)?;
            }
            if table.has_files(&entry.files) {
                entry.delta_version = table.latest().unwrap_or(entry.delta_version);
            } else {
                // A log that is gone is written anew, a day at a time.
                let columns = match table.columns() {
                    Some(_) => None,
                    None => Some(entry.arrow_schema(name)?),
                };
                let days = BTreeMap::from([(self.date, entry.files.clone())]);
                entry.delta_version = table.replace(columns.as_deref(), &days, &self.run).await?;
                adopted.push(Adopted {
                    source: self.source.clone(),
                    table: name.clone(),
                    date: self.date,
                    rows_before,
                    rows: entry.rows,
                });
            }
            if !keeps_rows || entry.rows != rows_before {
                // Results that were computed from the day are older than it now.
                manifest.run = self.run.clone();
                entry.run = self.run.clone();
            }
        }
        manifest.written_at = Utc::now();
        self.write_manifest(&manifest)?;
        self.remove_unread(names.iter(), &manifest).await?;
        Ok(adopted)
    }

    /// Makes files of ours of those that another tool has written, and of none an empty one.
    fn take_over(&self, name: &str, entry: &mut TableEntry, table: &crate::commit::Table) -> Result<()> {
        let schema = entry.arrow_schema(name)?;
        let active = table.files();
        if active.iter().any(|file| file.remove.deletion_vector.is_some()) {
            return Err(Error::DeletionVectors {
                table: name.into(),
                date: self.date,
            });
        }
        let is_active = |path: &String| active.iter().any(|file| file.remove.path == *path);
        let mut files: Vec<_> = entry
            .files
            .iter()
            .filter(|file| is_active(&file.path))
            .cloned()
            .collect();
        let is_ours = |path: &String| files.iter().any(|file| file.path == *path);
        let mut written: Vec<WrittenFile> = Vec::new();
        let staging = self.staging.join(encode_segment(name)?);
        for file in active.iter().filter(|file| !is_ours(&file.remove.path)) {
            let path = table.folder().join(&file.remove.path);
            if !path.exists() {
                return Err(Error::FileGone {
                    table: name.into(),
                    date: self.date,
                    path,
                    command: self.lake.remake_command(&self.source, name, self.date),
                });
            }
            let to = staging.join(format!("part-{:05}-{}.parquet", files.len() + written.len(), self.run));
            let origin = Origin {
                source: self.source.clone(),
                table: name.into(),
                date: Some(self.date),
            };
            written.push(rewrite(
                &StoredFile::of_other_tool(path, origin, &schema)?,
                &to,
                &schema,
                &self.lake,
            )?);
        }
        written.retain(|file| file.rows > 0);
        if files.is_empty() && written.is_empty() {
            written.push(self.file(name, &schema, 0)?.finish()?);
        }
        files.extend(self.place(name, self.date, written)?);
        entry.rows = files.iter().map(|file| file.rows).sum();
        entry.bytes = files.iter().map(|file| file.bytes).sum();
        entry.files = files;
        Ok(())
    }
}

/// The day that an entry's files are of, by their folder.
fn day_of(entry: &TableEntry) -> Option<RunDate> {
    let (folder, _) = entry.files.first()?.path.split_once('/')?;
    folder.strip_prefix(EXTRACT_DATE)?.strip_prefix('=')?.parse().ok()
}

fn adopt_command(source: &str, table: &str, date: RunDate) -> String {
    let (source, table) = (shell_word(source), shell_word(table));
    format!("lake adopt --date {date} --source {source} --table {table}")
}
