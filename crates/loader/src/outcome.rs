//! What a load has done to the target, looked at in its transaction before the commit.
//!
//! The rows are the lake's if every row of before is gone and every row of the lake has come, as it was.
//! The statements say how many rows they deleted and inserted, and the server counts all that the
//! transaction does to a table, whoever does it: where both agree, nothing else has touched it (no
//! trigger of another table, no foreign key's action, no function of a default or a check). Neither
//! sees what a `before` trigger keeps from happening, or changes in a row on its way in. So a table
//! with one of those, or with other counts, is read back and compared with the lake, value by value.
//! Reading every table back would cost each load a second reading of the lake and of the target.

use std::collections::BTreeSet;

use lake_postgres::{Connection, TypeCatalog};
use lake_storage::Lake;

use crate::acting::{self, TABLES, Trigger};
use crate::compare::compare;
use crate::existing;
use crate::plan::TablePlan;
use crate::statements::inserted_columns;
use crate::{Error, Mismatch, Result, TargetTable};

const COUNTS: &str = "\
    select t.place, sum(pg_stat_get_xact_tuples_inserted(t.oid))::bigint, \
        sum(pg_stat_get_xact_tuples_updated(t.oid))::bigint, sum(pg_stat_get_xact_tuples_deleted(t.oid))::bigint \
    from tables t group by 1";

/// Rows that a session has written to a table since some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    inserted: i64,
    updated: i64,
    deleted: i64,
}

/// The server's counts for the tables of these quoted names; zero for one that is not there.
pub(crate) async fn counts(connection: &Connection, tables: &[String]) -> Result<Vec<Counts>> {
    let rows = connection.query(&format!("{TABLES} {COUNTS}"), &[&tables]).await;
    let rows = rows.map_err(lake_postgres::Error::query("count what was done to the target"))?;
    let mut counts = vec![Counts::default(); tables.len()];
    for row in rows {
        counts[row.get::<_, i64>(0) as usize - 1] = Counts {
            inserted: row.get(1),
            updated: row.get(2),
            deleted: row.get(3),
        };
    }
    Ok(counts)
}

/// What a table's statements did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Rows that they inserted; none if the table was filled elsewhere, and renamed.
    pub(crate) inserted: u64,
    /// Rows that they deleted, if they told.
    pub(crate) deleted: Option<u64>,
}

/// What has to be known to tell whether the tables hold the lake's rows.
pub(crate) struct Outcome<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) plans: &'a [TablePlan],
    /// What the statements did to each table.
    pub(crate) done: &'a [Done],
    /// The server's counts before it.
    pub(crate) before: &'a [Counts],
    /// The triggers that could run, of tables that were there before.
    pub(crate) triggers: &'a [Trigger],
    /// The same of the staging tables, where somebody puts triggers on each new table.
    pub(crate) of_staging: &'a [Trigger],
    /// Which tables were there before.
    pub(crate) existed: &'a [bool],
}

impl Outcome<'_> {
    /// Makes sure that each table holds exactly the lake's rows.
    ///
    /// # Errors
    /// [`Error::Acted`] with what acts in the target.
    pub(crate) async fn check(&self, connection: &Connection) -> Result<()> {
        let names: Vec<String> = self.plans.iter().map(|plan| plan.target.quoted()).collect();
        let of_new_tables = acting::triggers(connection, &names).await?;
        let of_new_tables = of_new_tables.into_iter().filter(|trigger| !self.existed[trigger.place]);
        let triggers: Vec<Trigger> = self.triggers.iter().cloned().chain(of_new_tables).collect();
        let after = counts(connection, &names).await?;
        let nothing_acts = !triggers.iter().any(Trigger::acts);
        let altered = triggers.iter().filter(|trigger| trigger.alters_rows());
        let staged = self.of_staging.iter().filter(|trigger| trigger.acts());
        let altered: BTreeSet<usize> = altered.chain(staged).map(|trigger| trigger.place).collect();
        let doubtful: Vec<usize> = (0..self.plans.len())
            .filter(|place| altered.contains(place) || !self.is_accounted_for(*place, after[*place], nothing_acts))
            .collect();
        if doubtful.is_empty() {
            return Ok(());
        }
        let targets: Vec<&TargetTable> = doubtful.iter().map(|place| &self.plans[*place].target).collect();
        let now = existing::find(connection, &targets).await?;
        let oids: Vec<u32> = now.iter().flatten().map(|table| table.oid).collect();
        let catalog = TypeCatalog::of_relations(connection, &oids).await?;
        for (place, now) in doubtful.iter().zip(now) {
            let plan = &self.plans[*place];
            tracing::debug!("{}: its rows are read back", plan.target);
            let mismatch = match now {
                None => Some(Mismatch::MissingTable),
                Some(now) => {
                    let inserted = inserted_columns(plan, Some(&now));
                    let columns = inserted.iter().map(|(column, _)| &plan.columns[*column]);
                    compare(self.lake, connection, &catalog, (plan, columns.collect()), &now).await?
                }
            };
            if let Some(mismatch) = mismatch {
                let acting = triggers.iter().chain(self.of_staging);
                return Err(acted(connection, plan, mismatch, acting).await?);
            }
        }
        Ok(())
    }

    /// Whether all that was done to a table in the transaction was done by the load's own statements.
    fn is_accounted_for(&self, place: usize, after: Counts, nothing_acts: bool) -> bool {
        let (Done { inserted, deleted }, before) = (self.done[place], self.before[place]);
        let deleted = match deleted {
            Some(deleted) => after.deleted - before.deleted == deleted.cast_signed(),
            None => nothing_acts,
        };
        deleted && after.inserted - before.inserted == inserted.cast_signed() && after.updated == before.updated
    }
}

/// The error that says what acts in the target.
pub(crate) async fn acted(
    connection: &Connection,
    plan: &TablePlan,
    mismatch: Mismatch,
    triggers: impl Iterator<Item = &Trigger>,
) -> Result<Error> {
    let triggers = triggers.filter(|trigger| trigger.acts()).map(ToString::to_string);
    let mut acting: Vec<String> = triggers.collect();
    acting.extend(acting::event_triggers(connection).await?);
    Ok(Error::Acted {
        target: plan.target.clone(),
        mismatch,
        acting: match acting.is_empty() {
            true => "a function of a default, a check or a foreign key's action".into(),
            false => acting.join(", "),
        },
    })
}
