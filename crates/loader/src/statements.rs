//! The statements that change a table of the target.

use lake_postgres::quote_identifier;

use crate::existing::Existing;
use crate::plan::TablePlan;
use crate::staging::Staging;

/// Creates a table with its NOT NULLs; its key comes when the rows are in, which is faster.
pub(crate) fn create_table(plan: &TablePlan) -> String {
    let columns: Vec<String> = plan
        .columns
        .iter()
        .map(|column| {
            let not_null = if column.not_null { " not null" } else { "" };
            format!("{} {}{not_null}", quote_identifier(&column.name), column.target_type)
        })
        .collect();
    format!("create table {} ({})", plan.target.quoted(), columns.join(", "))
}

/// The columns that take values, by their places in the plan: the target computes generated ones.
pub(crate) fn inserted_columns<'a>(plan: &'a TablePlan, existing: Option<&Existing>) -> Vec<(usize, &'a str)> {
    let is_generated = |name: &str| {
        existing
            .and_then(|t| t.column(name))
            .is_some_and(|column| column.generated)
    };
    plan.columns
        .iter()
        .enumerate()
        .map(|(place, column)| (place, column.name.as_str()))
        .filter(|(_, name)| !is_generated(name))
        .collect()
}

/// Brings the rows from staging into the target, and with `at_once` deletes the old ones before.
pub(crate) fn insert(plan: &TablePlan, existing: Option<&Existing>, staging: &Staging, at_once: bool) -> String {
    let inserted = inserted_columns(plan, existing);
    let names: Vec<String> = inserted.iter().map(|(_, name)| quote_identifier(name)).collect();
    let expressions: Vec<&str> = inserted
        .iter()
        .map(|(place, _)| staging.columns[*place].expression.as_str())
        .collect();
    let list = if names.is_empty() {
        String::new()
    } else {
        format!(" ({})", names.join(", "))
    };
    let target = plan.target.quoted();
    let has_identity = existing.is_some_and(|table| table.columns.iter().any(|column| column.identity));
    let overriding = if has_identity { " overriding system value" } else { "" };
    // The condition is never false; counting the deleted rows first makes the deletion come first.
    let (with, condition) = match existing.filter(|_| at_once) {
        Some(table) => (
            format!("with gone as (delete from {} returning 1) ", table.itself(&plan.target)),
            " where (select count(*) from gone) >= 0",
        ),
        None => (String::new(), ""),
    };
    format!(
        "{with}insert into {target}{list}{overriding} select {} from {}{condition}",
        expressions.join(", "),
        staging.table.quoted()
    )
}
