//! What the tables are called in the lake.
//!
//! A name depends on the config and on what the lake has, never on which other tables the database
//! has today: a table that goes would else give another one a new name.

use std::collections::{BTreeSet, HashMap};

use lake_storage::{Lake, Relation, RunDate, SqlName, TableEntry, encode_segment, yaml};

use super::list::Listed;
use super::{PostgresSource, TablePattern};
use crate::error::nearest;
use crate::{Error, Result};

/// The names that relations have in the lake; its days are read from the latest on, as far as they are
/// needed.
#[derive(Clone, Debug)]
pub(super) struct Given {
    lake: Lake,
    source: String,
    names: HashMap<(String, String), String>,
    /// Days that are not read yet, in order.
    days: BTreeSet<RunDate>,
    /// Tables that the days read so far have.
    seen: BTreeSet<String>,
    /// The lake's tables: once all are seen, there are no other names to be found.
    tables: BTreeSet<String>,
}

impl Given {
    /// Finds out what there is to be read.
    pub(super) fn of(lake: &Lake, source: &str) -> Result<Self> {
        Ok(Self {
            lake: lake.clone(),
            source: source.into(),
            names: HashMap::new(),
            days: lake.all_days(source)?,
            seen: BTreeSet::new(),
            tables: lake.tables(source)?,
        })
    }

    /// Reads until the names of all these are known, or all that the lake has are.
    pub(super) fn look_for(&mut self, listed: &[Listed]) -> Result<()> {
        while listed.iter().any(|listed| self.name(&listed.relation).is_none())
            && !self.tables.is_subset(&self.seen)
            && let Some(date) = self.days.pop_last()
        {
            match self.lake.manifest_or_partial(&self.source, date) {
                Ok(manifest) => self.learn(manifest.into_iter().flat_map(|manifest| manifest.tables)),
                Err(error) => {
                    tracing::warn!("the names that tables have in the lake are not read from the day {date}: {error}");
                }
            }
        }
        Ok(())
    }

    /// A later day's name counts, and its table's.
    fn learn(&mut self, tables: impl Iterator<Item = (String, TableEntry)>) {
        for (name, entry) in tables {
            if self.seen.insert(name.clone())
                && let Some(relation) = entry.relation
            {
                self.names.entry((relation.schema, relation.name)).or_insert(name);
            }
        }
    }

    fn name(&self, relation: &Relation) -> Option<&String> {
        self.names.get(&(relation.schema.clone(), relation.name.clone()))
    }
}

/// The tables' names in the lake: as the config says, else as the lake has it, else plain for the
/// schema `public` or the only one that the patterns name, else qualified.
pub(super) fn name_all(listed: &[Listed], source: &PostgresSource, given: &Given) -> Vec<String> {
    let only_schema = only_schema(&source.tables);
    let name = |Listed { relation, .. }: &Listed| {
        let set = TablePattern::find(&source.settings, relation).and_then(|settings| settings.name.clone());
        set.or_else(|| given.name(relation).cloned()).unwrap_or_else(|| {
            match relation.schema == "public" || only_schema == Some(&relation.schema) {
                true => relation.name.clone(),
                false => format!("{}__{}", relation.schema, relation.name),
            }
        })
    };
    listed.iter().map(name).collect()
}

/// The schema that all patterns name, if it is one.
fn only_schema(patterns: &[TablePattern]) -> Option<&str> {
    let mut schemas = patterns
        .iter()
        .filter(|p| !p.excludes())
        .map(TablePattern::exact_schema);
    let first = schemas.next()??;
    schemas.all(|schema| schema == Some(first)).then_some(first)
}

/// Keeps the tables that the request asks for, by their name in the lake or as SQL writes them; in
/// quotes the latter comes first.
///
/// # Errors
/// [`Error::NoMatch`]; [`Error::Name`] if one of them has another table's name, or one that no folder
/// can bear.
pub(super) fn requested(
    listed: Vec<Listed>,
    names: Vec<String>,
    given: &Given,
    wanted_tables: &[String],
) -> Result<Vec<(String, Listed)>> {
    let mut wanted = vec![wanted_tables.is_empty(); listed.len()];
    for text in wanted_tables {
        let pattern = text.parse::<TablePattern>().ok();
        let by_pattern = |i: usize| pattern.as_ref().is_some_and(|p| p.matches(&listed[i].relation));
        let by_name = |i: usize| names[i] == *text;
        let sql_first = text.contains('"') && (0..listed.len()).any(by_pattern);
        let mut found = false;
        for (i, wanted) in wanted.iter_mut().enumerate() {
            if by_pattern(i) || (!sql_first && by_name(i)) {
                *wanted = true;
                found = true;
            }
        }
        if !found {
            let relations: Vec<String> = listed.iter().map(|listed| listed.relation.to_string()).collect();
            return Err(Error::NoMatch {
                what: text.clone(),
                nearest: nearest(text, names.iter().chain(&relations).map(String::as_str)),
            });
        }
    }
    let mut tables: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        tables.entry(name).or_default().push(i);
    }
    for i in (0..names.len()).filter(|i| wanted[*i]) {
        // Of two tables of one name, the one that has it in the lake keeps it.
        if given.name(&listed[i].relation) == Some(&names[i]) {
            continue;
        }
        let (table, name) = (&listed[i].relation, &names[i]);
        let reason = match tables[name.as_str()].iter().find(|other| **other != i) {
            Some(&other) if given.name(&listed[other].relation) == Some(name) => {
                format!("{} has this name", listed[other].relation)
            }
            Some(&other) => format!("{} would have this name too", listed[other].relation),
            None if encode_segment(name).is_err() => "its folder's name would be longer than 255 bytes".into(),
            None => continue,
        };
        return Err(Error::Name {
            table: table.to_string(),
            name: SqlName(name).to_string(),
            reason,
            mend: format!(
                "{}: {{name: {}}}",
                yaml(&table.to_string()),
                yaml(&free_name(table, &tables))
            ),
        });
    }
    Ok(names
        .into_iter()
        .zip(listed)
        .zip(wanted)
        .filter_map(|(table, wanted)| wanted.then_some(table))
        .collect())
}

/// A name that no other table has, and that a folder can bear: that of the table alone is 63 bytes at
/// the most.
fn free_name(relation: &Relation, taken: &HashMap<&str, Vec<usize>>) -> String {
    let qualified = format!("{}__{}", relation.schema, relation.name);
    let numbered = (2..).map(|number| format!("{}_{number}", relation.name));
    [relation.name.clone(), qualified]
        .into_iter()
        .chain(numbered)
        .find(|name| !taken.contains_key(name.as_str()) && encode_segment(name).is_ok())
        .unwrap_or_default() // the numbers never end
}
