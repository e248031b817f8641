//! What runs that were killed left behind, cleared by the next run of anything.
//!
//! A lock's file goes with its holder's end. One that nobody holds is of a run that was killed, or that
//! failed and could not tidy up: it says what to look after.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;

use crate::disk;
use crate::lock::{Acquired, CLEARING, FileLock, without_readers};
use crate::name::decode_segment;
use crate::retype::MARK;
use crate::{DayWriter, Lake, Result, RunDate, RunId};

impl Lake {
    /// Removes the files that killed runs left, and takes back what they committed to Delta tables
    /// without coming to their manifest. A day where that can't be done is told, and is no obstacle to
    /// others.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the lake can't be listed.
    pub async fn clear_leftovers(&self) -> Result<()> {
        self.clear_runs()?;
        for (source, date) in self.abandoned_days()? {
            if let Err(error) = self.clear_day(&source, date).await {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                tracing::warn!("what a killed run left of {date} of {source} is still there: {error}{cause}");
            }
        }
        Ok(())
    }

    async fn clear_day(&self, source: &str, date: RunDate) -> Result<()> {
        let path = self.day_lock_path(source, date)?;
        let was_locked = path.exists();
        let Acquired::Ours(lock) = FileLock::acquire(&path, CLEARING)? else {
            return Ok(()); // a run is at work there
        };
        lock.keep_file(was_locked);
        let day = self.day_writer(source, date, &RunId::new(), CLEARING, lock)?;
        disk::remove_if_exists(&day.staging)?;
        for complete in [true, false] {
            disk::remove_if_exists(&self.manifest_path(source, date, complete)?.with_extension("tmp"))?;
        }
        match was_locked {
            true => day.take_back().await,
            false => Ok(()),
        }
    }

    /// Clears the locks and the half-written records of killed runs.
    fn clear_runs(&self) -> Result<()> {
        let mut killed = BTreeSet::new();
        let locks = self.root().join("_locks").join("_runs");
        for name in disk::list(&locks)? {
            let path = locks.join(&name);
            if let Some(run) = name.strip_suffix(".lock")
                && !FileLock::is_held(&path)
            {
                killed.insert((format!("{run}.tmp"), path));
            }
        }
        if killed.is_empty() {
            return Ok(());
        }
        for date in self.run_days()? {
            for (record, _) in &killed {
                disk::remove_if_exists(&self.runs_dir(date).join(record))?;
            }
        }
        for (_, path) in &killed {
            disk::remove_if_exists(path)?;
        }
        Ok(())
    }

    /// The days that have something of a run which did not come to its end.
    fn abandoned_days(&self) -> Result<BTreeSet<(String, RunDate)>> {
        let mut days = BTreeSet::new();
        for (folder, ending) in [("_locks", ".lock"), ("_staging", ""), ("_manifests", ".tmp")] {
            let folder = self.root().join(folder);
            for segment in disk::list(&folder)? {
                let Some(source) = decode_segment(&segment) else {
                    continue;
                };
                for name in disk::list(&folder.join(segment))? {
                    let Some(day) = name.strip_suffix(ending) else { continue };
                    if let Ok(date) = day.strip_suffix(".partial").unwrap_or(day).parse() {
                        days.insert((source.clone(), date));
                    }
                }
            }
        }
        Ok(days)
    }
}

impl DayWriter {
    /// Gives the day's Delta tables the files that its manifest names, and removes all others: for a run
    /// that stopped between a commit and the manifest. What another tool did to the day stays.
    ///
    /// A table whose days are being rewritten is left to the run that completes that. The lock's file goes
    /// once there is nothing to take back any more.
    pub(crate) async fn take_back(&self) -> Result<()> {
        let manifest = self.lake.manifest_or_partial(&self.source, self.date)?;
        let mut is_whole = true;
        let mut taken_back = Vec::new();
        for name in self.tables_with_the_day()? {
            let entry = manifest.as_ref().and_then(|manifest| manifest.tables.get(&name));
            let table = self.delta_table(&name).await?;
            if table.folder().join(MARK).exists() {
                is_whole = false;
                continue;
            }
            let files = entry.map(|entry| entry.files.clone()).unwrap_or_default();
            let is_others = entry.is_some_and(|entry| table.others() > Some(entry.delta_version));
            if is_others || files.iter().any(|file| !table.folder().join(&file.path).exists()) {
                continue; // who reads the day is told
            }
            if !table.has_files(&files) {
                let days = BTreeMap::from([(self.date, files)]);
                table.replace(None, &days, &self.run).await?;
            }
            taken_back.push((name, entry));
        }
        match without_readers(&self.lake.readers_path(&self.source)?).await? {
            Some(_lock) => {
                for (name, entry) in &taken_back {
                    self.remove_superseded(name, self.date, *entry)?;
                }
            }
            None => is_whole = false,
        }
        self.lock.keep_file(!is_whole);
        Ok(())
    }
}
