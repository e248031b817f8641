//! Columns that have another name in the lake than in their source get it back where the target mirrors the
//! source's schemas and its table has the column so. A load that creates the table gives it the lake's names.

use std::collections::BTreeSet;

use lake_storage::SqlName;

use crate::SchemaRule;
use crate::existing::Existing;
use crate::loads::{Note, Notes};
use crate::plan::{ColumnPlan, TablePlan};

/// Gives the columns the names that they are to have in the target.
pub(crate) fn name_back(plans: &mut [TablePlan], existing: &[Option<Existing>], notes: &Notes, rule: &SchemaRule) {
    if *rule != SchemaRule::PerSource {
        return;
    }
    let unknown = Note::default();
    for (plan, existing) in plans.iter_mut().zip(existing) {
        let note = notes.get(&plan.target).unwrap_or(&unknown);
        let names = plan.columns.iter().map(|column| name(column, existing.as_ref(), note));
        let names: Vec<String> = names.collect();
        // Where a table has the names of the lake, one of these may be another column's name in the source.
        if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
            for (column, name) in plan.columns.iter_mut().zip(names) {
                column.name = name;
            }
        }
    }
}

fn name(column: &ColumnPlan, existing: Option<&Existing>, note: &Note) -> String {
    let in_lake = &column.name_in_lake;
    let in_source = column.name_in_source.as_ref().unwrap_or(in_lake);
    let has = |name: &str| existing.is_some_and(|existing| existing.column(name).is_some());
    // Readers of a column that loads have filled find it filled.
    let is_filled = has(in_lake) && note.knows(in_lake) && !note.knows(in_source);
    match has(in_source) && !is_filled {
        true => in_source.clone(),
        false => in_lake.clone(),
    }
}

/// The target's own columns: those that nothing of the lake fills, and that the server does not compute.
pub(crate) fn own_columns<'a>(plan: &TablePlan, existing: &'a Existing) -> Vec<&'a str> {
    let is_filled = |name: &String| plan.columns.iter().any(|column| column.name == *name);
    let own = existing
        .columns
        .iter()
        .filter(|c| !c.generated && !c.identity && !is_filled(&c.name));
    own.map(|column| column.name.as_str()).collect()
}

/// Says which columns of a table keep their defaults in every row: once, when a load fills it first; and each
/// time where one could be meant for a column of the lake.
pub(crate) fn announce_own_columns(plan: &TablePlan, existing: &Existing, note: Option<&Note>) {
    let target = &plan.target;
    let own = own_columns(plan, existing);
    for column in own.iter().filter(|name| !note.is_some_and(|note| note.knows(name))) {
        let named_so = |c: &&ColumnPlan| c.name_in_source.as_deref() == Some(column);
        if let Some(meant) = plan.columns.iter().find(named_so) {
            tracing::warn!(
                "the target's {target}: column {} keeps its default in every row, for the source's column of that name is \
                 {} in the lake, and here: drop one of the two",
                SqlName(column),
                SqlName(&meant.name),
            );
        }
    }
    if note.is_none() && !own.is_empty() {
        let names: Vec<String> = own.iter().map(|name| SqlName(name).to_string()).collect();
        tracing::warn!(
            "the target's {target} has columns that the lake does not: {}; they keep their defaults in every row",
            names.join(", ")
        );
    }
}
