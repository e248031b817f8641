//! Comparing the files of the lake with its manifests.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde::Serialize;

use crate::{BatchReader, Error, Lake, ReadGuard, Result, RunDate, SqlName, StoredFile};

/// What of the lake to look at.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// One day; all where there is none.
    pub date: Option<RunDate>,
    /// Tables by name, or by source and name; all where there are none.
    pub tables: Vec<String>,
    /// Files that are read at a time.
    pub jobs: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditReport {
    /// The manifests that were read, one for each source and day.
    pub manifests: u64,
    /// The files that they name.
    pub files: u64,
    /// The files' bytes.
    pub bytes: u64,
    /// Those of the files that have no hashes: they were decoded from end to end.
    pub files_without_hashes: u64,
    /// What is damaged, by source, day, table and file.
    pub findings: Vec<Finding>,
}

/// A manifest or a file that is not what was written.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The source.
    pub source: String,
    /// The day.
    pub date: RunDate,
    /// The table; none of a manifest.
    pub table: Option<String>,
    /// The manifest or the file.
    pub path: PathBuf,
    /// What is wrong with it, and what helps.
    pub problem: String,
}

struct Work {
    place: usize,
    source: String,
    date: RunDate,
    table: String,
    file: StoredFile,
}

impl Lake {
    /// Reads manifests and every byte of the files that they name. It blocks the thread, and calls `progress` from
    /// several, with the bytes that were read.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder can't be listed. What is wrong with a manifest or a file is in the report.
    pub fn audit(&self, audit: &Audit, progress: impl Fn(u64) + Sync) -> Result<AuditReport> {
        let mut report = AuditReport::default();
        let mut work = VecDeque::new();
        let mut guards = Vec::new();
        let mut found: Vec<(usize, Finding)> = Vec::new();
        for source in self.sources()? {
            guards.push(self.read_guard(&source)?);
            for date in self.all_days(&source)? {
                if audit.date.is_none_or(|only| only == date) {
                    self.list(audit, &source, date, &mut report, &mut work, &mut found)?;
                }
            }
        }
        let found = Mutex::new(found);
        let workers = audit.jobs.clamp(1, work.len().max(1));
        let work = Mutex::new(work);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                        let Some(next) = next else { return };
                        let bytes = next.file.bytes;
                        if let Err(error) = self.check(&next.file) {
                            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                            found.push((next.place, next.finding(&error)));
                        }
                        progress(bytes);
                    }
                });
            }
        });
        drop::<Vec<ReadGuard>>(guards);
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(place, _)| *place);
        report.findings = found.into_iter().map(|(_, finding)| finding).collect();
        Ok(report)
    }

    /// Reads a day's manifest and appends the files to look at.
    fn list(
        &self,
        audit: &Audit,
        source: &str,
        date: RunDate,
        report: &mut AuditReport,
        work: &mut VecDeque<Work>,
        found: &mut Vec<(usize, Finding)>,
    ) -> Result<()> {
        let manifest = match self.manifest_or_partial(source, date) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(()), // it went meanwhile
            Err(error) => {
                let path = match &error {
                    Error::Manifest { path, .. } | Error::Link { path } | Error::Io { path, .. } => path.clone(),
                    _ => self.manifest_path(source, date, true)?,
                };
                let finding = Finding {
                    source: source.to_owned(),
                    date,
                    table: None,
                    path,
                    problem: with_causes(&error),
                };
                found.push((work.len(), finding));
                return Ok(());
            }
        };
        report.manifests += 1;
        for (table, entry) in &manifest.tables {
            // As it is, and as SQL writes it.
            let names = [table.clone(), SqlName(table).to_string()];
            let is_wanted = |wanted: &String| {
                let wanted = wanted.strip_prefix(&format!("{source}.")).unwrap_or(wanted);
                names.iter().any(|name| name == wanted)
            };
            if !audit.tables.is_empty() && !audit.tables.iter().any(is_wanted) {
                continue;
            }
            for file in self.named_files(source, table, entry)? {
                report.files += 1;
                report.bytes += file.bytes;
                report.files_without_hashes += u64::from(!file.has_hashes());
                work.push_back(Work {
                    place: work.len(),
                    source: source.to_owned(),
                    date,
                    table: table.clone(),
                    file,
                });
            }
        }
        Ok(())
    }

    fn check(&self, file: &StoredFile) -> Result<()> {
        if file.has_hashes() {
            return file.open()?.check_all();
        }
        BatchReader::new(vec![file.clone()], self.memory()).try_for_each(|batch| batch.map(drop))
    }
}

impl Work {
    fn finding(self, error: &Error) -> Finding {
        Finding {
            problem: with_causes(error),
            source: self.source,
            date: self.date,
            table: Some(self.table),
            path: self.file.path,
        }
    }
}

fn with_causes(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
