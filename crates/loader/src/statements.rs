//! The statements that change a table of the target.

use lake_postgres::quote_identifier;

use crate::TargetTable;
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

/// Makes a staging table the target's, and autovacuum's: earlier it would only hold the load up.
pub(crate) fn renamed(staging: &TargetTable, target: &TargetTable) -> String {
    let mut moved = staging.clone();
    let mut statements = String::new();
    if staging.schema != target.schema {
        let schema = quote_identifier(&target.schema);
        statements += &format!("alter table {} set schema {schema};", staging.quoted());
        moved.schema.clone_from(&target.schema);
    }
    let name = quote_identifier(&target.name);
    let moved = moved.quoted();
    statements + &format!("alter table {moved} reset (autovacuum_enabled); alter table {moved} rename to {name}")
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

/// A table whose rows come from its staging table.
pub(crate) struct Filled<'a> {
    pub(crate) plan: &'a TablePlan,
    pub(crate) existing: Option<&'a Existing>,
    pub(crate) staging: &'a Staging,
}

impl Filled<'_> {
    fn insert(&self) -> String {
        let inserted = inserted_columns(self.plan, self.existing);
        let names: Vec<String> = inserted.iter().map(|(_, name)| quote_identifier(name)).collect();
        let expressions: Vec<&str> = inserted
            .iter()
            .map(|(place, _)| self.staging.columns[*place].expression.as_str())
            .collect();
        let list = if names.is_empty() {
            String::new()
        } else {
            format!(" ({})", names.join(", "))
        };
        let has_identity = self
            .existing
            .is_some_and(|table| table.columns.iter().any(|column| column.identity));
        let overriding = if has_identity { " overriding system value" } else { "" };
        format!(
            "insert into {}{list}{overriding} select {} from {}",
            self.plan.target.quoted(),
            expressions.join(", "),
            self.staging.table.quoted()
        )
    }

    fn delete(&self) -> Option<String> {
        self.existing.map(|table| delete(self.plan, table))
    }
}

fn delete(plan: &TablePlan, existing: &Existing) -> String {
    format!("delete from {}", existing.itself(&plan.target))
}

/// Deletes the rows of tables, in one statement: foreign keys between them are checked as it ends.
pub(crate) fn delete_all(tables: &[(&TablePlan, &Existing)]) -> String {
    let mut deletes: Vec<String> = tables.iter().map(|(plan, existing)| delete(plan, existing)).collect();
    let last = deletes.pop().unwrap_or_default();
    let others = deletes.iter().enumerate();
    let others: Vec<String> = others.map(|(i, delete)| format!("gone_{i} as ({delete})")).collect();
    match others.is_empty() {
        true => last,
        false => format!("with {} {last}", others.join(", ")),
    }
}

/// Brings the rows from staging into the target, and with `at_once` deletes the old ones before.
pub(crate) fn insert(filled: &Filled<'_>, at_once: bool) -> String {
    let insert = filled.insert();
    match filled.delete().filter(|_| at_once) {
        // The condition is never false; counting the deleted rows first makes the deletion come first.
        Some(delete) => format!(
            "with gone as ({delete} returning 1) {insert} where (select pg_catalog.count(*) from gone) operator(pg_catalog.>=) 0"
        ),
        None => insert,
    }
}

/// The same for tables that refer to each other, in one statement that returns the number of rows of
/// each: what [`insert`] tells without keeping a note of every row.
pub(crate) fn insert_all(tables: &[Filled<'_>], at_once: bool) -> String {
    let mut parts = Vec::new();
    let mut counts = Vec::new();
    for (i, filled) in tables.iter().enumerate() {
        let condition = match filled.delete().filter(|_| at_once) {
            Some(delete) => {
                parts.push(format!("gone_{i} as ({delete} returning 1)"));
                format!(" where (select pg_catalog.count(*) from gone_{i}) operator(pg_catalog.>=) 0")
            }
            None => String::new(),
        };
        parts.push(format!("new_{i} as ({}{condition} returning 1)", filled.insert()));
        counts.push(format!("(select pg_catalog.count(*) from new_{i})"));
    }
    format!("with {} select {}", parts.join(", "), counts.join(", "))
}
