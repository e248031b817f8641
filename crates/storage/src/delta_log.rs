//! What a table's Delta log says without being replayed: its versions, and who wrote the latest.
//!
//! Each commit of ours says in its `commitInfo` which version before it is the newest that another
//! tool changed files with. So the latest entry alone tells whether a day can have been changed since
//! its manifest was written, whatever the length of the log.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use parquet::file::metadata::ParquetMetaDataReader;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::disk::{self, io};
use crate::schema::EXTRACT_DATE;
use crate::{Error, Result, RunDate};

/// Keys of `commitInfo`: the run, the newest version of another tool, and the number of actions.
pub(crate) const RUN: &str = "lake.run";
pub(crate) const OTHERS: &str = "lake.others";
pub(crate) const ACTIONS: &str = "lake.actions";

/// A temporary file of another writer's is no longer being written after this.
const TEMPORARY_AGE_MIN: Duration = Duration::from_secs(60);

/// The names in a table's `_delta_log`.
pub(crate) struct DeltaLog {
    dir: PathBuf,
    commits: BTreeSet<u64>,
    checkpoints: BTreeSet<u64>,
    /// Files of `LocalFileSystem` that have no name yet, of killed processes mostly.
    temporary: Vec<String>,
}

/// A log entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A commit of ours; where an earlier version of lake wrote it, without a word of others.
    Ours(Option<Others>),
    /// Another tool's, and whether it added or removed files.
    Other { changes_files: bool },
    /// Empty, or cut off: the disk lost power before it was written.
    Torn,
}

/// The newest version that another tool changed files with; none if there is none.
pub(crate) type Others = Option<u64>;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "commitInfo")]
    commit_info: Option<CommitInfo>,
    add: Option<IgnoredAny>,
    remove: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct CommitInfo {
    #[serde(rename = "lake.run")]
    run: Option<IgnoredAny>,
    #[serde(rename = "lake.others", default, deserialize_with = "even_null")]
    others: Option<Others>,
    #[serde(rename = "lake.actions")]
    actions: Option<usize>,
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Others>, D::Error> {
    Others::deserialize(deserializer).map(Some)
}

impl Entry {
    fn parse(content: &[u8]) -> Self {
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines: serde_json::Result<Vec<Line>> = lines.map(serde_json::from_slice).collect();
        let Ok(lines) = lines else { return Self::Torn };
        let info = lines.iter().find_map(|line| line.commit_info.as_ref());
        let is_cut = info.is_some_and(|info| info.actions.is_some_and(|count| count != lines.len()));
        match info {
            _ if lines.is_empty() || is_cut => Self::Torn,
            Some(info) if info.run.is_some() => Self::Ours(info.others),
            _ => Self::Other {
                changes_files: lines.iter().any(|line| line.add.is_some() || line.remove.is_some()),
            },
        }
    }
}

/// An added or removed file; `partitionValues` is optional for those that are removed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileChange {
    path: String,
    partition_values: Option<HashMap<String, Option<String>>>,
    #[serde(default = "yes")]
    data_change: bool,
}

fn yes() -> bool {
    true
}

fn changes_rows(content: &[u8], date: RunDate) -> bool {
    #[derive(Deserialize)]
    struct FileLine {
        add: Option<FileChange>,
        remove: Option<FileChange>,
    }
    let date = date.to_string();
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .into_iter()
        .any(|line| match serde_json::from_slice::<FileLine>(line) {
            Ok(line) => [line.add, line.remove].into_iter().flatten().any(|file| {
                let of_day = match &file.partition_values {
                    Some(values) => values
                        .get(EXTRACT_DATE)
                        .is_some_and(|value| value.as_ref() == Some(&date)),
                    None => file.path.contains(&date),
                };
                file.data_change && of_day
            }),
            Err(_) => true,
        })
}

impl DeltaLog {
    /// Lists a table's log; it is empty where there is no table.
    pub(crate) fn list(table: &Path) -> Result<Self> {
        let dir = table.join("_delta_log");
        let mut log = Self {
            commits: BTreeSet::new(),
            checkpoints: BTreeSet::new(),
            temporary: Vec::new(),
            dir,
        };
        for name in disk::list(&log.dir)? {
            let Some((version, ending)) = name.split_at_checked(20) else {
                if name.starts_with("_last_checkpoint#") {
                    log.temporary.push(name);
                }
                continue;
            };
            let version: Option<u64> = version.parse().ok();
            match (version, ending) {
                _ if ending.contains(".json#") || ending.contains(".parquet#") => log.temporary.push(name),
                (Some(version), ".json") => _ = log.commits.insert(version),
                (Some(version), _) if ending.starts_with(".checkpoint.") => _ = log.checkpoints.insert(version),
                _ => {}
            }
        }
        Ok(log)
    }

    /// The latest version whose entry is not torn.
    pub(crate) fn latest_whole(&self) -> Result<Option<u64>> {
        for version in self.commits.iter().rev() {
            if self.entry(*version)? != Some(Entry::Torn) {
                return Ok(Some(*version));
            }
        }
        Ok(self.checkpoint())
    }

    /// The latest version that a reader need not replay.
    pub(crate) fn checkpoint(&self) -> Option<u64> {
        self.checkpoints.last().copied()
    }

    fn entry_path(&self, version: u64) -> PathBuf {
        self.dir.join(format!("{version:020}.json"))
    }

    pub(crate) fn entry_path_in(table: &Path, version: u64) -> PathBuf {
        table.join("_delta_log").join(format!("{version:020}.json"))
    }

    /// Whether all commits of other tools from a version on say that they left a day's rows as they were,
    /// as one does that puts many files into few.
    pub(crate) fn keeps_rows(&self, from: u64, date: RunDate) -> Result<bool> {
        let Some(latest) = self.latest_whole()? else {
            return Ok(true);
        };
        for version in from..=latest {
            let Some(content) = disk::read_if_exists(&self.entry_path(version))? else {
                return Ok(false); // it was cleaned up
            };
            if matches!(Entry::parse(&content), Entry::Other { .. }) && changes_rows(&content, date) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An entry; none if it was cleaned up.
    pub(crate) fn entry(&self, version: u64) -> Result<Option<Entry>> {
        Ok(disk::read_if_exists(&self.entry_path(version))?.map(|content| Entry::parse(&content)))
    }

    /// The newest version that another tool changed files with.
    pub(crate) fn others(&self) -> Result<Others> {
        let Some(latest) = self.latest_whole()? else {
            return Ok(None);
        };
        for version in (0..=latest).rev() {
            match self.entry(version)? {
                Some(Entry::Ours(Some(others))) => return Ok(others),
                Some(Entry::Ours(None) | Entry::Torn | Entry::Other { changes_files: false }) => {}
                // Who wrote what was cleaned up is not known any more.
                Some(Entry::Other { changes_files: true }) | None => return Ok(Some(version)),
            }
        }
        Ok(None)
    }

    /// Removes what killed processes left.
    pub(crate) fn remove_temporary(&self) -> Result<()> {
        for name in &self.temporary {
            let path = self.dir.join(name);
            let written = match fs::symlink_metadata(&path).and_then(|found| found.modified()) {
                Ok(written) => written,
                Err(_) => continue, // it has its name by now
            };
            if SystemTime::now()
                .duration_since(written)
                .is_ok_and(|age| age >= TEMPORARY_AGE_MIN)
            {
                disk::remove_if_exists(&path)?;
            }
        }
        Ok(())
    }

    /// Gives a torn latest entry a name that no reader of Delta looks at. `named` says which day's
    /// manifest names a version: such an entry was on disk once, and more than it may be damaged.
    ///
    /// # Errors
    /// [`Error::TornEntry`].
    pub(crate) fn set_aside_torn_entries(&mut self, named: impl Fn(u64) -> Result<Option<RunDate>>) -> Result<()> {
        while let Some(version) = self.commits.last().copied()
            && self.entry(version)? == Some(Entry::Torn)
        {
            let path = self.entry_path(version);
            if let Some(date) = named(version)? {
                return Err(Error::TornEntry { path, date });
            }
            self.set_aside(
                &path,
                "a power loss or a full disk cut it off, and no manifest names it",
            )?;
            self.commits.remove(&version);
        }
        Ok(())
    }

    /// Does so with the checkpoints that can't be read and whose entries are all there; tells whether
    /// there were any.
    pub(crate) fn set_aside_torn_checkpoints(&self) -> Result<bool> {
        let mut are_there = false;
        let mut older = self.checkpoints.iter().rev().skip(1);
        for version in self.checkpoints.iter().rev() {
            let path = self.dir.join(format!("{version:020}.checkpoint.parquet"));
            let first = older.next().map_or(0, |older| older + 1);
            let has_entries = (first..=*version).all(|version| self.commits.contains(&version));
            let Ok(file) = disk::open_to_read(&path) else { break };
            if ParquetMetaDataReader::new().parse_and_finish(&file).is_ok() || !has_entries {
                break;
            }
            self.set_aside(&path, "it can't be read, and the log's entries say the same")?;
            are_there = true;
        }
        let hint = self.dir.join("_last_checkpoint");
        if are_there {
            disk::remove_if_exists(&hint)?;
        }
        Ok(are_there)
    }

    fn set_aside(&self, path: &Path, reason: &str) -> Result<()> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".torn");
        fs::rename(path, &aside).map_err(io("rename", path))?;
        disk::sync(&self.dir)?;
        tracing::warn!("{} is now {}: {reason}", path.display(), Path::new(&aside).display());
        Ok(())
    }
}
