//! How far each step of a day is: what `status` shows and `backfill` goes by.

use lake_storage::{Lake, MissingStep, RESULTS, RunDate, RunRecord, StepRecord, StepStatus};
use serde::Serialize;

use crate::config::Config;

/// The state of a step of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Never succeeded.
    Missing,
    /// Succeeded, and nothing that it was made from is newer.
    Done,
    /// Succeeded before something that it was made from was made again.
    Stale,
    /// The last try failed.
    Failed,
    /// The last try was killed.
    Interrupted,
    /// Under way.
    Running,
}

/// A step of a day.
#[derive(Clone, Debug, Serialize)]
pub struct StepState {
    /// `extract <source>`, `transform`, `load`, `export`.
    pub step: String,
    pub state: State,
    pub rows: u64,
    /// Rows that the last extract left out.
    pub quarantined: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// What mends it.
    pub command: Option<String>,
}

/// A day with all its steps, in order.
#[derive(Clone, Debug, Serialize)]
pub struct DayState {
    pub date: RunDate,
    pub steps: Vec<StepState>,
}

impl DayState {
    /// Whether every step is done.
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|step| step.state == State::Done)
    }

    /// Whether the last try of a step failed or was killed.
    pub fn has_failed(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step.state, State::Failed | State::Interrupted))
    }

    /// Whether nothing was ever tried.
    pub fn is_untouched(&self) -> bool {
        self.steps.iter().all(|step| step.state == State::Missing)
    }
}

/// The names of the steps that a config has, in order.
pub fn step_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = config
        .source_names()
        .iter()
        .map(|name| format!("extract {name}"))
        .collect();
    let has_queries = !config.queries.is_empty();
    if has_queries {
        names.push("transform".into());
    }
    if config.has_target() {
        names.push("load".into());
    }
    if has_queries && !config.exports.is_empty() {
        names.push("export".into());
    }
    names
}

/// Reads a day's state off the manifests and the run records.
pub fn day(config: &Config, lake: &Lake, date: RunDate) -> anyhow::Result<DayState> {
    let runs = lake.runs(date)?;
    let mut steps = Vec::new();
    for name in step_names(config) {
        let (step, source) = match name.split_once(' ') {
            Some((step, source)) => (step, Some(source)),
            None => (name.as_str(), None),
        };
        let last = last_record(&runs, step, source);
        let (mut state, mut rows) = match step {
            "extract" => extracted(lake, source.unwrap_or_default(), date)?,
            "transform" => transformed(config, lake, date)?,
            _ => recorded(lake, last, date)?,
        };
        let mut error = None;
        if let Some(record) = last {
            let newer = match record.status {
                StepStatus::Failed => Some(State::Failed),
                StepStatus::Interrupted => Some(State::Interrupted),
                StepStatus::Running => Some(State::Running),
                StepStatus::Done => None,
            };
            if let Some(newer) = newer {
                state = newer;
                error = record.error.clone();
            }
            if state == State::Done && rows == 0 {
                rows = record.rows;
            }
        }
        // The results that were exported are not made anew yet, but what they were made from is.
        let is_stale = |step: &StepState| step.step == "transform" && step.state == State::Stale;
        if step == "export" && state == State::Done && steps.iter().any(is_stale) {
            state = State::Stale;
        }
        let command = (!matches!(state, State::Done | State::Running)).then(|| match source {
            Some(source) => MissingStep {
                step: "extract",
                name: source.into(),
                date,
                older_than: None,
            }
            .command(),
            None => format!("lake {step} --date {date}"),
        });
        steps.push(StepState {
            step: name,
            state,
            rows,
            quarantined: last.map_or(0, |record| record.quarantined),
            error,
            command,
        });
    }
    Ok(DayState { date, steps })
}

fn last_record<'a>(runs: &'a [RunRecord], step: &str, source: Option<&str>) -> Option<&'a StepRecord> {
    runs.iter()
        .flat_map(|run| &run.steps)
        .filter(|record| record.step == step && record.source.as_deref() == source)
        .max_by_key(|record| record.started_at)
}

fn extracted(lake: &Lake, source: &str, date: RunDate) -> anyhow::Result<(State, u64)> {
    Ok(match lake.manifest(source, date)? {
        Some(manifest) => (State::Done, manifest.tables.values().map(|table| table.rows).sum()),
        None => (State::Missing, 0),
    })
}

fn transformed(config: &Config, lake: &Lake, date: RunDate) -> anyhow::Result<(State, u64)> {
    match lake.require_results(&config.query_names(), date) {
        Ok(manifest) => Ok((State::Done, manifest.tables.values().map(|table| table.rows).sum())),
        Err(lake_storage::Error::Prerequisite { missing }) => {
            let stale = missing.iter().any(|step| step.older_than.is_some());
            Ok((if stale { State::Stale } else { State::Missing }, 0))
        }
        Err(error) => Err(error.into()),
    }
}

/// `load` and `export` leave nothing in the lake but their record.
fn recorded(lake: &Lake, last: Option<&StepRecord>, date: RunDate) -> anyhow::Result<(State, u64)> {
    let Some(record) = last.filter(|record| record.status == StepStatus::Done) else {
        return Ok((State::Missing, 0));
    };
    let stale = lake.newer_input(&record.inputs, date)?.is_some();
    Ok((if stale { State::Stale } else { State::Done }, record.rows))
}

/// The days that the lake knows of: with a run, a manifest, or both.
pub fn known_days(config: &Config, lake: &Lake) -> anyhow::Result<Vec<RunDate>> {
    let mut days = lake.run_days()?;
    for source in config.source_names().iter().map(String::as_str).chain([RESULTS]) {
        days.extend(lake.days(source)?);
    }
    days.sort();
    days.dedup();
    Ok(days)
}
