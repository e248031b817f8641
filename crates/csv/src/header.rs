//! The columns' names: the header's own, by which settings speak of them, and those in the lake.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::error::{CsvError, key_text, nearest, shortened};
use crate::records::Records;
use crate::settings::CsvSettings;

/// What the first line calls the columns.
pub(crate) struct Header {
    path: PathBuf,
    pub(crate) line: u64,
    pub(crate) names: Vec<String>,
}

/// A name as Delta can hold it: what it can't becomes `_`, and at the ends goes.
pub(crate) fn by_rule(name: &str) -> String {
    let is_refused =
        |c: char| matches!(c, ',' | ';' | '{' | '}' | '(' | ')' | '=') || c.is_whitespace() || c.is_control();
    let parts: Vec<&str> = name.split(is_refused).filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

impl Header {
    /// The fields of the current record as names, or `column_1` … `column_n` for a file without a header.
    pub(crate) fn read(records: &Records, settings: &CsvSettings) -> Self {
        let names = if settings.has_header() {
            records.fields().map(|field| field.text.to_owned()).collect()
        } else {
            (1..=records.field_count()).map(numbered).collect()
        };
        Self {
            path: records.path().to_owned(),
            line: records.line(),
            names,
        }
    }

    /// The names in the lake, by `rename` or by rule: none empty, and no two alike, be it but for case.
    pub(crate) fn renamed(&self, settings: &CsvSettings) -> Result<Vec<String>, CsvError> {
        let mut new_names: Vec<Option<&String>> = vec![None; self.names.len()];
        for (column, new_name) in &settings.rename {
            let position = self.position("rename", column)?;
            if let Some(other) = new_names[position].replace(new_name) {
                let number = position + 1;
                return Err(self.settings(format!(
                    "`rename` calls column {number} both {other:?} and {new_name:?}"
                )));
            }
            if new_name.is_empty() {
                return Err(self.settings(format!("`rename` gives column {column:?} an empty name")));
            }
        }
        let shown = |position: usize| shortened(new_names[position].unwrap_or(&self.names[position]));
        let names: Vec<String> = new_names
            .iter()
            .zip(&self.names)
            .map(|(new_name, name)| new_name.cloned().unwrap_or_else(|| by_rule(name)))
            .collect();
        let mut numbers = HashMap::with_capacity(names.len());
        for (number, name) in (1..).zip(&names) {
            if name.is_empty() {
                return Err(CsvError::EmptyName {
                    path: self.path.clone(),
                    line: self.line,
                    position: number,
                });
            }
            if let Some(first) = numbers.insert(name.to_lowercase(), number) {
                return Err(CsvError::DuplicateName {
                    path: self.path.clone(),
                    line: self.line,
                    first,
                    first_name: shown(first - 1),
                    second: number,
                    second_name: shown(number - 1),
                    key: key_text(&self.key(number - 1)),
                });
            }
        }
        Ok(names)
    }

    pub(crate) fn columns(&self) -> usize {
        self.names.len()
    }

    /// The column that `setting` calls `name`: by the header's name, or as `column_n` by its number.
    pub(crate) fn position(&self, setting: &'static str, name: &str) -> Result<usize, CsvError> {
        let mut called_so = (0..self.names.len()).filter(|position| self.names[*position] == name);
        match (called_so.next(), called_so.next()) {
            (Some(position), None) => Ok(position),
            (Some(first), Some(second)) => Err(CsvError::AmbiguousColumn {
                path: self.path.clone(),
                setting,
                column: shortened(name),
                first: first + 1,
                second: second + 1,
            }),
            (None, _) => (0..self.names.len())
                .find(|position| numbered(position + 1) == name)
                .ok_or_else(|| CsvError::UnknownColumn {
                    path: self.path.clone(),
                    setting,
                    column: shortened(name),
                    hint: match nearest(name, &self.names) {
                        Some(near) => format!("; did you mean {:?}?", shortened(near)),
                        None => format!(": it has {}", shortened(&self.names.join(", "))),
                    },
                }),
        }
    }

    /// What a setting calls the column: the header's name if no other column has it.
    pub(crate) fn key(&self, position: usize) -> String {
        let name = &self.names[position];
        let is_its_own = self.names.iter().filter(|other| *other == name).count() == 1;
        if is_its_own && !name.is_empty() {
            name.clone()
        } else {
            numbered(position + 1)
        }
    }

    fn settings(&self, reason: String) -> CsvError {
        CsvError::Settings {
            path: self.path.clone(),
            reason,
        }
    }
}

fn numbered(number: usize) -> String {
    format!("column_{number}")
}
