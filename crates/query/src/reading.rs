//! What one query reads of the lake: the manifests of the sources that it names, each read once.
//!
//! A manifest read twice could be of two runs, and a query would join yesterday's orders with
//! today's customers. So everything that a query sees of a source comes from here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use lake_storage::{Lake, Manifest, MissingStep, RESULTS, ReadGuard, RunDate};

use crate::planning_error::nearest;
use crate::table::LakeTable;
use crate::{Error, Result, Scope};

/// The manifests that one query has read so far.
#[derive(Debug)]
pub(crate) struct Reading {
    lake: Lake,
    scope: Scope,
    configured: Vec<String>,
    /// The tables that the statement names, without their schemas: of others nothing is kept.
    named: BTreeSet<String>,
    /// Functions that stand in the place of tables: their names need no source.
    functions: BTreeSet<String>,
    days: Mutex<HashMap<String, Arc<Vec<Manifest>>>>,
    latest: Mutex<HashMap<String, Option<Arc<Manifest>>>>,
    /// The files that these manifests name stay until the statement is done.
    guards: Mutex<BTreeMap<String, ReadGuard>>,
}

/// Where a plain table name leads.
#[derive(Debug)]
pub(crate) enum Plain {
    /// To this source.
    Source(String),
    /// To one of these sources, whose day is not complete, or to none.
    Missing(Vec<String>),
    /// To no source.
    Nowhere,
}

impl Reading {
    pub(crate) fn new(
        lake: Lake,
        scope: Scope,
        configured: Vec<String>,
        named: BTreeSet<String>,
        functions: BTreeSet<String>,
    ) -> Self {
        Self {
            lake,
            scope,
            configured,
            named,
            functions,
            days: Mutex::default(),
            latest: Mutex::default(),
            guards: Mutex::default(),
        }
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    pub(crate) fn names(&self, table: &str) -> bool {
        self.named.contains(table)
    }

    /// The configured sources and those in the lake, without the results.
    pub(crate) fn sources(&self) -> Result<BTreeSet<String>> {
        let mut sources: BTreeSet<String> = self.configured.iter().cloned().collect();
        sources.extend(self.lake.sources()?);
        sources.remove(RESULTS);
        Ok(sources)
    }

    /// To be taken before a manifest is read.
    fn guard(&self, source: &str) -> Result<()> {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if !guards.contains_key(source) {
            guards.insert(source.to_owned(), self.lake.read_guard(source)?);
        }
        Ok(())
    }

    /// A source's manifests in the scope, in the order of the days, with the tables that are named.
    fn days(&self, source: &str) -> Result<Arc<Vec<Manifest>>> {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = days.get(source) {
            return Ok(read.clone());
        }
        self.guard(source)?;
        let dates = match self.scope {
            Scope::Day(date) => vec![date],
            Scope::AllDays => self.lake.days(source)?,
        };
        let mut manifests = Vec::with_capacity(dates.len());
        for date in dates {
            manifests.extend(self.lake.manifest_of_tables(source, date, &self.named)?);
        }
        let read = Arc::new(manifests);
        days.insert(source.to_owned(), read.clone());
        Ok(read)
    }

    /// The manifest that lists a source's tables: of the day, or of the latest one.
    pub(crate) fn latest(&self, source: &str) -> Result<Option<Arc<Manifest>>> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = latest.get(source) {
            return Ok(read.clone());
        }
        self.guard(source)?;
        let date = match self.scope {
            Scope::Day(date) => Some(date),
            Scope::AllDays => self.lake.days(source)?.pop(),
        };
        let read = match date {
            Some(date) => self.lake.manifest_or_partial(source, date)?.map(Arc::new),
            None => None,
        };
        latest.insert(source.to_owned(), read.clone());
        Ok(read)
    }

    /// The runs that wrote what the query reads of `source` on its day; none if it reads all days.
    pub(crate) fn run_read(&self, source: &str) -> Result<Option<lake_storage::RunId>> {
        Ok(self.days(source)?.first().map(|manifest| manifest.run.clone()))
    }

    /// A table as the query sees it; none if the source has no such table.
    ///
    /// # Errors
    /// A prerequisite if the source's day isn't complete; [`Error::ColumnType`].
    pub(crate) fn table(&self, source: &str, table: &str) -> Result<Option<LakeTable>> {
        let manifests = self.days(source)?;
        let days: BTreeMap<RunDate, _> = manifests
            .iter()
            .filter_map(|manifest| Some((manifest.date, manifest.tables.get(table)?)))
            .collect();
        if days.is_empty() {
            return match self.scope {
                Scope::Day(date) if !manifests.first().is_some_and(|m| m.complete) => {
                    Err(missing(source, table, date).into())
                }
                _ => Ok(None),
            };
        }
        LakeTable::new(&self.lake, self.scope, source, table, days).map(Some)
    }

    /// A table as its latest day has it, for lists of columns: reading every day of every table of a
    /// lake to list its columns would take minutes.
    pub(crate) fn describe(&self, source: &str, table: &str) -> Result<Option<LakeTable>> {
        let Some(manifest) = self.latest(source)? else {
            return Ok(None);
        };
        let Some(entry) = manifest.tables.get(table) else {
            return Ok(None);
        };
        let days = BTreeMap::from([(manifest.date, entry)]);
        LakeTable::new(&self.lake, self.scope, source, table, days).map(Some)
    }

    /// Finds the one source that has `table`; a result of that name comes after all sources.
    ///
    /// # Errors
    /// [`Error::AmbiguousTable`].
    pub(crate) fn plain(&self, table: &str) -> Result<Plain> {
        let mut found = Vec::new();
        let mut incomplete = Vec::new();
        for source in self.sources()? {
            match self.presence(&source, table)? {
                Presence::Here => found.push(source),
                Presence::Later => {
                    // The other source's table must not take the name for as long as this one's
                    // day is missing.
                    if self.lake.table_dir(&source, table)?.is_dir() {
                        found.push(source);
                    } else {
                        incomplete.push(source);
                    }
                }
                Presence::Not => {}
            }
        }
        if found.is_empty() && matches!(self.presence(RESULTS, table)?, Presence::Here) {
            found.push(RESULTS.to_owned());
        }
        match found.len() {
            0 if incomplete.is_empty() || self.functions.contains(table) => Ok(Plain::Nowhere),
            0 => Ok(Plain::Missing(incomplete)),
            1 => Ok(Plain::Source(found.remove(0))),
            _ => Err(Error::AmbiguousTable {
                table: table.to_owned(),
                candidates: found.iter().map(|source| qualified(source, table)).collect(),
            }),
        }
    }

    fn presence(&self, source: &str, table: &str) -> Result<Presence> {
        if self.scope == Scope::AllDays && !self.lake.table_dir(source, table)?.is_dir() {
            return Ok(Presence::Not); // spares reading years of manifests
        }
        let manifests = self.days(source)?;
        if manifests.iter().any(|manifest| manifest.tables.contains_key(table)) {
            return Ok(Presence::Here);
        }
        let incomplete = !manifests.first().is_some_and(|manifest| manifest.complete);
        let expected = self.configured.iter().any(|name| name == source);
        Ok(match self.scope {
            Scope::Day(_) if incomplete && expected => Presence::Later,
            _ => Presence::Not,
        })
    }

    /// What the lake has instead of a table that it has not.
    pub(crate) fn hint(&self, schema: Option<&str>, table: &str) -> Result<String> {
        let mut names: Vec<(String, String)> = Vec::new();
        for source in self.sources()?.into_iter().chain([RESULTS.to_owned()]) {
            if schema.is_none_or(|schema| schema == source)
                && let Some(manifest) = self.latest(&source)?
            {
                let tables = manifest.tables.keys();
                names.extend(tables.map(|table| (table.clone(), qualified(&source, table))));
            }
        }
        if names.is_empty() {
            return Ok(match (schema, self.scope) {
                (Some(schema), _) if !self.sources()?.contains(schema) && schema != RESULTS => {
                    let sources: Vec<String> = self.sources()?.into_iter().collect();
                    format!("the sources are {}", sources.join(", "))
                }
                (_, Scope::AllDays) => "no day is complete yet: run `lake extract`".to_owned(),
                (_, Scope::Day(date)) => format!("nothing is complete for {date}: run `lake extract --date {date}`"),
            });
        }
        let near = nearest(table, names);
        Ok(if near.is_empty() {
            "`show tables` lists what the lake has".to_owned()
        } else {
            format!("the lake has {}", near.join(", "))
        })
    }
}

enum Presence {
    Here,
    /// Its day is not complete, so that it may come yet.
    Later,
    Not,
}

/// A table's name as SQL reads it, quoted where it has to be.
pub(crate) fn qualified(source: &str, table: &str) -> String {
    datafusion::common::TableReference::partial(source, table).to_quoted_string()
}

/// The error that names the step by which `table` would come.
pub(crate) fn missing(source: &str, table: &str, date: RunDate) -> lake_storage::Error {
    let of_results = source == RESULTS;
    lake_storage::Error::Prerequisite {
        missing: vec![MissingStep {
            step: if of_results { "transform" } else { "extract" },
            name: if of_results { table } else { source }.to_owned(),
            date,
            older_than: None,
        }],
    }
}

/// The error that names all sources of which one may have a table.
pub(crate) fn missing_sources(sources: &[String], date: RunDate) -> lake_storage::Error {
    let missing = sources.iter().map(|source| MissingStep {
        step: "extract",
        name: source.clone(),
        date,
        older_than: None,
    });
    lake_storage::Error::Prerequisite {
        missing: missing.collect(),
    }
}
