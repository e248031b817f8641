//! The blanks that pad values of `char(n)`: the lake holds none, days from before that hold all.
//!
//! In Postgres they mean nothing where values are compared, measured, cast or joined to others, and come back with
//! the type; with them `= 'FRANCE'` would find nothing, for every reader of the files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

/// The names of the columns of `char(n)`, of domains over it, and of arrays of it.
pub(crate) fn columns(schema: &Schema) -> impl Iterator<Item = String> {
    let padded = schema.fields().iter().filter(|field| is_padded(field));
    padded.map(|field| field.name().clone())
}

fn is_padded(field: &Field) -> bool {
    /// As `lake_postgres::METADATA_TYPE` and `lake_postgres::METADATA_BASE_TYPE`.
    const DECLARED: [&str; 2] = ["postgres.base_type", "postgres.type"];
    let mut declared = DECLARED
        .iter()
        .find_map(|key| field.metadata().get(*key))
        .map(String::as_str);
    if let DataType::List(_) = field.data_type() {
        declared = declared.and_then(|declared| declared.strip_suffix("[]"));
    }
    let texts = matches!(field.data_type(), DataType::Utf8)
        || matches!(field.data_type(), DataType::List(item) if *item.data_type() == DataType::Utf8);
    texts && declared.and_then(length).is_some()
}

/// The n of `character(n)`, as `format_type` prints it.
pub fn length(declared: &str) -> Option<usize> {
    declared.strip_prefix("character(")?.strip_suffix(')')?.parse().ok()
}

/// The batch, with the values of these columns without the blanks at their ends.
pub(crate) fn trim(batch: RecordBatch, padded: &[String]) -> RecordBatch {
    if padded.is_empty() {
        return batch;
    }
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, array)| match padded.contains(field.name()) {
        true => trimmed(array),
        false => array.clone(),
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap_or(batch) // they are of the same types and lengths
}

/// Texts, or lists of them, without the blanks at their ends.
pub fn trimmed(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8 => {
            let values = array.as_string::<i32>().iter();
            Arc::new(StringArray::from_iter(
                values.map(|text| Some(text?.trim_end_matches(' '))),
            ))
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let items = trimmed(list.values());
            let offsets = list.offsets().clone();
            Arc::new(ListArray::new(item.clone(), offsets, items, list.nulls().cloned()))
        }
        _ => array.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_length_is_padded() {
        let list = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
        let cases = [
            ("character(5)", DataType::Utf8, true),
            ("character(5)[]", list.clone(), true),
            ("character(5)[]", DataType::Utf8, false),
            ("character varying(5)", DataType::Utf8, false),
            ("bpchar", DataType::Utf8, false),
            ("\"char\"", DataType::Utf8, false),
            ("text[]", list, false),
        ];
        for (declared, data_type, expected) in cases {
            let metadata = [("postgres.type".to_owned(), declared.to_owned())].into();
            let field = Field::new("c", data_type, true).with_metadata(metadata);
            let found: Vec<String> = columns(&Schema::new(vec![field])).collect();
            assert_eq!(!found.is_empty(), expected, "{declared}");
        }
    }
}
