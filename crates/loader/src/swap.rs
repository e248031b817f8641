//! The one transaction that puts all tables in place.
//!
//! It locks the target's tables in the order of their names, against whoever alters them; empties
//! and fills them in the order of their foreign keys; and goes on with their sequences, the note of
//! the day and the end of the staging tables, so that one commit makes all of it true.

use std::collections::BTreeSet;
use std::time::Instant;

use lake_postgres::{Connection, quote_identifier, quote_literal};
use tokio_postgres::error::SqlState;

use crate::evolve::{self, Alterations};
use crate::existing::{self, Existing};
use crate::foreign_keys;
use crate::order::{Group, Order};
use crate::plan::TablePlan;
use crate::staging::{self, Staging, Substitutes};
use crate::statements::{Filled, create_table, delete_all, insert, insert_all, inserted_columns, renamed};
use crate::{Error, LoadRequest, Result, TargetTable, loads};

/// The transaction's snapshot is each statement's own, so that foreign keys see what is there.
const BEGIN: &str = "\
    begin isolation level read committed read write; \
    set local synchronize_seqscans = off; \
    set constraints all deferred";

const ALTERATION: &str = "the alteration of its columns";

/// The tables of a load, ready to be put in place.
pub(crate) struct Swap<'a> {
    pub(crate) request: &'a LoadRequest,
    pub(crate) plans: &'a [TablePlan],
    /// What the plans were compared with.
    pub(crate) existing: &'a [Option<Existing>],
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
    /// [`Error::Swap`], [`Error::RowCount`], [`Error::Altered`]; the transaction is rolled back.
    pub(crate) async fn run(&self, connection: &Connection) -> Result<Vec<u64>> {
        let result = self.in_transaction(connection).await;
        if result.is_err()
            && let Err(error) = connection.batch_execute("rollback").await
        {
            tracing::debug!(%error, "the transaction ends with its session");
        }
        result
    }

    async fn in_transaction(&self, connection: &Connection) -> Result<Vec<u64>> {
        let query = |action: &str| lake_postgres::Error::query(action.to_owned());
        connection
            .batch_execute(BEGIN)
            .await
            .map_err(query("begin the transaction"))?;
        self.lock(connection).await?;
        let keys = foreign_keys::read(connection, self.existing).await?;
        let order = foreign_keys::order(self.plans, &keys)?;
        let missing: Vec<String> = self
            .substitutes
            .keys()
            .map(|schema| format!("create schema if not exists {};", quote_identifier(schema)))
            .collect();
        connection
            .batch_execute(&missing.concat())
            .await
            .map_err(query("create the target schema"))?;

        self.alter(connection).await?;
        let elapsed = self.replace(connection, &order).await?;
        for (plan, existing) in self.plans.iter().zip(self.existing) {
            self.advance_sequences(connection, plan, existing.as_ref()).await?;
        }
        for schema in self.schemas() {
            let of_schema = self.plans.iter().filter(|plan| plan.target.schema == *schema);
            loads::note(connection, self.request, schema, of_schema).await?;
        }
        let names = self.stagings.iter().map(|staging| &staging.table);
        staging::drop_all(connection, names, self.substitutes.values()).await?;
        // Deferred constraints speak up here.
        connection
            .batch_execute("commit")
            .await
            .map_err(query("commit the load"))?;
        Ok(elapsed)
    }

    fn schemas(&self) -> impl Iterator<Item = &String> {
        let schemas: BTreeSet<&String> = self.plans.iter().map(|plan| &plan.target.schema).collect();
        schemas.into_iter()
    }

    /// Keeps others from altering the tables, and makes sure that nobody has since the plan.
    async fn lock(&self, connection: &Connection) -> Result<()> {
        let mut tables: Vec<(&TargetTable, String)> = self
            .plans
            .iter()
            .zip(self.existing)
            .filter_map(|(plan, existing)| Some((&plan.target, existing.as_ref()?.itself(&plan.target))))
            .collect();
        tables.sort();
        if !tables.is_empty() {
            let names: Vec<String> = tables.into_iter().map(|(_, name)| name).collect();
            connection
                .batch_execute(&format!("lock table {} in row exclusive mode", names.join(", ")))
                .await
                .map_err(lake_postgres::Error::query("lock the target's tables"))?;
        }
        let targets: Vec<&TargetTable> = self.plans.iter().map(|plan| &plan.target).collect();
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

    async fn replace(&self, connection: &Connection, order: &Order) -> Result<Vec<u64>> {
        let mut elapsed = vec![0; self.plans.len()];
        for group in order.deletes() {
            let started = Instant::now();
            self.empty(connection, group).await?;
            elapsed[group.places[0]] += started.elapsed().as_millis() as u64;
        }
        for group in &order.groups {
            let started = Instant::now();
            self.fill(connection, group).await?;
            elapsed[group.places[0]] += started.elapsed().as_millis() as u64;
        }
        Ok(elapsed)
    }

    async fn empty(&self, connection: &Connection, group: &Group) -> Result<()> {
        let existing = |place: &usize| Some((&self.plans[*place], self.existing[*place].as_ref()?));
        let tables: Vec<_> = group.places.iter().filter_map(existing).collect();
        let Some((plan, _)) = tables.first() else { return Ok(()) };
        let sql = delete_all(&tables);
        execute(connection, &plan.target, "the deletion of the old rows", &sql).await?;
        Ok(())
    }

    async fn fill(&self, connection: &Connection, group: &Group) -> Result<()> {
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
                    .map_err(swap_error(&plan.target, "the creation of the table"))?;
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
                let counts = connection.query_one(&insert_all(circle, group.at_once), &[]).await;
                let counts = counts.map_err(swap_error(target, INSERTION))?;
                (0..circle.len())
                    .map(|i| counts.get::<_, i64>(i).cast_unsigned())
                    .collect()
            }
        };
        for (Filled { plan, existing, .. }, found) in filled.iter().zip(counts) {
            let expected = plan.table.entry.rows;
            if found != expected {
                return Err(Error::RowCount {
                    table: plan.label(),
                    expected,
                    found,
                    place: "were inserted (a trigger or a rule on the table?)",
                });
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

    /// Sequences of the target's columns go on after the largest value. They are the only thing that
    /// a rollback would not undo; a number skipped does no harm.
    async fn advance_sequences(
        &self,
        connection: &Connection,
        plan: &TablePlan,
        existing: Option<&Existing>,
    ) -> Result<()> {
        let Some(existing) = existing else { return Ok(()) };
        let target = &plan.target;
        for (_, name) in inserted_columns(plan, Some(existing)) {
            if !existing
                .column(name)
                .is_some_and(|column| column.has_default || column.identity)
            {
                continue;
            }
            let row = connection
                .query_one("select pg_get_serial_sequence($1, $2)", &[&target.quoted(), &name])
                .await
                .map_err(swap_error(target, "the look for sequences"))?;
            let Some(sequence) = row.get::<_, Option<String>>(0) else {
                continue;
            };
            let sql = format!(
                "select setval(s.seqrelid, m.value) \
                 from pg_sequence s, (select max({})::bigint as value from {}) m \
                 where s.seqrelid = {}::regclass and s.seqincrement > 0 and m.value between s.seqmin and s.seqmax",
                quote_identifier(name),
                existing.itself(target),
                quote_literal(&sequence)
            );
            execute(connection, target, "the advance of its sequence", &sql).await?;
        }
        Ok(())
    }
}

async fn execute(connection: &Connection, target: &TargetTable, action: &'static str, sql: &str) -> Result<u64> {
    connection.execute(sql, &[]).await.map_err(swap_error(target, action))
}

pub(crate) fn swap_error(target: &TargetTable, action: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let target = target.clone();
    move |source| Error::Swap {
        hint: match source.code() {
            Some(&SqlState::FOREIGN_KEY_VIOLATION) => "; load the tables of the foreign key together",
            Some(&SqlState::CHECK_VIOLATION | &SqlState::NOT_NULL_VIOLATION | &SqlState::UNIQUE_VIOLATION) => {
                "; the constraint is the target's own: mend the rows at their source, or drop it"
            }
            Some(&SqlState::FEATURE_NOT_SUPPORTED) if action == ALTERATION => {
                "; drop the views that use the column, load, and create them again"
            }
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                "; the role of the target's URL needs the right to do it, and past row-level security"
            }
            _ => "",
        },
        target,
        action,
        source,
    }
}
