//! The end of the load's transaction, which puts all tables in place.
//!
//! It locks the target's tables in the order of their names, against whoever alters them; empties
//! and fills them in the order of their foreign keys; goes on with the note of the day and the end of the
//! staging tables; and looks whether all of it has come out as the lake has it (`outcome`), so that one
//! commit makes all of it true. The sequences come last, since no rollback undoes them.

use std::collections::BTreeSet;
use std::time::Instant;

use lake_postgres::{Connection, Error as PgError, quote_identifier, under_role_path};
use lake_storage::Lake;

use crate::acting::{self, Trigger};
use crate::evolve::{self, Alterations};
use crate::existing::{self, Existing};
use crate::foreign_keys;
use crate::key_index::{self, Missing};
use crate::loads::Notes;
use crate::order::{Group, Order};
use crate::outcome::{self, Done, Outcome};
use crate::plan::TablePlan;
use crate::refusal::{self, refused};
use crate::staging::{self, Staging, Substitutes};
use crate::statements::{Filled, create_table, delete_all, insert, insert_all, renamed};
use crate::{Error, LoadRequest, Mismatch, Result, TargetTable, Triggers, loads, sequences, strangers};

const ALTERATION: &str = "the alteration of its columns";

/// The tables of a load, ready to be put in place.
pub(crate) struct Swap<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) triggers: Triggers,
    pub(crate) request: &'a LoadRequest,
    pub(crate) plans: &'a [TablePlan],
    /// What the plans were compared with.
    pub(crate) existing: &'a [Option<Existing>],
    /// What loads have noted of these.
    pub(crate) notes: &'a Notes,
    /// What has to be altered about these.
    pub(crate) alterations: &'a [Alterations],
    pub(crate) stagings: &'a [Staging],
    /// Of the target schemas that are not there.
    pub(crate) substitutes: &'a Substitutes,
}

impl Swap<'_> {
    /// Puts the tables in place and drops the staging tables; returns the time that each took.
    ///
    /// # Errors
    /// [`Error::Swap`], [`Error::RowCount`], [`Error::Altered`], [`Error::Acted`].
    pub(crate) async fn run(&self, connection: &Connection) -> Result<Vec<u64>> {
        let query = |action: &str| lake_postgres::Error::query(action.to_owned());
        connection
            .batch_execute("set constraints all deferred")
            .await
            .map_err(query("defer the target's constraints"))?;
        let triggers = self.present_triggers(connection).await?;
        let unindexed = key_index::find(connection, self.existing).await?;
        self.lock(connection, &triggers, &unindexed).await?;
        acting::refuse_rules(connection, &self.names(false)).await?;
        let triggers = self.present_triggers(connection).await?;
        let (switch_off, switch_back) = match self.triggers {
            Triggers::On => Default::default(),
            Triggers::Off => acting::switch_off_and_back(&triggers),
        };
        let of_staging: Vec<String> = self.stagings.iter().map(|staging| staging.table.quoted()).collect();
        let of_staging = acting::triggers(connection, &of_staging).await?;
        connection
            .execute_watched(&under_role_path(&switch_off), "switch the target's triggers off")
            .await?;
        let keys = foreign_keys::read(connection, self.existing).await?;
        let order = foreign_keys::order(self.plans, &keys)?;
        let missing: Vec<String> = self
            .substitutes
            .keys()
            .map(|schema| format!("create schema if not exists {};", quote_identifier(schema)))
            .collect();
        connection
            .batch_execute(&under_role_path(&missing.concat()))
            .await
            .map_err(query("create the target schema"))?;

        connection.as_role(self.alter(connection)).await?;
        connection.as_role(key_index::create(connection, &unindexed)).await?;
        let before = outcome::counts(connection, &self.names(true)).await?;
        let replaced = connection.as_role(self.replace(connection, &order, &triggers)).await;
        let (elapsed, done) = replaced.map_err(|error| refusal::explain(error, &keys))?;
        // Deferred constraints and triggers speak up here. A trigger with work to come can't be altered.
        let checks = under_role_path(&format!("set constraints all immediate; {switch_back}"));
        let checked = connection.execute_watched(&checks, "check the target's deferred constraints");
        let checked = checked.await.map_err(refusal::of_deferred);
        checked.map_err(|error| refusal::explain(error, &keys))?;
        for schema in self.schemas() {
            let of_schema = self.plans.iter().filter(|plan| plan.target.schema == *schema);
            loads::note(connection, self.request, schema, of_schema).await?;
        }
        let names = self.stagings.iter().map(|staging| &staging.table);
        staging::drop_all(connection, names, self.substitutes.values()).await?;
        let existed: Vec<bool> = self.existing.iter().map(Option::is_some).collect();
        let could_run = match self.triggers {
            Triggers::On => &triggers[..],
            Triggers::Off => &[],
        };
        let outcome = Outcome {
            lake: self.lake,
            plans: self.plans,
            done: &done,
            before: &before,
            triggers: could_run,
            of_staging: &of_staging,
            existed: &existed,
        };
        // The last thing that can refuse: whatever else could act has acted.
        outcome.check(connection).await?;
        sequences::advance(connection, self.plans, self.existing).await?;
        Ok(elapsed)
    }

    /// The tables' names for a statement, or those of what is to be renamed so.
    fn names(&self, before: bool) -> Vec<String> {
        let tables = self.plans.iter().zip(self.stagings);
        let name = |(plan, staging): (&TablePlan, &Staging)| match before && staging.becomes_target {
            true => staging.table.quoted(),
            false => plan.target.quoted(),
        };
        tables.map(name).collect()
    }

    /// The triggers of the tables that are there.
    async fn present_triggers(&self, connection: &Connection) -> Result<Vec<Trigger>> {
        let triggers = acting::triggers(connection, &self.names(false)).await?;
        let existed = |trigger: &Trigger| self.existing[trigger.place].is_some();
        Ok(triggers.into_iter().filter(existed).collect())
    }

    fn schemas(&self) -> impl Iterator<Item = &String> {
        let schemas: BTreeSet<&String> = self.plans.iter().map(|plan| &plan.target.schema).collect();
        schemas.into_iter()
    }

    /// Keeps others from altering the tables, and makes sure that nobody has since the plan. Where triggers
    /// are, also from writing into them: rows of others would look like theirs, and nobody but us may run
    /// into triggers that are off. So too where a table is taken over, which stays as empty as it was, and where one
    /// gets an index.
    async fn lock(&self, connection: &Connection, triggers: &[Trigger], unindexed: &[Missing]) -> Result<()> {
        let targets: Vec<&TargetTable> = self.plans.iter().map(|plan| &plan.target).collect();
        let is_stranger = |(target, existing): (&&TargetTable, &Option<Existing>)| {
            existing.is_some() && strangers::is_stranger(target, self.notes, &self.request.sources)
        };
        let any_stranger = targets.iter().zip(self.existing).any(is_stranger);
        let alone = any_stranger || triggers.iter().any(Trigger::acts);
        let mut locks: Vec<(&TargetTable, String)> = self
            .plans
            .iter()
            .zip(self.existing)
            .filter_map(|(plan, existing)| {
                let existing = existing.as_ref()?;
                let mode = match alone || unindexed.iter().any(|missing| missing.is_created_in(existing)) {
                    true => "share row exclusive",
                    false => "row exclusive",
                };
                let table = existing.itself(&plan.target);
                Some((&plan.target, format!("lock table {table} in {mode} mode;")))
            })
            .collect();
        locks.sort();
        if !locks.is_empty() {
            let statements: String = locks.into_iter().map(|(_, lock)| lock).collect();
            connection
                .execute_watched(&statements, "lock the target's tables")
                .await?;
        }
        if any_stranger {
            // A table that was empty may have got rows.
            let strangers =
                strangers::find(connection, &targets, self.existing, self.notes, &self.request.sources).await?;
            strangers::refuse(&strangers, self.request)?;
        }
        let now = existing::find(connection, &targets).await?;
        match targets
            .iter()
            .zip(now.iter().zip(self.existing))
            .find(|(_, (now, then))| now != then)
        {
            Some((target, _)) => Err(Error::Altered {
                target: (*target).clone(),
            }),
            None => Ok(()),
        }
    }

    /// Before any row changes: a table with deferred checks to come can't be altered.
    async fn alter(&self, connection: &Connection) -> Result<()> {
        for ((plan, existing), alterations) in self.plans.iter().zip(self.existing).zip(self.alterations) {
            let Some(existing) = existing else { continue };
            if let Some(sql) = evolve::alter_table(plan, existing, alterations) {
                execute(connection, &plan.target, ALTERATION, &sql).await?;
            }
        }
        Ok(())
    }

    /// Returns how long each table took, and what was done to it.
    async fn replace(
        &self,
        connection: &Connection,
        order: &Order,
        triggers: &[Trigger],
    ) -> Result<(Vec<u64>, Vec<Done>)> {
        let mut elapsed = vec![0; self.plans.len()];
        let done = |((plan, existing), staging): ((&TablePlan, &Option<Existing>), &Staging)| Done {
            inserted: if staging.becomes_target {
                0
            } else {
                plan.table.entry.rows
            },
            deleted: existing.is_none().then_some(0),
        };
        let tables = self.plans.iter().zip(self.existing).zip(self.stagings);
        let mut done: Vec<Done> = tables.map(done).collect();
        for group in order.deletes() {
            let started = Instant::now();
            let deleted = self.empty(connection, group).await?;
            if let [place] = group.places[..] {
                done[place].deleted = Some(deleted);
            }
            elapsed[group.places[0]] += started.elapsed().as_millis() as u64;
        }
        for group in &order.groups {
            let started = Instant::now();
            self.fill(connection, group, triggers).await?;
            elapsed[group.places[0]] += started.elapsed().as_millis() as u64;
        }
        Ok((elapsed, done))
    }

    /// Returns how many rows of the last table it deleted.
    async fn empty(&self, connection: &Connection, group: &Group) -> Result<u64> {
        let existing = |place: &usize| Some((&self.plans[*place], self.existing[*place].as_ref()?));
        let tables: Vec<_> = group.places.iter().filter_map(existing).collect();
        let Some((plan, _)) = tables.first() else { return Ok(0) };
        let sql = delete_all(&tables);
        execute(connection, &plan.target, "the deletion of the old rows", &sql).await
    }

    async fn fill(&self, connection: &Connection, group: &Group, triggers: &[Trigger]) -> Result<()> {
        let filled: Vec<Filled<'_>> = group
            .places
            .iter()
            .map(|place| Filled {
                plan: &self.plans[*place],
                existing: self.existing[*place].as_ref(),
                staging: &self.stagings[*place],
            })
            .collect();
        let target = &filled[0].plan.target;
        for Filled {
            plan,
            existing,
            staging,
        } in &filled
        {
            if staging.becomes_target {
                connection
                    .batch_execute(&renamed(&staging.table, &plan.target))
                    .await
                    .map_err(|source| refused(&plan.target, "the creation of the table", source))?;
            } else if existing.is_none() {
                execute(
                    connection,
                    &plan.target,
                    "the creation of the table",
                    &create_table(plan),
                )
                .await?;
            }
        }
        const INSERTION: &str = "the insertion of the new rows";
        let counts: Vec<u64> = match &filled[..] {
            // Counted as they came.
            [one] if one.staging.becomes_target => vec![one.plan.table.entry.rows],
            [one] => vec![execute(connection, target, INSERTION, &insert(one, group.at_once)).await?],
            circle => {
                let sql = insert_all(circle, group.at_once);
                let counts = watched(connection, target, INSERTION, &sql, connection.query_one(&sql, &[])).await?;
                (0..circle.len())
                    .map(|i| counts.get::<_, i64>(i).cast_unsigned())
                    .collect()
            }
        };
        for (Filled { plan, existing, .. }, found) in filled.iter().zip(counts) {
            let expected = plan.table.entry.rows;
            if found != expected {
                let mismatch = Mismatch::Rows {
                    lake: expected,
                    target: found,
                };
                return Err(outcome::acted(connection, plan, mismatch, triggers.iter()).await?);
            }
            let key: Vec<String> = plan.primary_key().into_iter().map(quote_identifier).collect();
            if existing.is_none() && !key.is_empty() {
                let sql = format!(
                    "alter table {} add primary key ({})",
                    plan.target.quoted(),
                    key.join(", ")
                );
                execute(connection, &plan.target, "the creation of the primary key", &sql).await?;
            }
        }
        Ok(())
    }
}

async fn execute(connection: &Connection, target: &TargetTable, action: &'static str, sql: &str) -> Result<u64> {
    watched(connection, target, action, sql, connection.execute(sql, &[])).await
}

/// Waits for a statement that may have to wait for others, who have rows of the table in hand.
pub(crate) async fn watched<T>(
    connection: &Connection,
    target: &TargetTable,
    action: &'static str,
    sql: &str,
    run: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    let doing = format!("finish {action} in {target}");
    let done = connection.watch_locks(sql, &doing, run).await;
    done.map_err(|error| match error {
        PgError::Query { source, .. } => refused(target, action, source),
        error => error.into(),
    })
}
