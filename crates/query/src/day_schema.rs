//! The columns of a table over several days.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use lake_storage::{RunDate, TableEntry, common_type};

use crate::{Error, Result};

/// The columns of all days: those of the first day, then each new one in the order of its coming; a
/// day that lacks a column has NULLs there.
///
/// A column keeps the metadata of the latest day, which is what its table looks like now.
///
/// # Errors
/// [`Error::ColumnType`] where no type holds a column's values of all days exactly.
pub(crate) fn over_days(table: &str, days: &BTreeMap<RunDate, &TableEntry>) -> Result<SchemaRef> {
    let mut columns: Vec<Column> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (count, (&date, entry)) in days.iter().enumerate() {
        let schema = entry.arrow_schema(table)?;
        for field in schema.fields() {
            match places.get(field.name()).map(|&place| &mut columns[place]) {
                None => {
                    places.insert(field.name().clone(), columns.len());
                    let field = if count == 0 { field.clone() } else { nullable(field) };
                    columns.push(Column { field, days: 1, date });
                }
                Some(column) => column.extend(table, field, date)?,
            }
        }
    }
    let fields = columns.into_iter().map(|column| {
        if column.days == days.len() {
            column.field
        } else {
            nullable(&column.field)
        }
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

struct Column {
    field: FieldRef,
    /// Days that have it.
    days: usize,
    /// The last of these.
    date: RunDate,
}

impl Column {
    fn extend(&mut self, table: &str, now: &FieldRef, date: RunDate) -> Result<()> {
        let Some(data_type) = common_type(self.field.data_type(), now.data_type()) else {
            return Err(Error::ColumnType {
                table: table.to_owned(),
                column: now.name().clone(),
                old: self.field.data_type().to_string(),
                old_date: self.date,
                new: now.data_type().to_string(),
                new_date: date,
            });
        };
        let is_nullable = self.field.is_nullable() || now.is_nullable();
        if **now != *self.field || data_type != *self.field.data_type() {
            let field = Field::clone(now).with_data_type(data_type).with_nullable(is_nullable);
            self.field = Arc::new(field);
        }
        self.days += 1;
        self.date = date;
        Ok(())
    }
}

fn nullable(field: &Field) -> FieldRef {
    Arc::new(field.clone().with_nullable(true))
}
