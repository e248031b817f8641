//! The four steps of a day, each recorded, as the commands and `backfill` run them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use lake_extractor::{ExtractReport, Quarantined};
use lake_loader::{LoadReport, LoadRequest, Origin};
use lake_query::{Export, ExportReport, Format, SavedQuery, Transform, TransformEvent, TransformReport};
use lake_storage::{Lake, RESULTS, RunDate, RunId, RunLog, SqlName, StepStatus};

use crate::args::Global;
use crate::config::Config;
use crate::failure::{self, usage};
use crate::ui::{Progress, bytes_text, duration_text, path_text, plural, visible};

/// What a step works with.
pub struct Pipeline {
    pub config: Config,
    pub lake: Lake,
    pub date: RunDate,
    global: Global,
    command: String,
    log: RunLog,
}

/// Shows how far an extract is.
pub fn show(progress: &Progress, news: lake_extractor::Progress) {
    match news {
        lake_extractor::Progress::Planned { bytes, .. } => progress.planned(bytes),
        lake_extractor::Progress::Read { rows, bytes } => progress.advance(rows, bytes),
        lake_extractor::Progress::TableDone(table) => tracing::debug!(
            "{}: {}, {}",
            SqlName(&table.name),
            plural(table.rows, "row"),
            bytes_text(table.bytes)
        ),
    }
}

impl Pipeline {
    /// Reads the config and begins the record of a run.
    pub async fn begin(global: &Global, command: &str, date: RunDate) -> anyhow::Result<Self> {
        Self::with_config(Config::read(&global.config)?, global, command, date).await
    }

    /// Begins the record of a run of a config that is read already.
    pub async fn with_config(config: Config, global: &Global, command: &str, date: RunDate) -> anyhow::Result<Self> {
        let lake = global.open_lake(&config)?;
        lake.clear_leftovers().await?;
        let log = RunLog::begin(&lake, command, date)?;
        Ok(Self {
            config,
            lake,
            date,
            global: global.clone(),
            command: command.into(),
            log,
        })
    }

    /// Extracts sources (all if none is named); one that fails does not keep the others from it.
    pub async fn extract(&mut self, sources: &[String], tables: &[String]) -> anyhow::Result<Vec<ExtractReport>> {
        let names = if sources.is_empty() {
            self.config.source_names()
        } else {
            sources.to_vec()
        };
        if names.is_empty() {
            return Err(usage(format!(
                "{} has no sources to extract",
                self.config.path.display()
            )));
        }
        // A name that is wrong, or a secret that is missing, is found before anything is read.
        let sources = names
            .iter()
            .map(|name| self.config.source(name))
            .collect::<Result<Vec<_>, _>>()?;
        let sources = match tables {
            [] => sources,
            tables => narrow(sources, tables)?,
        };
        let mut reports = Vec::new();
        let mut failures = Vec::new();
        for source in sources {
            let request = lake_extractor::Request {
                date: self.date,
                run: self.log.run().clone(),
                command: self.command.clone(),
                tables: tables.to_vec(),
                jobs: self.lake.memory().workers(),
            };
            let name = source.name().to_owned();
            self.log.step_started("extract", Some(&name))?;
            let progress = Arc::new(self.progress(format!("extract {name}")));
            let shown = progress.clone();
            let extracted = lake_extractor::extract(&self.lake, &source, &request, move |news| show(&shown, news))
                .await
                .with_context(|| format!("extract of {name} for {}", self.date));
            drop(progress);
            let report = self.ended(extracted, |step, report| {
                step.tables = report.tables.len() as u64;
                step.rows = report.rows;
                step.bytes = report.bytes;
                step.quarantined = report.quarantined.iter().map(|left_out| left_out.rows).sum();
            });
            match report {
                Ok(report) => {
                    tracing::info!(
                        "extract   {name}: {}, {}, {} in {}",
                        plural(report.tables.len() as u64, "table"),
                        plural(report.rows, "row"),
                        bytes_text(report.bytes),
                        elapsed(report.elapsed_ms)
                    );
                    for format in &report.found {
                        let found = format.found.to_string();
                        if !found.is_empty() {
                            tracing::info!("          {name}.{}: read with {}", format.table, visible(&found));
                        }
                    }
                    for left_out in &report.quarantined {
                        warn_of(left_out);
                    }
                    reports.push(report);
                }
                Err(error) => failures.push(error),
            }
        }
        // The last is returned; those before it are shown here.
        match failures.pop() {
            None => Ok(reports),
            Some(last) => {
                for error in failures {
                    tracing::error!("{}", failure::chain(&error));
                }
                Err(last)
            }
        }
    }

    /// Runs saved queries (all if none is named) over the day.
    pub async fn transform(&mut self, queries: &[String]) -> anyhow::Result<TransformReport> {
        let names = self.queries(queries)?;
        let (sources, all_queries) = (self.config.source_names(), self.config.query_names());
        self.log.step_started("transform", None)?;
        let progress = self.progress("transform".into());
        // By query: they run side by side.
        let written: Mutex<BTreeMap<String, (u64, u64)>> = Mutex::default();
        let transformed = async {
            let saved = names
                .iter()
                .map(|name| SavedQuery::read(name, &self.config.queries[name]))
                .collect::<Result<Vec<_>, _>>()?;
            let request = Transform {
                queries: &saved,
                all_queries: &all_queries,
                sources: &sources,
                date: self.date,
                run: self.log.run(),
                command: &self.command,
                settings: &self.global.query_settings(&self.config),
            };
            lake_query::transform(&self.lake, &request, |event| match event {
                TransformEvent::Started { .. } => {}
                TransformEvent::Written { query, rows, bytes } => {
                    let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                    let before = written.insert(query, (rows, bytes)).unwrap_or_default();
                    progress.advance(rows - before.0, bytes - before.1);
                }
                TransformEvent::Done(report) => {
                    tracing::debug!("{}: {}", report.query, plural(report.rows, "row"));
                }
            })
            .await
        }
        .await
        .with_context(|| format!("transform of {}", self.date));
        drop(progress);
        let report = self.ended(transformed, |step, report| {
            step.tables = report.queries.len() as u64;
            step.rows = report.rows;
            step.bytes = report.bytes;
            step.inputs = report.inputs.clone();
        })?;
        tracing::info!(
            "transform {}, {}, {} in {}",
            plural(report.queries.len() as u64, "query"),
            plural(report.rows, "row"),
            bytes_text(report.bytes),
            elapsed(report.queries.iter().map(|query| query.elapsed_ms).sum())
        );
        Ok(report)
    }

    /// Loads tables (all if none is named) into the target, into those that no load has filled only if they are
    /// empty or may be taken over.
    pub async fn load(&mut self, tables: &[String], take_over: bool) -> anyhow::Result<LoadReport> {
        let target = target(&self.config)?;
        self.log.step_started("load", part(tables).as_deref())?;
        let progress = Arc::new(self.progress("load".into()));
        let request = LoadRequest {
            date: self.date,
            sources: self.config.source_names(),
            origins: origins(&self.config),
            queries: self.config.query_names(),
            tables: tables.to_vec(),
            take_over,
            jobs: self.lake.memory().workers(),
            run: self.log.run().clone(),
            command: self.command.clone(),
        };
        let shown = progress.clone();
        let loaded = lake_loader::load(&self.lake, &target, &request, move |news| match news {
            lake_loader::Progress::Planned { bytes, .. } => shown.planned(bytes),
            lake_loader::Progress::Sent { rows, bytes } => shown.advance(rows, bytes),
        })
        .await
        .with_context(|| format!("load of {}", self.date));
        drop(progress);
        let report = self.ended(loaded, |step, report| {
            step.tables = report.tables.len() as u64;
            step.rows = report.rows;
            step.bytes = report.bytes;
            step.inputs = report.inputs.clone();
        })?;
        tracing::info!(
            "load      {}, {} in {}",
            plural(report.tables.len() as u64, "table"),
            plural(report.rows, "row"),
            elapsed(report.elapsed_ms)
        );
        Ok(report)
    }

    /// Writes the results of saved queries (all if none is named) to files.
    pub async fn export(&mut self, queries: &[String], formats: &[Format]) -> anyhow::Result<ExportReport> {
        let names = self.queries(queries)?;
        let part = part(queries).or_else(|| part(formats));
        let formats = if formats.is_empty() {
            self.config.exports.clone()
        } else {
            formats.to_vec()
        };
        self.log.step_started("export", part.as_deref())?;
        let request = Export {
            queries: &names,
            date: self.date,
            formats: &formats,
            output: &self.config.output,
            jobs: self.lake.memory().workers(),
        };
        let exported = tokio::task::block_in_place(|| {
            lake_query::export(&self.lake, &request, |file| {
                tracing::info!(
                    "export    {}: {}, {}",
                    path_text(&file.path),
                    plural(file.rows, "row"),
                    bytes_text(file.bytes)
                );
            })
        })
        .with_context(|| format!("export of {}", self.date));
        let inputs = self.results_run()?;
        let report = self.ended(exported, |step, report| {
            step.tables = report.files.len() as u64;
            step.rows = report.rows;
            step.bytes = report.bytes;
            step.inputs = inputs;
        })?;
        Ok(report)
    }

    /// All that the config asks for, in order, up to the first failure.
    pub async fn run(&mut self, take_over: bool) -> anyhow::Result<RunReport> {
        let started = std::time::Instant::now();
        let mut report = RunReport {
            date: self.date,
            run: self.log.run().clone(),
            extract: self.extract(&[], &[]).await?,
            transform: None,
            load: None,
            export: None,
            elapsed_ms: 0,
        };
        let has_queries = !self.config.queries.is_empty();
        if has_queries {
            report.transform = Some(self.transform(&[]).await?);
        }
        if self.config.has_target() {
            report.load = Some(self.load(&[], take_over).await?);
        }
        if has_queries && !self.config.exports.is_empty() {
            report.export = Some(self.export(&[], &[]).await?);
        }
        report.elapsed_ms = started.elapsed().as_millis() as u64;
        tracing::info!("done      {} in {}", self.date, elapsed(report.elapsed_ms));
        Ok(report)
    }

    fn progress(&self, label: String) -> Progress {
        Progress::new(self.global.progress, self.global.quiet, label)
    }

    /// Records the end of the step under way and hands its outcome on.
    fn ended<T>(
        &mut self,
        outcome: anyhow::Result<T>,
        counts: impl FnOnce(&mut lake_storage::StepRecord, &T),
    ) -> anyhow::Result<T> {
        let recorded = self.log.step_ended(|step| match &outcome {
            Ok(report) => counts(step, report),
            Err(error) => {
                step.status = StepStatus::Failed;
                step.error = Some(failure::causes(error)); // the record says which step it is
            }
        });
        let report = outcome?;
        recorded?;
        Ok(report)
    }

    /// The run of the results that an export reads, by which a later transform makes it stale.
    fn results_run(&self) -> anyhow::Result<BTreeMap<String, RunId>> {
        let manifest = self.lake.manifest_or_partial(RESULTS, self.date)?;
        Ok(manifest
            .map(|manifest| (RESULTS.to_owned(), manifest.run))
            .into_iter()
            .collect())
    }

    /// The configured queries of these names; all if none is named.
    fn queries(&self, names: &[String]) -> anyhow::Result<Vec<String>> {
        let configured = self.config.query_names();
        if configured.is_empty() {
            return Err(usage(format!("{} has no `queries:`", self.config.path.display())));
        }
        for name in names {
            if !configured.contains(name) {
                let near = lake_extractor::nearest(name, configured.iter().map(String::as_str));
                return Err(usage(format!(
                    "there is no query {name:?} in {}{near}",
                    self.config.path.display()
                )));
            }
        }
        Ok(if names.is_empty() { configured } else { names.to_vec() })
    }
}

fn warn_of(left_out: &Quarantined) {
    let Quarantined {
        table,
        source_file,
        rows,
        all,
        file,
    } = left_out;
    let (table, source_file, file) = (SqlName(table), path_text(source_file), path_text(file));
    let rows = plural(*rows, "bad row");
    if *all {
        tracing::warn!(
            "{table}: NOT ONE ROW of {source_file} is good, the table is empty: {rows} left out, kept in {file}"
        );
    } else {
        tracing::warn!("{table}: {rows} of {source_file} left out, kept in {file}");
    }
}

/// The report of `lake run`.
#[derive(serde::Serialize)]
pub struct RunReport {
    date: RunDate,
    run: RunId,
    extract: Vec<ExtractReport>,
    transform: Option<TransformReport>,
    load: Option<LoadReport>,
    pub export: Option<ExportReport>,
    elapsed_ms: u64,
}

/// The target of a config.
pub fn target(config: &Config) -> anyhow::Result<lake_loader::Target> {
    let Some(target) = config.target()? else {
        return Err(usage(format!(
            "{} has no `target:` to load into, e.g. `target: {{type: postgres, url: \"${{TARGET_URL}}\"}}`",
            config.path.display()
        )));
    };
    Ok(lake_loader::Target {
        url: target.url,
        timeouts: config.timeouts,
        schema: target.schema.parse()?,
        triggers: match target.triggers {
            true => lake_loader::Triggers::On,
            false => lake_loader::Triggers::Off,
        },
    })
}

/// The Postgres sources of a config, also those whose secrets are not at hand.
pub fn origins(config: &Config) -> Vec<Origin> {
    let origin = |source: String| {
        let url = match config.source(&source) {
            Ok(lake_extractor::Source::Postgres(postgres)) => Ok(postgres.url),
            Ok(lake_extractor::Source::Csv(_)) => return None,
            Err(error) => Err(error.to_string()),
        };
        let timeouts = config.timeouts;
        Some(Origin { source, url, timeouts })
    };
    config.source_names().into_iter().filter_map(origin).collect()
}

/// With `--table`, only the sources that may have the tables: a CSV source that lacks them all is
/// left out where another source is there to be asked.
fn narrow(sources: Vec<lake_extractor::Source>, tables: &[String]) -> anyhow::Result<Vec<lake_extractor::Source>> {
    if sources.len() < 2 {
        return Ok(sources);
    }
    let (csv, databases): (Vec<_>, Vec<_>) = sources
        .into_iter()
        .partition(|source| matches!(source, lake_extractor::Source::Csv(_)));
    let files: Vec<_> = csv
        .into_iter()
        .filter(|source| match source {
            lake_extractor::Source::Csv(csv) => tables.iter().all(|table| csv.files.contains_key(table)),
            lake_extractor::Source::Postgres(_) => false,
        })
        .collect();
    match (files.is_empty(), databases.len()) {
        (false, _) => Ok(files),
        (true, 1) => Ok(databases),
        _ => Err(usage("several sources could have these tables: name one with --source")),
    }
}

/// What a step is recorded for that does not do all of the day: the record without names is the whole's.
fn part(names: &[impl ToString]) -> Option<String> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn elapsed(elapsed_ms: u64) -> String {
    duration_text(std::time::Duration::from_millis(elapsed_ms))
}
