//! The columns of a table over several days.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use lake_storage::{RunDate, TableEntry};

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

/// The type that holds every value of both exactly, if there is one.
fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int16, Int32, Int64, List};
    Some(match (a, b) {
        _ if a == b => a.clone(),
        (Int16, Int32) | (Int32, Int16) => Int32,
        (Int16 | Int32, Int64) | (Int64, Int16 | Int32) => Int64,
        (Float32, Float64) | (Float64, Float32) => Float64,
        (Int16 | Int32, Float64) | (Float64, Int16 | Int32) => Float64,
        (Decimal128(p, s), Decimal128(q, t)) => {
            let scale = *s.max(t);
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let precision = u8::try_from(whole + i16::from(scale)).ok()?;
            (precision <= 38).then_some(Decimal128(precision, scale))?
        }
        (List(item), List(other)) => {
            let data_type = common_type(item.data_type(), other.data_type())?;
            List(Arc::new(
                Field::clone(item).with_data_type(data_type).with_nullable(true),
            ))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_types_are_common() {
        use DataType::{Boolean, Decimal128, Float32, Float64, Int16, Int64, Utf8};
        let cases = [
            (Int16, Int64, Some(Int64)),
            (Float64, Float32, Some(Float64)),
            (Decimal128(10, 2), Decimal128(12, 4), Some(Decimal128(12, 4))),
            (Decimal128(38, 0), Decimal128(2, 2), None),
            (Int64, Float64, None),
            (Boolean, Utf8, None),
        ];
        for (a, b, expected) in cases {
            assert_eq!(common_type(&a, &b), expected, "{a} and {b}");
            assert_eq!(common_type(&b, &a), expected, "{b} and {a}");
        }
    }
}
