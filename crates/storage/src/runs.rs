//! What every run did, kept beside the data.

use std::fmt;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::lock::{Acquired, FileLock};
use crate::sealed::{self, Seal};
use crate::{Error, Lake, Result, RunDate};

/// The name of a run: its start in UTC and four random digits, e.g. `20260131T060000-3f9a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl TryFrom<String> for RunId {
    type Error = String;

    /// It becomes the name of files: what could lead elsewhere is no run.
    fn try_from(text: String) -> Result<Self, String> {
        let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match !text.is_empty() && is_name(&text) {
            true => Ok(Self(text)),
            false => Err(format!("{text:?} is no name of a run")),
        }
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl RunId {
    /// A name that no other run has.
    pub fn new() -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        Self(format!("{}-{}", Utc::now().format("%Y%m%dT%H%M%S"), &random[..4]))
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// Under way.
    Running,
    /// Ended well.
    Done,
    /// Ended with an error.
    Failed,
    /// Its process died before it ended.
    Interrupted,
}

impl fmt::Display for StepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        })
    }
}

/// One step of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepRecord {
    /// `extract`, `transform`, `load` or `export`.
    pub step: String,
    /// What it worked on: a source for `extract`; the tables or queries where only some were asked
    /// for; else none.
    pub source: Option<String>,
    /// How it ended.
    pub status: StepStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Tables or queries handled.
    pub tables: u64,
    /// Rows handled.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Rows of the source that were left out, and are kept beside this record.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub quarantined: u64,
    /// The error as it was shown, without secrets.
    pub error: Option<String>,
    /// The runs whose manifests it read, by source: later runs of these make it stale.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub inputs: std::collections::BTreeMap<String, RunId>,
}

/// A record written before there were such counts is read as one without.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One run: a command for a day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// The command, e.g. `lake run`.
    pub command: String,
    /// The day.
    pub date: RunDate,
    /// The version of lake.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Its steps so far, in order.
    pub steps: Vec<StepRecord>,
}

/// Writes the record of a run under way after every change.
///
/// Holds a lock meanwhile, by which a reader tells a run that goes on from one that was killed.
pub struct RunLog {
    path: PathBuf,
    record: RunRecord,
    _alive: Option<FileLock>,
}

impl RunLog {
    /// Begins the record of a run.
    ///
    /// # Errors
    /// [`Error::Io`] if the lake can't be written.
    pub fn begin(lake: &Lake, command: &str, date: RunDate) -> Result<Self> {
        remove_leftovers(lake, date)?;
        let run = RunId::new();
        let alive = match FileLock::acquire(&lake.run_lock_path(&run), command)? {
            Acquired::Ours(lock) => Some(lock),
            Acquired::HeldBy(_) => None, // another run of the same name in the same second
        };
        Ok(Self {
            path: lake.runs_dir(date).join(format!("{run}.json")),
            record: RunRecord {
                run,
                command: command.into(),
                date,
                version: env!("CARGO_PKG_VERSION").into(),
                pid: std::process::id(),
                started_at: Utc::now(),
                steps: Vec::new(),
            },
            _alive: alive,
        })
    }

    /// The run's name.
    pub fn run(&self) -> &RunId {
        &self.record.run
    }

    /// Records that a step begins.
    ///
    /// # Errors
    /// [`Error::Io`] if the lake can't be written.
    pub fn step_started(&mut self, step: &str, source: Option<&str>) -> Result<()> {
        self.record.steps.push(StepRecord {
            step: step.into(),
            source: source.map(Into::into),
            status: StepStatus::Running,
            started_at: Utc::now(),
            ended_at: None,
            tables: 0,
            rows: 0,
            bytes: 0,
            quarantined: 0,
            error: None,
            inputs: Default::default(),
        });
        self.write()
    }

    /// Records how the last step begun ended: `end` fills in its counts or its error.
    ///
    /// # Errors
    /// [`Error::Io`] if the lake can't be written.
    pub fn step_ended(&mut self, end: impl FnOnce(&mut StepRecord)) -> Result<()> {
        if let Some(step) = self.record.steps.last_mut() {
            step.ended_at = Some(Utc::now());
            step.status = StepStatus::Done;
            end(step);
        }
        self.write()
    }

    fn write(&self) -> Result<()> {
        let json = sealed::to_vec(&self.record).map_err(|source| Error::Json {
            path: self.path.clone(),
            source,
        })?;
        disk::write_atomic(&self.path, &json)
    }
}

/// Reads a record, which says what its place says.
fn record(content: &[u8], name: &str, date: RunDate) -> serde_json::Result<RunRecord> {
    let record: RunRecord = serde_json::from_slice(content)?;
    if sealed::seal(content) == Seal::Broken {
        return Err(serde::de::Error::custom("its hash is not that of its content"));
    }
    if record.date != date || name.strip_suffix(".json") != Some(record.run.0.as_str()) {
        let found = format!("it is that of run {} of {}", record.run, record.date);
        return Err(serde::de::Error::custom(found));
    }
    Ok(record)
}

/// Removes the temporary files of runs that were killed while they wrote their record.
fn remove_leftovers(lake: &Lake, date: RunDate) -> Result<()> {
    let dir = lake.runs_dir(date);
    for name in disk::list(&dir)? {
        if let Some(run) = name.strip_suffix(".tmp")
            && !FileLock::is_held(&lake.run_lock_path(&RunId(run.into())))
        {
            disk::remove_if_exists(&dir.join(&name))?;
        }
    }
    Ok(())
}

impl Lake {
    /// The runs of a day, oldest first; steps of a killed run show as interrupted.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Json`], naming the file.
    pub fn runs(&self, date: RunDate) -> Result<Vec<RunRecord>> {
        let dir = self.runs_dir(date);
        let mut records = Vec::new();
        for name in disk::list(&dir)? {
            if !name.ends_with(".json") {
                continue;
            }
            let path = dir.join(&name);
            let Some(content) = disk::read_if_exists(&path)? else {
                continue;
            };
            let mut record = record(&content, &name, date).map_err(|source| Error::Json { path, source })?;
            let running = |step: &&mut StepRecord| step.status == StepStatus::Running;
            if record.steps.iter_mut().any(|step| running(&step))
                && !FileLock::is_held(&self.run_lock_path(&record.run))
            {
                for step in record.steps.iter_mut().filter(running) {
                    step.status = StepStatus::Interrupted;
                }
            }
            records.push(record);
        }
        records.sort_by_key(|record| record.started_at);
        Ok(records)
    }

    /// The days that have a run, in order.
    ///
    /// # Errors
    /// [`Error::Io`] if the lake can't be read.
    pub fn run_days(&self) -> Result<Vec<RunDate>> {
        let names = disk::list(&self.root().join("_runs"))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}
