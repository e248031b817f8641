//! Saved queries run for a day, their results kept in the lake.
//!
//! The same input gives the same result, to the byte: a query runs in one partition, so that rows
//! come in one order and floats are added up in that order. Several queries run side by side instead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt as _;
use lake_storage::{Coverage, FileWriter, Lake, RESULTS, RunDate, RunId, TableWrite, WrittenFile};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::engine::Plan;
use crate::statement::Allowed;
use crate::{Engine, Result, SavedQuery, Scope, Settings, result_schema, result_type};

/// Batches that wait between a query and the writer of its file.
const BATCHES_WAITING_MAX: usize = 2;

/// A query's share of the memory; where there is less for each, fewer run at a time.
const QUERY_MEMORY_BYTES_MIN: usize = 64 << 20;

/// What to transform.
#[derive(Clone, Debug)]
pub struct Transform<'a> {
    /// The queries to run.
    pub queries: &'a [SavedQuery],
    /// The names of all configured queries: when each has a result, the day's results are complete.
    pub all_queries: &'a [String],
    /// The configured sources.
    pub sources: &'a [String],
    /// The day.
    pub date: RunDate,
    /// The run, which signs the results.
    pub run: &'a RunId,
    /// The command, which is named to others that want to write the same day.
    pub command: &'a str,
    /// What it may use; as many queries run at a time as a query may have partitions elsewhere, and
    /// share the memory.
    pub settings: &'a Settings,
}

/// How far a transform has come.
#[derive(Clone, Debug)]
pub enum TransformEvent {
    /// A query begins.
    Started {
        /// The query.
        query: String,
    },
    /// More of a query's rows are written.
    Written {
        /// The query.
        query: String,
        /// Rows so far.
        rows: u64,
        /// Bytes on disk so far.
        bytes: u64,
    },
    /// A query is done.
    Done(QueryReport),
}

/// A materialised query.
#[derive(Clone, Debug, Serialize)]
pub struct QueryReport {
    /// The query.
    pub query: String,
    /// Rows of its result.
    pub rows: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// What a transform did.
#[derive(Clone, Debug, Serialize)]
pub struct TransformReport {
    /// The queries, in the order in which they were given.
    pub queries: Vec<QueryReport>,
    /// Rows of all results.
    pub rows: u64,
    /// Bytes of all results.
    pub bytes: u64,
    /// The run of each source's day that was read.
    pub inputs: BTreeMap<String, RunId>,
    /// Whether all configured queries have a result of the day now.
    pub complete: bool,
}

/// Runs queries for a day and keeps their results as `results.<query>`, all at once or none.
///
/// All are planned before the first one runs. Columns of types that the lake has not are converted,
/// and a value that the new type can't hold exactly is an error: small and unsigned integers to wider
/// ones (`UInt64` to `numeric(20,0)`), times and intervals to text, timestamps to microseconds and
/// those of a zone to UTC.
///
/// # Errors
/// [`crate::Error::Lake`] with a prerequisite that lists every source whose day is missing;
/// [`crate::Error::SavedQuery`] naming the query and its file; the lake then is as it was.
pub async fn transform(
    lake: &Lake,
    request: &Transform<'_>,
    mut progress: impl FnMut(TransformEvent),
) -> Result<TransformReport> {
    let at_once = at_once(request);
    let settings = Settings {
        target_partitions: 1,
        memory_bytes_max: request.settings.memory_bytes_max.map(|bytes| bytes / at_once),
        ..request.settings.clone()
    };
    let scope = Scope::Day(request.date);

    let parser = Engine::new(lake, scope, request.sources, &settings)?;
    let mut sources = BTreeSet::new();
    for query in request.queries {
        sources.extend(parser.sources_of(&query.sql).map_err(|error| query.error(error))?);
    }
    let sources: Vec<String> = sources.into_iter().collect();
    lake.require_sources(&sources, request.date)?;

    let mut planned = Vec::with_capacity(request.queries.len());
    for query in request.queries {
        // An engine each: what one query holds in memory must not make another write to disk.
        let engine = Engine::new(lake, scope, request.sources, &settings)?;
        planned.push(plan(&engine, query).await.map_err(|error| query.error(error))?);
    }

    let day = lake.begin_day(RESULTS, request.date, request.run, request.command)?;
    let mut inputs = BTreeMap::new();
    let mut writes = Vec::with_capacity(planned.len());
    let mut waiting = Vec::with_capacity(planned.len());
    for (place, (query, planned)) in request.queries.iter().zip(planned).enumerate() {
        inputs.extend(planned.plan.inputs.clone());
        writes.push(TableWrite {
            name: query.name.clone(),
            relation: None,
            snapshot: None,
            inputs: planned.plan.inputs.clone(),
            schema: planned.schema.clone(),
            rows: 0,
            files: Vec::new(),
        });
        let file = day.file(&query.name, &planned.schema, 0)?;
        waiting.push((place, query.name.clone(), planned, file));
    }

    let (events, mut incoming) = mpsc::unbounded_channel();
    let mut waiting = waiting.into_iter();
    let mut running: JoinSet<(usize, Result<(WrittenFile, QueryReport)>)> = JoinSet::new();
    let mut reports: Vec<Option<QueryReport>> = vec![None; writes.len()];
    loop {
        while running.len() < at_once {
            let Some((place, query, planned, file)) = waiting.next() else {
                break;
            };
            progress(TransformEvent::Started { query: query.clone() });
            let events = events.clone();
            running.spawn(async move { (place, materialise(query, planned, file, events).await) });
        }
        tokio::select! {
            biased; // what a query reports comes before its end
            Some(event) = incoming.recv() => progress(event),
            ended = running.join_next() => match ended {
                None => break,
                Some(ended) => {
                    let (place, result) = ended.unwrap_or_else(panicked);
                    let (file, report) = result.map_err(|error| request.queries[place].error(error))?;
                    progress(TransformEvent::Done(report.clone()));
                    writes[place].rows = report.rows;
                    writes[place].files = vec![file];
                    reports[place] = Some(report);
                }
            },
        }
    }

    let coverage = coverage(lake, request)?;
    let manifest = day.publish(writes, coverage).await?;
    let queries: Vec<QueryReport> = reports.into_iter().flatten().collect();
    let report = TransformReport {
        rows: queries.iter().map(|query| query.rows).sum(),
        bytes: queries.iter().map(|query| query.bytes).sum(),
        queries,
        inputs,
        complete: manifest.complete,
    };
    tracing::info!(date = %request.date, queries = report.queries.len(), rows = report.rows, "transformed");
    Ok(report)
}

/// How many queries run side by side.
fn at_once(request: &Transform<'_>) -> usize {
    let shares = match request.settings.memory_bytes_max {
        Some(bytes) => bytes / QUERY_MEMORY_BYTES_MIN,
        None => usize::MAX,
    };
    let threads = request.settings.target_partitions;
    threads.min(shares).min(request.queries.len()).max(1)
}

struct Planned {
    plan: Plan,
    schema: SchemaRef,
}

async fn plan(engine: &Engine, query: &SavedQuery) -> Result<Planned> {
    let plan = engine.plan(&query.sql, Allowed::Select).await?;
    let schema = result_schema::of(&plan.logical, &plan.physical.schema())?;
    Ok(Planned { plan, schema })
}

/// Runs a query into its file: one thread computes, another encodes.
async fn materialise(
    query: String,
    planned: Planned,
    mut file: FileWriter,
    events: mpsc::UnboundedSender<TransformEvent>,
) -> Result<(WrittenFile, QueryReport)> {
    let started = Instant::now();
    let (batches, mut incoming) = mpsc::channel::<RecordBatch>(BATCHES_WAITING_MAX);
    let schema = planned.schema;
    let name = query.clone();
    let writing = tokio::task::spawn_blocking(move || -> Result<WrittenFile> {
        let mut rows = 0;
        while let Some(batch) = incoming.blocking_recv() {
            file.write(&result_type::batch(&batch, &schema)?)?;
            rows += batch.num_rows() as u64;
            let _ = events.send(TransformEvent::Written {
                query: name.clone(),
                rows,
                bytes: file.bytes_written(),
            }); // nobody listens once another query has failed
        }
        Ok(file.finish()?)
    });
    let mut rows = 0;
    let mut stream = planned.plan.run().await?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if batches.send(batch).await.is_err() {
            break; // the writer has failed, and says so below
        }
    }
    drop(batches);
    let file = writing.await.unwrap_or_else(panicked)?;
    let report = QueryReport {
        query,
        rows,
        bytes: file.bytes,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    Ok((file, report))
}

/// The day's results are complete when every configured query has one that is as new as its sources.
fn coverage(lake: &Lake, request: &Transform<'_>) -> Result<Coverage> {
    let run: BTreeSet<&str> = request.queries.iter().map(|query| query.name.as_str()).collect();
    let mut others = request
        .all_queries
        .iter()
        .filter(|query| !run.contains(query.as_str()))
        .peekable();
    if others.peek().is_none() {
        return Ok(Coverage::Whole);
    }
    let earlier = lake.manifest_or_partial(RESULTS, request.date)?;
    for query in others {
        let Some(entry) = earlier.as_ref().and_then(|manifest| manifest.tables.get(query)) else {
            return Ok(Coverage::Some);
        };
        if lake.newer_input(&entry.inputs, request.date)?.is_some() {
            return Ok(Coverage::Some);
        }
    }
    Ok(Coverage::Completing)
}

fn panicked<T>(error: JoinError) -> T {
    std::panic::resume_unwind(error.into_panic())
}
