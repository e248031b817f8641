//! The target's columns beside the lake's: what fits as it is, and what has to be altered.
//!
//! A column of the target keeps its type where that holds every value of the lake's column, and gets
//! a type that holds both where it does not: text, in the end. Nothing that it holds is lost by it,
//! and an earlier day can be loaded again.

use std::collections::BTreeSet;

use lake_postgres::{Connection, TypeCatalog, postgres_type_for, quote_identifier};
use lake_storage::{SchemaChange, SqlName};

use crate::declared_type::{common, is_text};
use crate::existing::Existing;
use crate::plan::TablePlan;
use crate::{ColumnDifference, Error, Result, TableDifference};

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

/// Settles the type that each column has in the target, and returns what has to be altered for it,
/// table by table.
///
/// # Errors
/// [`Error::Columns`] with every difference, where nothing may change.
pub(crate) async fn evolve(
    connection: &Connection,
    plans: &mut [TablePlan],
    existing: &[Option<Existing>],
    schema_change: SchemaChange,
) -> Result<Vec<Alterations>> {
    let differences: Vec<TableDifference> = plans
        .iter_mut()
        .zip(existing)
        .map(|(plan, existing)| TableDifference {
            target: plan.target.clone(),
            columns: existing
                .as_ref()
                .map_or_else(Vec::new, |existing| settle(plan, existing)),
        })
        .collect();
    if schema_change == SchemaChange::Freeze && differences.iter().any(|table| !table.columns.is_empty()) {
        let tables = differences.into_iter().filter(|table| !table.columns.is_empty());
        return Err(Error::Columns {
            tables: tables.collect(),
        });
    }
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
        let has = existing.column(&column.name).map(|has| has.type_name.clone());
        if let Some(has) = &has {
            column.target_type = common(has, &column.type_name);
        }
        if has.as_ref() != Some(&column.target_type) {
            differences.push(ColumnDifference {
                name: column.name.clone(),
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
                wanted: None,
                has: Some(has.type_name.clone()),
            });
        }
    }
    differences
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
