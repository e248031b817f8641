//! The steps of a load.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use lake_postgres::Connection;
use lake_storage::Lake;

use crate::evolve::Alterations;
use crate::existing::Existing;
use crate::plan::TablePlan;
use crate::selection::Selection;
use crate::staging::{self, Staging, Substitutes};
use crate::swap::Swap;
use crate::{
    LoadReport, LoadRequest, LoadedTable, Progress, Result, Target, TargetTable, copy, evolve, existing, lock, plan,
};

/// Below this many rows and bytes, a further connection costs more than it saves.
const CONNECTION_ROWS_MIN: u64 = 50_000;
const CONNECTION_BYTES_MIN: u64 = 4 << 20;

/// Puts the lake's day into the target: all its tables in one transaction.
///
/// With one job everything runs on one connection. Tables that the target has keep what their owner
/// gave them (grants, indexes, constraints, further columns that may be NULL or have a default);
/// others are created with their source's types, NOT NULLs and primary key.
///
/// # Errors
/// Any [`crate::Error`]; the target's tables are then as they were.
#[tracing::instrument(skip_all, fields(date = %request.date))]
pub async fn load(
    lake: &Lake,
    target: &Target,
    request: &LoadRequest,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<LoadReport> {
    let started = Instant::now();
    let Selection { tables, inputs, guards } = Selection::read(lake, request)?;
    let mut plans = plan::plan(tables, &target.schema)?;
    let rows = plans.iter().map(|plan| plan.table.entry.rows).sum();
    let bytes = plans.iter().map(|plan| plan.table.entry.bytes).sum();
    progress(Progress::Planned {
        tables: plans.len() as u64,
        rows,
        bytes,
    });

    let connection = Connection::open(&target.url, &request.application_name()).await?;
    let loaded = under_lock(lake, target, request, &mut plans, &connection, &progress).await;
    lock::release(&connection).await;
    drop(guards);
    let (tables, connections) = loaded?;
    let report = LoadReport {
        date: request.date,
        run: request.run.clone(),
        tables,
        rows,
        bytes,
        elapsed_ms: started.elapsed().as_millis() as u64,
        connections,
        inputs,
    };
    tracing::info!(tables = report.tables.len(), rows, bytes, report.elapsed_ms, "loaded");
    Ok(report)
}

async fn under_lock(
    lake: &Lake,
    target: &Target,
    request: &LoadRequest,
    plans: &mut [TablePlan],
    connection: &Connection,
    progress: &(impl Fn(Progress) + Send + Sync),
) -> Result<(Vec<LoadedTable>, u64)> {
    // Sorted: locks are always taken in this order.
    let schemas: BTreeSet<String> = plans.iter().map(|plan| plan.target.schema.clone()).collect();
    let schemas: Vec<&str> = schemas.iter().map(String::as_str).collect();
    lock::acquire(connection, &schemas).await?;
    staging::drop_leftovers(connection, &schemas).await?;
    let present = existing::schemas(connection, &schemas).await?;
    let substitutes = staging::substitutes(&schemas, &present, &request.run);
    evolve::replace_missing_types(connection, plans).await?;
    let targets: Vec<&TargetTable> = plans.iter().map(|plan| &plan.target).collect();
    let existing = existing::find(connection, &targets).await?;
    let alterations = evolve::evolve(connection, plans, &existing, lake.schema_change()).await?;
    let load = Load {
        lake,
        target,
        request,
        plans,
        substitutes: &substitutes,
        existing: &existing,
        alterations: &alterations,
    };
    load.run(connection, progress).await
}

struct Load<'a> {
    lake: &'a Lake,
    target: &'a Target,
    request: &'a LoadRequest,
    plans: &'a [TablePlan],
    /// Of the target schemas that are not there.
    substitutes: &'a Substitutes,
    existing: &'a [Option<Existing>],
    alterations: &'a [Alterations],
}

impl Load<'_> {
    async fn run(
        &self,
        connection: &Connection,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(Vec<LoadedTable>, u64)> {
        crate::foreign_keys::order(connection, self.plans, self.existing).await?;
        let names: Vec<TargetTable> = (0..)
            .zip(self.plans)
            .map(|(place, plan)| staging::name(plan, place, &self.request.run, self.substitutes))
            .collect();
        let loaded = self.through_staging(connection, &names, progress).await;
        if loaded.is_err() {
            if let Err(error) = staging::drop_all(connection, names.iter(), self.substitutes.values()).await {
                tracing::warn!(%error, "the next load will drop the staging tables");
            }
        } else {
            self.analyze(connection).await;
        }
        loaded
    }

    async fn through_staging(
        &self,
        connection: &Connection,
        names: &[TargetTable],
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(Vec<LoadedTable>, u64)> {
        let stagings = staging::create(connection, self.plans, names.to_vec(), self.substitutes).await?;
        let others = self.further_connections().await;
        let work = Work {
            lake: self.lake,
            plans: self.plans,
            stagings: &stagings,
            queue: Mutex::new(largest_first(self.plans)),
            progress,
        };
        let all = std::iter::once(connection).chain(&others);
        let filled = futures::future::try_join_all(all.map(|connection| work.run(connection))).await?;
        let connections = 1 + others.len() as u64;
        drop(others);

        let swap = Swap {
            request: self.request,
            plans: self.plans,
            existing: self.existing,
            alterations: self.alterations,
            stagings: &stagings,
            substitutes: self.substitutes,
        };
        let mut elapsed = swap.run(connection).await?;
        for (place, elapsed_ms) in filled.into_iter().flatten() {
            elapsed[place] += elapsed_ms;
        }
        let tables = self.plans.iter().zip(self.existing).zip(elapsed);
        let tables = tables.map(|((plan, existing), elapsed_ms)| LoadedTable {
            source: plan.table.source.clone(),
            name: plan.table.name.clone(),
            target: plan.target.to_string(),
            created: existing.is_none(),
            rows: plan.table.entry.rows,
            bytes: plan.table.entry.bytes,
            elapsed_ms,
        });
        Ok((tables.collect(), connections))
    }

    /// As many more connections as the tables are worth and the server has.
    async fn further_connections(&self) -> Vec<Connection> {
        let rows: u64 = self.plans.iter().map(|plan| plan.table.entry.rows).sum();
        let bytes: u64 = self.plans.iter().map(|plan| plan.table.entry.bytes).sum();
        let worth = 1 + (rows / CONNECTION_ROWS_MIN).max(bytes / CONNECTION_BYTES_MIN);
        let count = self
            .request
            .jobs
            .min(self.plans.len())
            .min(usize::try_from(worth).unwrap_or(usize::MAX));
        let mut connections = Vec::new();
        for _ in 1..count {
            match Connection::open(&self.target.url, &self.request.application_name()).await {
                Ok(connection) => connections.push(connection),
                Err(error) => {
                    tracing::warn!(%error, "no further connection to be had: fewer fill the tables");
                    break;
                }
            }
        }
        connections
    }

    /// The planner's statistics are of the old rows until then.
    async fn analyze(&self, connection: &Connection) {
        for plan in self.plans {
            if let Err(error) = connection
                .batch_execute(&format!("analyze {}", plan.target.quoted()))
                .await
            {
                tracing::warn!(table = %plan.target, %error, "cannot analyze a table that was loaded");
            }
        }
    }
}

/// The largest first, so that no connection is left with a large one last.
fn largest_first(plans: &[TablePlan]) -> VecDeque<usize> {
    let mut places: Vec<usize> = (0..plans.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(plans[*place].table.entry.bytes));
    places.into()
}

/// What the connections share while they fill the staging tables.
struct Work<'a, P> {
    lake: &'a Lake,
    plans: &'a [TablePlan],
    stagings: &'a [Staging],
    /// Places of the tables that nobody has begun.
    queue: Mutex<VecDeque<usize>>,
    progress: &'a P,
}

impl<P: Fn(Progress) + Send + Sync> Work<'_, P> {
    /// Fills tables until none is left; returns how long each took.
    async fn run(&self, connection: &Connection) -> Result<Vec<(usize, u64)>> {
        let mut filled = Vec::new();
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(place) = next else { return Ok(filled) };
            let started = Instant::now();
            copy::fill(
                connection,
                self.lake,
                &self.plans[place],
                &self.stagings[place],
                self.progress,
            )
            .await?;
            filled.push((place, started.elapsed().as_millis() as u64));
        }
    }
}
