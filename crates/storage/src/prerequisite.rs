//! What has to be in the lake before a step can begin.

use std::fmt;

use crate::{Error, Lake, Manifest, RESULTS, Result, RunDate};

/// A step that has not succeeded, or whose result is older than what it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingStep {
    /// `extract` or `transform`.
    pub step: &'static str,
    /// The source or the query.
    pub name: String,
    /// The day.
    pub date: RunDate,
    /// The source that was extracted again since, where that is the reason.
    pub older_than: Option<String>,
}

impl MissingStep {
    /// What makes a source's day, or a query's result of it, anew where it is damaged.
    pub(crate) fn mend(source: &str, table: Option<&str>, date: RunDate) -> String {
        if source != RESULTS {
            let step = Self {
                step: "extract",
                name: source.into(),
                date,
                older_than: None,
            };
            return format!(
                "run `{}`, which replaces the day by what the source holds now",
                step.command()
            );
        }
        let Some(query) = table else {
            return format!("run `lake transform --date {date}`");
        };
        let step = Self {
            step: "transform",
            name: query.into(),
            date,
            older_than: None,
        };
        format!("run `{}`", step.command())
    }

    /// The command that mends it, as a shell takes it.
    pub fn command(&self) -> String {
        let flag = if self.step == "extract" { "source" } else { "query" };
        format!(
            "lake {} --date {} --{flag} {}",
            self.step,
            self.date,
            shell_word(&self.name)
        )
    }
}

/// A name as a shell takes it.
pub fn shell_word(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    match name.chars().all(is_plain) && !name.starts_with('-') {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

impl fmt::Display for MissingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, name, date, .. } = self;
        match &self.older_than {
            Some(source) => write!(
                f,
                "{step} of {name} for {date} is older than the extract of {source}: run `{}`",
                self.command()
            ),
            None => write!(
                f,
                "{step} of {name} for {date} has not succeeded: run `{}`",
                self.command()
            ),
        }
    }
}

impl Lake {
    /// The complete manifests of `sources` for a day, in their order.
    ///
    /// # Errors
    /// [`Error::Prerequisite`] naming every source whose day isn't complete.
    pub fn require_sources(&self, sources: &[String], date: RunDate) -> Result<Vec<Manifest>> {
        let mut manifests = Vec::with_capacity(sources.len());
        let mut missing = Vec::new();
        for source in sources {
            match self.manifest(source, date)? {
                Some(manifest) => manifests.push(manifest),
                None => missing.push(MissingStep {
                    step: "extract",
                    name: source.clone(),
                    date,
                    older_than: None,
                }),
            }
        }
        if missing.is_empty() {
            Ok(manifests)
        } else {
            Err(Error::Prerequisite { missing })
        }
    }

    /// The manifest of the materialised queries for a day, with a result for each of `queries` that
    /// is as new as the sources it was computed from.
    ///
    /// # Errors
    /// [`Error::Prerequisite`] naming every query that has to be run first.
    pub fn require_results(&self, queries: &[String], date: RunDate) -> Result<Manifest> {
        let manifest = self.manifest_or_partial(RESULTS, date)?;
        let mut missing = Vec::new();
        for query in queries {
            let entry = manifest.as_ref().and_then(|m| m.tables.get(query));
            let older_than = match entry {
                Some(entry) => match self.newer_input(&entry.inputs, date)? {
                    Some(source) => Some(source),
                    None => continue,
                },
                None => None,
            };
            missing.push(MissingStep {
                step: "transform",
                name: query.clone(),
                date,
                older_than,
            });
        }
        match manifest {
            Some(manifest) if missing.is_empty() => Ok(manifest),
            _ => Err(Error::Prerequisite { missing }),
        }
    }

    /// The first of `inputs` whose manifest is not of the run that was read.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Manifest`].
    pub fn newer_input(
        &self,
        inputs: &std::collections::BTreeMap<String, crate::RunId>,
        date: RunDate,
    ) -> Result<Option<String>> {
        for (source, run) in inputs {
            let current = self.manifest_or_partial(source, date)?;
            if current.is_none_or(|manifest| manifest.run != *run) {
                return Ok(Some(source.clone()));
            }
        }
        Ok(None)
    }
}
