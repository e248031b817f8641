//! The steps of a load.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use lake_postgres::{Connection, Idle, Mode, under_role_path};
use lake_storage::{Lake, Memory, StoredFile};
use tokio_postgres::error::SqlState;

use crate::evolve::Alterations;
use crate::existing::Existing;
use crate::loads::Notes;
use crate::plan::TablePlan;
use crate::selection::Selection;
use crate::staging::{self, Staging, Substitutes};
use crate::swap::Swap;
use crate::{
    Error, LoadReport, LoadRequest, LoadedTable, Progress, Result, Target, TargetTable, Triggers, acting, copy, evolve,
    existing, foreign_keys, labels, loads, lock, name_back, origin, plan, rights, strangers,
};

/// Below this many rows and bytes, a further connection costs more than it saves.
const CONNECTION_ROWS_MIN: u64 = 50_000;
const CONNECTION_BYTES_MIN: u64 = 4 << 20;

/// Puts the lake's day into the target: all its tables in one transaction.
///
/// With one job everything runs in one transaction. Tables that the target has keep what their owner
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
    let Selection {
        tables,
        inputs,
        schemas,
        guards,
    } = Selection::read(lake, request)?;
    let mut plans = plan::plan(tables, &target.schema)?;
    let rows = plans.iter().map(|plan| plan.table.entry.rows).sum();
    let bytes = plans.iter().map(|plan| plan.table.entry.bytes).sum();
    progress(Progress::Planned {
        tables: plans.len() as u64,
        rows,
        bytes,
    });

    let connection = Connection::open(&target.url, &request.application_name(), target.timeouts).await?;
    let connection = connection.begin(Mode::ReadWrite).await?;
    // Sorted: locks are always taken in this order.
    let into: BTreeSet<String> = plans.iter().map(|plan| plan.target.schema.clone()).collect();
    let into: BTreeSet<&str> = into.iter().map(String::as_str).collect();
    let connection = origin::refuse(connection, target, &request.origins, &schemas, &into).await?;
    let schemas: Vec<&str> = into.into_iter().collect();
    let loaded = in_transaction(lake, target, request, &mut plans, &schemas, &connection, &progress).await;
    let (tables, connections) = match loaded {
        Ok(loaded) => {
            analyze(connection.commit().await?, &plans).await;
            loaded
        }
        Err(error) => {
            if let Err(error) = clear(connection, target, request, &schemas).await {
                tracing::warn!(%error, "the next load will drop the staging tables");
            }
            return Err(error);
        }
    };
    drop(guards);
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

/// All that a load does up to its commit, with which the locks go.
async fn in_transaction(
    lake: &Lake,
    target: &Target,
    request: &LoadRequest,
    plans: &mut [TablePlan],
    schemas: &[&str],
    connection: &Connection,
    progress: &(impl Fn(Progress) + Send + Sync),
) -> Result<(Vec<LoadedTable>, u64)> {
    lock::acquire(connection, schemas).await?;
    respect_constraints(connection).await?;
    let present = existing::schemas(connection, schemas).await?;
    let substitutes = staging::substitutes(schemas, &present, &request.run);
    evolve::replace_missing_types(connection, plans).await?;
    let targets: Vec<&TargetTable> = plans.iter().map(|plan| &plan.target).collect();
    let existing = existing::find(connection, &targets).await?;
    existing::refuse_parts(connection, &targets, &existing).await?;
    let missing_rights = rights::find(connection, schemas, &existing).await?;
    missing_rights.refuse_blind()?;
    let notes = loads::read(connection, schemas).await?;
    let strangers = strangers::find(connection, &targets, &existing, &notes, &request.sources).await?;
    strangers::refuse(&strangers, request)?;
    missing_rights.refuse()?;
    name_back::name_back(plans, &existing, &notes, &target.schema);
    let names: Vec<String> = plans.iter().map(|plan| plan.target.quoted()).collect();
    acting::refuse_rules(connection, &names).await?;
    let mut triggers = acting::triggers(connection, &names).await?;
    if target.triggers == Triggers::Off {
        acting::check_owner(connection, &triggers).await?;
        triggers.clear();
    }
    let alterations = evolve::evolve(connection, plans, &existing, &notes, &triggers, lake.schema_change()).await?;
    let keys = foreign_keys::read(connection, &existing).await?;
    foreign_keys::order(plans, &keys)?; // before the rows are copied in vain
    strangers::announce(&strangers);
    for (plan, existing) in plans.iter().zip(&existing) {
        if let Some(existing) = existing {
            name_back::announce_own_columns(plan, existing, notes.get(&plan.target));
        }
    }
    let load = Load {
        lake,
        target,
        request,
        schemas,
        plans,
        substitutes: &substitutes,
        existing: &existing,
        notes: &notes,
        alterations: &alterations,
    };
    load.run(connection, progress).await
}

/// Foreign keys and triggers are the target's, whatever is set for the role, or was left in a pooler's session.
async fn respect_constraints(connection: &Connection) -> Result<()> {
    let action = || lake_postgres::Error::query("set session_replication_role to origin");
    let asked = "select pg_catalog.current_setting('session_replication_role') = 'origin', current_user::text, \
        pg_catalog.current_database()::text";
    let row = connection.query_one(asked, &[]).await.map_err(action())?;
    if row.get(0) {
        return Ok(());
    }
    let set = "set local session_replication_role = origin";
    match connection.batch_execute(set).await {
        Err(source) if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(rights::keeps_constraints_off(row.get(1), row.get(2)))
        }
        done => Ok(done.map_err(action())?),
    }
}

/// Drops the staging tables of a load that failed. Its locks have gone with its transaction: another
/// load that has come by now does it.
async fn clear(connection: Connection, target: &Target, request: &LoadRequest, schemas: &[&str]) -> Result<()> {
    let connection = match connection.rollback().await {
        Ok(idle) => idle.begin(Mode::ReadWrite).await?,
        // A COPY that had hardly begun when one on another connection failed has taken the session along.
        Err(_) => {
            let idle = Connection::open(&target.url, &request.application_name(), target.timeouts).await?;
            let connection = idle.begin(Mode::ReadWrite).await?;
            lock::acquire(&connection, schemas).await?; // the server may not have noticed yet
            connection
        }
    };
    for schema in schemas {
        if !lock::try_acquire(&connection, schema).await? {
            return Ok(());
        }
    }
    staging::drop_leftovers(&connection, schemas).await?;
    connection.commit().await?;
    Ok(())
}

/// The planner's statistics are of the old rows until then.
async fn analyze(mut idle: Idle, plans: &[TablePlan]) {
    for plan in plans {
        // Functions of its indexes run.
        let statement = under_role_path(&format!("analyze {}", plan.target.quoted()));
        if let Err(error) = idle.batch_execute(&statement, "analyze it").await {
            tracing::warn!(table = %plan.target, %error, "cannot analyze a table that was loaded");
        }
    }
}

struct Load<'a> {
    lake: &'a Lake,
    target: &'a Target,
    request: &'a LoadRequest,
    schemas: &'a [&'a str],
    plans: &'a [TablePlan],
    /// Of the target schemas that are not there.
    substitutes: &'a Substitutes,
    existing: &'a [Option<Existing>],
    notes: &'a Notes,
    alterations: &'a [Alterations],
}

impl Load<'_> {
    async fn run(
        &self,
        connection: &Connection,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(Vec<LoadedTable>, u64)> {
        let mut others = self.further_connections().await;
        let stagings = match others.pop() {
            None => self.stage(connection).await?,
            Some(first) => {
                let stagings = self.stage(&first).await?;
                let idle = first.commit().await?; // for all to see them
                others.extend(begun(idle.begin_soon(Mode::ReadWrite).await));
                stagings
            }
        };
        let work = Work {
            plans: self.plans,
            stagings: &stagings,
            queue: Mutex::new(self.files()?),
            memory: self.lake.memory(),
            progress,
        };
        let all = std::iter::once(connection).chain(&others);
        let filled =
            futures::future::try_join_all(all.map(|connection| connection.as_role(work.run(connection)))).await?;
        let connections = 1 + others.len() as u64;
        for other in others {
            other.commit().await?;
        }
        let mut copied = vec![(0, 0); self.plans.len()];
        for (place, rows, elapsed_ms) in filled.into_iter().flatten() {
            copied[place].0 += rows;
            copied[place].1 += elapsed_ms;
        }
        for (plan, (rows, _)) in self.plans.iter().zip(&copied) {
            if *rows != plan.table.entry.rows {
                return Err(Error::RowCount {
                    table: plan.label(),
                    expected: plan.table.entry.rows,
                    found: *rows,
                    place: "arrived in its staging table",
                });
            }
        }

        let name = self.request.application_name();
        labels::add_missing(connection, self.target, &name, self.plans, &stagings).await?;
        let swap = Swap {
            lake: self.lake,
            triggers: self.target.triggers,
            request: self.request,
            plans: self.plans,
            existing: self.existing,
            notes: self.notes,
            alterations: self.alterations,
            stagings: &stagings,
            substitutes: self.substitutes,
        };
        let mut elapsed = Box::pin(swap.run(connection)).await?; // large
        for (total, (_, copy_ms)) in elapsed.iter_mut().zip(copied) {
            *total += copy_ms;
        }
        let tables = self.plans.iter().zip(self.existing).zip(elapsed);
        let tables = tables.map(|((plan, existing), elapsed_ms)| LoadedTable {
            source: plan.table.source.clone(),
            name: plan.table.name.clone(),
            target: plan.target.to_string(),
            created: existing.is_none(),
            taken_over: existing.is_some() && strangers::is_stranger(&plan.target, self.notes, &self.request.sources),
            rows: plan.table.entry.rows,
            bytes: plan.table.entry.bytes,
            elapsed_ms,
        });
        Ok((tables.collect(), connections))
    }

    /// The files of all tables, the largest first, so that no connection is left with a large one last.
    fn files(&self) -> Result<VecDeque<File>> {
        let mut files = Vec::new();
        for (place, TablePlan { table, .. }) in self.plans.iter().enumerate() {
            let of_table = self.lake.files(&table.source, &table.name, &table.entry)?.into_iter();
            files.extend(of_table.map(|file| File { place, file }));
        }
        files.retain(|file| file.file.rows > 0);
        files.sort_by_key(|file| std::cmp::Reverse(file.file.bytes));
        Ok(files.into())
    }

    async fn stage(&self, connection: &Connection) -> Result<Vec<Staging>> {
        let dropped = staging::drop_leftovers(connection, self.schemas).await?;
        if dropped > 0 {
            tracing::warn!(tables = dropped, "dropped the staging tables of a load that was killed");
        }
        let names = (0..)
            .zip(self.plans)
            .map(|(place, plan)| staging::name(plan, place, &self.request.run, self.substitutes));
        let names = names.collect();
        staging::create(connection, self.plans, self.existing, names, self.substitutes).await
    }

    /// As many more connections as the tables are worth and the server has.
    async fn further_connections(&self) -> Vec<Connection> {
        let rows: u64 = self.plans.iter().map(|plan| plan.table.entry.rows).sum();
        let bytes: u64 = self.plans.iter().map(|plan| plan.table.entry.bytes).sum();
        let worth = 1 + (rows / CONNECTION_ROWS_MIN).max(bytes / CONNECTION_BYTES_MIN);
        let count = self
            .request
            .jobs
            .min(self.plans.iter().map(|plan| plan.table.entry.files.len()).sum())
            .min(usize::try_from(worth).unwrap_or(usize::MAX));
        let mut connections = Vec::new();
        for _ in 1..count {
            match begun(self.further_connection().await) {
                Some(connection) => connections.push(connection),
                None => break,
            }
        }
        connections
    }

    async fn further_connection(&self) -> Result<Connection, lake_postgres::Error> {
        let (url, name) = (&self.target.url, self.request.application_name());
        let idle = Connection::open(url, &name, self.target.timeouts).await?;
        idle.begin_soon(Mode::ReadWrite).await
    }
}

/// A load makes do without.
fn begun(connection: Result<Connection, lake_postgres::Error>) -> Option<Connection> {
    connection
        .inspect_err(|error| tracing::warn!(%error, "no further connection to be had: fewer fill the tables"))
        .ok()
}

/// A file of the table at this place among the plans.
struct File {
    place: usize,
    file: StoredFile,
}

/// What the connections share while they fill the staging tables.
struct Work<'a, P> {
    plans: &'a [TablePlan],
    stagings: &'a [Staging],
    /// Files that nobody has begun.
    queue: Mutex<VecDeque<File>>,
    memory: &'a Memory,
    progress: &'a P,
}

impl<P: Fn(Progress) + Send + Sync> Work<'_, P> {
    /// Copies files until none is left; returns each one's table, its rows and how long it took.
    async fn run(&self, connection: &Connection) -> Result<Vec<(usize, u64, u64)>> {
        let mut filled = Vec::new();
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(File { place, file }) = next else {
                return Ok(filled);
            };
            let started = Instant::now();
            let (plan, staging) = (&self.plans[place], &self.stagings[place]);
            let rows = copy::fill(connection, plan, staging, &file, self.memory, self.progress).await?;
            filled.push((place, rows, started.elapsed().as_millis() as u64));
        }
    }
}
