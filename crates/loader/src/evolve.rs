//! The target's columns beside the lake's: what fits as it is, and what has to be altered.
//!
//! A column of the target keeps its type where that holds every value of the lake's column, and gets
//! a type that holds both where it does not: text, in the end. Nothing that it holds is lost by it,
//! and an earlier day can be loaded again.

use std::collections::BTreeSet;

use lake_postgres::{Connection, TypeCatalog, postgres_type_for, quote_identifier};
use lake_storage::{SchemaChange, SqlName};

use crate::acting::Trigger;
use crate::declared_type::{common, holds, is_text, is_wider};
use crate::existing::Existing;
use crate::loads::{Note, Notes};
use crate::plan::TablePlan;
use crate::{ColumnDifference, Error, Result, TableDifference, in_the_way, rights};

/// The alterations of a target's table, as `alter table` writes them.
pub(crate) type Alterations = Vec<String>;

/// Gives columns of types that the target lacks the type nearest to theirs: of a domain the type below
/// it, else that of what the lake holds, which is text. What is left afterwards is a type and nothing else, and may stand in a statement.
pub(crate) async fn replace_missing_types(connection: &Connection, plans: &mut [TablePlan]) -> Result<()> {
    let wanted: BTreeSet<&str> = plans
        .iter()
        .flat_map(|plan| &plan.columns)
        .flat_map(|column| [Some(column.type_name.as_str()), column.base_type.as_deref()])
        .flatten()
        .collect();
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let rows = connection
        .query(
            "select t from unnest($1::text[]) t where to_regtype(t) is null",
            &[&wanted],
        )
        .await
        .map_err(lake_postgres::Error::query("look for the columns' types in the target"))?;
    let missing: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    for plan in plans {
        let label = plan.label();
        for column in plan.columns.iter_mut().filter(|c| missing.contains(&c.type_name)) {
            let base = column.base_type.clone().filter(|base| !missing.contains(base));
            let nearest = || postgres_type_for(&column.data_type).map(|(type_name, _)| type_name);
            let Some(type_name) = base.or_else(nearest) else {
                return Err(Error::NoPostgresType {
                    table: label,
                    column: column.name.clone(),
                    data_type: column.data_type.to_string(),
                });
            };
            column.missing_type = Some(std::mem::replace(&mut column.type_name, type_name.clone()));
            column.target_type = type_name;
        }
    }
    Ok(())
}

/// Settles the type that each column has in the target, and what is to be noted of it, and returns
/// what has to be altered, table by table.
///
/// # Errors
/// [`Error::Columns`] with every difference, where nothing may change; [`Error::Unfit`] with those that
/// are more than a load may mend; [`Error::Rights`], [`Error::InTheWay`].
pub(crate) async fn evolve(
    connection: &Connection,
    plans: &mut [TablePlan],
    existing: &[Option<Existing>],
    notes: &Notes,
    triggers: &[Trigger],
    schema_change: SchemaChange,
) -> Result<Vec<Alterations>> {
    let mut differences = Vec::with_capacity(plans.len());
    let mut refused = Vec::new();
    let unknown = Note::default();
    for (place, (plan, existing)) in plans.iter_mut().zip(existing).enumerate() {
        let note = notes.get(&plan.target).unwrap_or(&unknown);
        let mut columns = existing
            .as_ref()
            .map_or_else(Vec::new, |existing| settle(plan, existing));
        let may_fill = |trigger: &Trigger| trigger.place == place && trigger.alters_rows();
        if triggers.iter().any(may_fill) {
            // The server tells which columns they leave without a value.
            columns.retain(|column| column.wanted.is_some() || note.knows(&column.name));
        }
        plan.note = note.after(plan, existing.as_ref());
        let target = || plan.target.clone();
        let unpromised = columns.iter().filter(|column| !is_promised(column, note)).cloned();
        let unpromised: Vec<ColumnDifference> = unpromised.collect();
        if !unpromised.is_empty() {
            refused.push(TableDifference {
                target: target(),
                columns: unpromised,
            });
        }
        differences.push(TableDifference {
            target: target(),
            columns,
        });
    }
    if schema_change == SchemaChange::Freeze && differences.iter().any(|table| !table.columns.is_empty()) {
        let tables = differences.into_iter().filter(|table| !table.columns.is_empty());
        return Err(Error::Columns {
            tables: tables.collect(),
        });
    }
    if !refused.is_empty() {
        return Err(Error::Unfit { tables: refused });
    }
    let altered = differences
        .iter()
        .zip(existing)
        .filter(|(table, _)| !table.columns.is_empty());
    rights::check_owner(connection, altered.filter_map(|(_, existing)| existing.as_ref())).await?;
    in_the_way::refuse(connection, existing, &differences).await?;
    for (plan, existing) in plans.iter().zip(existing) {
        announce_text(plan, existing.as_ref());
    }
    let oids: Vec<u32> = existing.iter().flatten().map(|table| table.oid).collect();
    let catalog = if differences.iter().all(|table| table.columns.is_empty()) {
        TypeCatalog::default()
    } else {
        TypeCatalog::of_relations(connection, &oids).await?
    };
    Ok(differences
        .iter()
        .zip(existing)
        .map(|(table, existing)| {
            let alterations = table.columns.iter().map(|difference| {
                tracing::warn!("the target's {}: {difference}: it is altered", table.target);
                let has = existing.as_ref().and_then(|existing| existing.column(&difference.name));
                match (has, difference.wanted.as_deref()) {
                    (Some(has), Some(wanted)) if is_text(wanted) => {
                        let quoted = quote_identifier(&has.name);
                        let text = catalog.as_text(&quoted, has.type_oid);
                        format!("alter column {quoted} type {wanted} using {text}")
                    }
                    _ => difference.alteration(),
                }
            });
            alterations.collect()
        })
        .collect())
}

/// What differs so that the target's table has to change; the plan learns the types that its columns
/// then have there.
///
/// Names and types decide: the order of columns does not matter, and whether they may be NULL, and
/// what the key is, are the target's own business once the table is there. So are further columns,
/// as long as a row can do without a value for them.
pub(crate) fn settle(plan: &mut TablePlan, existing: &Existing) -> Vec<ColumnDifference> {
    let mut differences = Vec::new();
    for column in &mut plan.columns {
        let has = existing.column(&column.name);
        if let Some(has) = has {
            // The values of a domain are its base type's; those of a generated column are computed there.
            let holds_base = column
                .base_type
                .as_ref()
                .is_some_and(|base| holds(&has.type_name, base));
            column.target_type = match holds_base || has.generated {
                true => has.type_name.clone(),
                false => common(&has.type_name, &column.type_name),
            };
        }
        let has = has.map(|has| has.type_name.clone());
        if has.as_ref() != Some(&column.target_type) {
            differences.push(ColumnDifference {
                name: column.name.clone(),
                of_lake: Some(column.type_name.clone()),
                wanted: Some(column.target_type.clone()),
                has,
            });
        }
    }
    for has in &existing.columns {
        let is_wanted = plan.columns.iter().any(|column| column.name == has.name);
        if !is_wanted && has.not_null && !has.has_default && !has.generated && !has.identity {
            differences.push(ColumnDifference {
                name: has.name.clone(),
                of_lake: None,
                wanted: None,
                has: Some(has.type_name.clone()),
            });
        }
    }
    differences
}

/// Whether a load mends the difference by itself: it follows the lake where a load has made the column
/// what it is, and gives what is somebody else's no more than a wider type.
fn is_promised(difference: &ColumnDifference, note: &Note) -> bool {
    let name = &difference.name;
    match (&difference.wanted, &difference.has) {
        (Some(wanted), Some(has)) => note.is_ours(name, has) || is_wider(wanted, has),
        (Some(_), None) => true,
        (None, _) => note.knows(name),
    }
}

/// Says once, when the column comes into being, that its type is not the source's.
fn announce_text(plan: &TablePlan, existing: Option<&Existing>) {
    for column in &plan.columns {
        let is_new = existing.is_none_or(|existing| existing.column(&column.name).is_none());
        if let (Some(missing), true) = (&column.missing_type, is_new) {
            tracing::warn!(
                "{}, column {}: the target has no type {missing}, the column is {} there",
                plan.label(),
                SqlName(&column.name),
                column.target_type
            );
        }
    }
}

/// The statement that alters a table, if anything is to be altered.
pub(crate) fn alter_table(plan: &TablePlan, existing: &Existing, alterations: &[String]) -> Option<String> {
    let table = existing.itself(&plan.target);
    (!alterations.is_empty()).then(|| format!("alter table {table} {}", alterations.join(", ")))
}
