//! Columns with a value that the lake can't hold, and the lines of config that carry them otherwise.

use std::collections::BTreeMap;

use lake_postgres::Error as PgError;
use lake_storage::{Relation, yaml};

use super::relation::Table;
use super::{ColumnAs, PostgresSource, TablePattern, TableSettings};
use crate::{Error, Result};

/// A column with a value that can't be taken.
pub(super) struct Refused {
    /// The table's index.
    pub(super) table: usize,
    /// The piece's place among the table's.
    pub(super) piece: usize,
    /// Which column and value: [`PgError::Value`], [`PgError::ArrayShape`] or [`PgError::NotText`].
    pub(super) error: PgError,
}

impl Refused {
    /// Whether it is a list's, which may go as text without being asked for.
    pub(super) fn is_shape(&self) -> bool {
        matches!(self.error, PgError::ArrayShape { .. })
    }

    pub(super) fn describe(&self, tables: &[Table]) -> String {
        format!("table {}, {}", tables[self.table].relation, self.error)
    }

    /// As the lake calls it.
    fn column(&self) -> &str {
        match &self.error {
            PgError::Value { column, .. } | PgError::ArrayShape { column, .. } | PgError::NotText { column, .. } => {
                column
            }
            _ => "",
        }
    }
}

/// Carries the lists as text that hold arrays of other shapes, and returns the indexes of their tables.
///
/// # Errors
/// [`Error::Values`] if anything else was refused.
pub(super) fn settle(mut refused: Vec<Refused>, source: &PostgresSource, tables: &mut [Table]) -> Result<Vec<usize>> {
    // A column once, with the first of its values, whoever read which piece when.
    refused.sort_by_key(|refused| (refused.table, refused.piece));
    let mut columns: BTreeMap<(usize, String), Refused> = BTreeMap::new();
    for refused in refused {
        let key = (refused.table, refused.column().to_owned());
        columns.entry(key).or_insert(refused);
    }
    let (shapes, values): (Vec<Refused>, Vec<Refused>) = columns.into_values().partition(Refused::is_shape);
    if !values.is_empty() {
        return Err(Error::Values {
            refused: values.iter().map(|refused| refused.describe(tables)).collect(),
            source_name: source.name.clone(),
            config: config(source, tables, &values),
        });
    }
    for refused in &shapes {
        let table = &mut tables[refused.table];
        tracing::warn!(
            "table {}, {}: the column is carried as text from now on, as the server prints arrays",
            table.relation,
            refused.error
        );
        if let Ok(column) = table.schema.index_of(refused.column()) {
            table.carry_list_as_text(column);
        }
    }
    let mut again: Vec<usize> = shapes.iter().map(|refused| refused.table).collect();
    again.dedup();
    Ok(again)
}

/// The source's `tables`, with what the refused columns need.
fn config(source: &PostgresSource, tables: &[Table], refused: &[Refused]) -> String {
    let mut entries: Vec<(String, TableSettings)> = Vec::new();
    if source.tables.iter().all(TablePattern::excludes) {
        entries.push(("*.*".into(), TableSettings::default()));
    }
    for pattern in &source.tables {
        let settings = source.settings.iter().find(|(of, _)| of == pattern);
        let settings = settings.map(|(_, settings)| settings.clone()).unwrap_or_default();
        entries.push((pattern.to_string(), settings));
    }
    for refused in refused {
        let relation = &tables[refused.table].relation;
        let settings = settings_of(relation, source, &mut entries);
        let column = refused.column().to_owned();
        match refused.error {
            PgError::NotText { .. } => {
                let renamed = settings.rename.iter().find(|(_, name)| **name == column);
                let in_source = renamed.map_or(column.clone(), |(name, _)| name.clone());
                settings.rename.remove(&in_source);
                settings.exclude.push(in_source);
            }
            _ => {
                settings.columns.insert(column, ColumnAs::Text);
            }
        }
    }
    let lines = entries.iter().map(|(pattern, settings)| {
        let settings = flow(settings);
        let space = if settings.is_empty() { "" } else { " " };
        format!("      {}:{space}{settings}", yaml(pattern))
    });
    format!("    tables:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// The entry that speaks of this table alone; a new one has the settings that hold for it now.
fn settings_of<'a>(
    relation: &Relation,
    source: &PostgresSource,
    entries: &'a mut Vec<(String, TableSettings)>,
) -> &'a mut TableSettings {
    let is_its_own = |text: &str| {
        text.parse::<TablePattern>()
            .is_ok_and(|pattern| pattern.is_exact() && !pattern.excludes() && pattern.matches(relation))
    };
    let place = entries.iter().position(|(pattern, _)| is_its_own(pattern));
    let place = place.unwrap_or_else(|| {
        let now = TablePattern::find(&source.settings, relation).cloned();
        entries.push((relation.to_string(), now.unwrap_or_default()));
        entries.len() - 1
    });
    &mut entries[place].1
}

/// A table's settings as YAML on a line; nothing if there are none.
fn flow(settings: &TableSettings) -> String {
    let braced = |parts: Vec<String>| format!("{{{}}}", parts.join(", "));
    let mut parts = Vec::new();
    if let Some(name) = &settings.name {
        parts.push(format!("name: {}", yaml(name)));
    }
    if !settings.columns.is_empty() {
        let columns = settings.columns.iter().map(|(column, carried_as)| {
            let carried_as = match carried_as {
                ColumnAs::Text => "text".to_owned(),
                ColumnAs::Decimal { precision, scale } => yaml(&format!("decimal({precision},{scale})")),
            };
            format!("{}: {carried_as}", yaml(column))
        });
        parts.push(format!("columns: {}", braced(columns.collect())));
    }
    if !settings.exclude.is_empty() {
        let excluded = settings.exclude.iter().map(|column| yaml(&format!("-{column}")));
        parts.push(format!("select: [{}]", excluded.collect::<Vec<_>>().join(", ")));
    }
    if !settings.rename.is_empty() {
        let renamed = settings
            .rename
            .iter()
            .map(|(from, to)| format!("{}: {}", yaml(from), yaml(to)));
        parts.push(format!("rename: {}", braced(renamed.collect())));
    }
    match parts.is_empty() {
        true => String::new(),
        false => braced(parts),
    }
}
