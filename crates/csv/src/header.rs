//! The columns' names.

use std::collections::HashMap;

use crate::error::{CsvError, shortened};
use crate::records::Records;

/// The fields of the current record as names: none empty, and no two alike, be it but for case.
pub(crate) fn read_names(records: &Records) -> Result<Vec<String>, CsvError> {
    let names: Vec<String> = records.fields().map(|field| field.text.to_owned()).collect();
    let mut positions = HashMap::with_capacity(names.len());
    for (position, name) in (1..).zip(&names) {
        if name.is_empty() {
            return Err(CsvError::EmptyName {
                path: records.path().to_owned(),
                line: records.line(),
                position,
            });
        }
        if let Some(first) = positions.insert(name.to_lowercase(), position) {
            return Err(CsvError::DuplicateName {
                path: records.path().to_owned(),
                line: records.line(),
                first,
                first_name: shortened(&names[first - 1]),
                second: position,
                second_name: shortened(name),
            });
        }
    }
    Ok(names)
}

/// The names of columns without a header: `column_1` … `column_n`.
pub(crate) fn numbered_names(columns: usize) -> Vec<String> {
    (1..=columns).map(|position| format!("column_{position}")).collect()
}
