//! Is the target's content the lake's day?
//!
//! The target is read in one snapshot, so a load under way shows as the old day or the new.

use std::collections::BTreeSet;

use lake_postgres::{Connection, Mode, TypeCatalog};
use lake_storage::{Lake, RunDate};
use serde::Serialize;

use crate::compare::{Mismatch, compare};
use crate::selection::Selection;
use crate::{LoadRequest, Result, Target, TargetTable, evolve, existing, loads, name_back, plan};

/// What came of a comparison of the lake's day with the target.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// The day.
    pub date: RunDate,
    /// Each table, by source and name.
    pub tables: Vec<VerifiedTable>,
}

/// A table's share of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedTable {
    /// Its source; `results` for a query's result.
    pub source: String,
    /// Its name in the lake.
    pub name: String,
    /// Its name in the target, `schema.table` as SQL writes it.
    pub target: String,
    /// Rows of the lake's day.
    pub rows: u64,
    /// The day that the target notes for it, if a load did.
    pub loaded_day: Option<String>,
    /// What differs; none if the target holds exactly the lake's rows.
    pub mismatch: Option<Mismatch>,
    /// Columns that the lake does not have, and that the target does not compute: none of these is compared.
    pub own_columns: Vec<String>,
}

/// Compares the lake's day with the target, by rows and content, table by table, in one transaction.
///
/// # Errors
/// Any [`Error`](crate::Error) that keeps a comparison from being made; what it finds is in the report.
#[tracing::instrument(skip_all, fields(date = %request.date))]
pub async fn verify(lake: &Lake, target: &Target, request: &LoadRequest) -> Result<VerifyReport> {
    let selection = Selection::read(lake, request)?;
    let mut plans = plan::plan(selection.tables.clone(), &target.schema)?;
    let connection = Connection::open(&target.url, &request.application_name(), target.timeouts).await?;
    let connection = connection.begin(Mode::Snapshot).await?;
    evolve::replace_missing_types(&connection, &mut plans).await?;
    let targets: Vec<&TargetTable> = plans.iter().map(|plan| &plan.target).collect();
    let existing = existing::find(&connection, &targets).await?;
    let schemas: BTreeSet<&str> = targets.iter().map(|target| target.schema.as_str()).collect();
    let notes = loads::read(&connection, &schemas.into_iter().collect::<Vec<_>>()).await?;
    name_back::name_back(&mut plans, &existing, &notes, &target.schema);
    let oids: Vec<u32> = existing.iter().flatten().map(|table| table.oid).collect();
    let catalog = TypeCatalog::of_relations(&connection, &oids).await?;

    let mut tables = Vec::with_capacity(plans.len());
    for (plan, existing) in plans.iter_mut().zip(&existing) {
        let own = |existing| {
            name_back::own_columns(plan, existing)
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        let own_columns = existing.as_ref().map(own);
        let mismatch = match existing {
            None => Some(Mismatch::MissingTable),
            Some(existing) => {
                let mut differences = evolve::settle(plan, existing);
                // What others have to fill is no difference of the lake's rows.
                differences.retain(|difference| difference.wanted.is_some());
                if differences.is_empty() {
                    let columns = plan.columns.iter().collect();
                    compare(lake, &connection, &catalog, (plan, columns), existing).await?
                } else {
                    Some(Mismatch::Columns {
                        differences: differences.iter().map(ToString::to_string).collect(),
                    })
                }
            }
        };
        tables.push(VerifiedTable {
            source: plan.table.source.clone(),
            name: plan.table.name.clone(),
            target: plan.target.to_string(),
            rows: plan.table.entry.rows,
            loaded_day: loads::day(&connection, &plan.target).await?,
            mismatch,
            own_columns: own_columns.unwrap_or_default(),
        });
    }
    connection.commit().await?;
    Ok(VerifyReport {
        date: request.date,
        tables,
    })
}
