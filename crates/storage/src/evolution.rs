//! Columns that come, go and change their type between days.
//!
//! Delta has one type a column for all days, and so does every reader of the folder. Where a new day
//! needs another, the table gets the narrowest type that holds the values of all days exactly, and
//! the days that have another are written anew with it (see `retype`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema, TimeUnit};

use crate::error::RefusedColumn;
use crate::schema::{delta_type_name, same_type};
use crate::server_text::has_text;
use crate::{Error, Result, RunDate, SqlName};

/// What a run may change about the columns of a table that other days have already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaChange {
    /// All that loses nothing.
    #[default]
    Evolve,
    /// Nothing.
    Freeze,
}

impl FromStr for SchemaChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "evolve" => Ok(Self::Evolve),
            "freeze" => Ok(Self::Freeze),
            _ => Err(format!(
                "{text:?} is no rule for schema changes: write evolve or freeze"
            )),
        }
    }
}

/// A column that a day has otherwise than its table; types are Delta's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnChange {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Its type in the table; none if it is new.
    pub had: Option<String>,
    /// Its type in the day; none if it is gone.
    pub has: Option<String>,
    /// The other days of the table.
    pub days: Vec<RunDate>,
}

impl ColumnChange {
    /// What becomes of it where changes are allowed; `now` is its type from here on.
    pub(crate) fn outcome(&self, now: &str) -> String {
        match (&self.had, &self.has) {
            (Some(had), Some(_)) if had == now => format!("it is kept as {now}"),
            (Some(_), Some(_)) => format!("it is {now} from now on, and those days are written anew with it"),
            (None, _) => "it is NULL on those days".into(),
            (Some(_), None) => "it is NULL from now on".into(),
        }
    }
}

impl fmt::Display for ColumnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}, column {}: ", SqlName(&self.table), SqlName(&self.column))?;
        match (&self.had, &self.has) {
            (Some(had), Some(has)) => write!(f, "{has} now, {had}")?,
            (None, has) => write!(f, "{} now, not there", has.as_deref().unwrap_or_default())?,
            (Some(had), None) => write!(f, "not there now, {had}")?,
        }
        match &self.days[..] {
            [] => Ok(()),
            [day] => write!(f, " on {day}"),
            [first, .., last] => write!(f, " on {} days from {first} to {last}", self.days.len()),
        }
    }
}

/// A table's columns after a day has joined it.
#[derive(Clone, Debug)]
pub(crate) struct Evolution {
    /// The columns of all days: the table's in their order, then the new ones.
    pub(crate) schema: Schema,
    /// Whether a column of the table gets another type, so that other days have to follow.
    pub(crate) retypes_table: bool,
    /// What is different about the day.
    pub(crate) changes: Vec<ColumnChange>,
}

/// Brings a day's columns and its table's together.
///
/// # Errors
/// [`Error::ColumnType`] where no type holds a column's values of all days; [`Error::ColumnNames`] where a name of
/// the table comes in other letters.
pub(crate) fn evolve(table: &str, of_table: &Schema, of_day: &Schema) -> Result<Evolution> {
    let mut evolution = Evolution {
        schema: Schema::empty(),
        retypes_table: false,
        changes: Vec::new(),
    };
    let change = |column: &str, had: Option<&Field>, has: Option<&Field>| ColumnChange {
        table: table.into(),
        column: column.into(),
        had: had.map(|field| delta_type_name(field.data_type())),
        has: has.map(|field| delta_type_name(field.data_type())),
        days: Vec::new(),
    };
    refuse_other_case(table, of_table, of_day)?;
    let mut fields = Vec::with_capacity(of_day.fields().len());
    for had in of_table.fields() {
        let Some((_, has)) = of_day.column_with_name(had.name()) else {
            evolution.changes.push(change(had.name(), Some(had), None));
            fields.push(had.clone());
            continue;
        };
        if same_type(had.data_type(), has.data_type()) {
            fields.push(Arc::new(has.clone()));
            continue;
        }
        evolution.changes.push(change(had.name(), Some(had), Some(has)));
        let common = match (has_no_values(had), has_no_values(has)) {
            (true, _) => Some(has.data_type().clone()),
            (_, true) => Some(had.data_type().clone()),
            _ => common_type(had.data_type(), has.data_type()),
        };
        let Some(common) = common else {
            return Err(Error::ColumnType {
                change: change(had.name(), Some(had), Some(has)).into(),
            });
        };
        evolution.retypes_table |= !same_type(&common, had.data_type());
        fields.push(Arc::new(retyped(has, &common)));
    }
    for has in of_day.fields() {
        if of_table.column_with_name(has.name()).is_none() {
            evolution.changes.push(change(has.name(), None, Some(has)));
            fields.push(has.clone());
        }
    }
    evolution.schema = Schema::new(fields);
    Ok(evolution)
}

/// `ID` after `id`: Delta can't hold both, and it would be another column for whoever reads the days.
fn refuse_other_case(table: &str, of_table: &Schema, of_day: &Schema) -> Result<()> {
    let mut refused = Vec::new();
    for has in of_day.fields() {
        let is_same = |had: &&Arc<Field>| had.name().to_lowercase() == has.name().to_lowercase();
        let mut of_table = of_table.fields().iter().filter(is_same);
        if let Some(had) = of_table.next().filter(|had| had.name() != has.name()) {
            refused.push(RefusedColumn {
                name: has.name().clone(),
                reason: "other days have it with other capitals, and Delta can't hold both",
                rename: had.name().clone(),
            });
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Error::ColumnNames {
            table: table.into(),
            columns: refused,
        }),
    }
}

/// A day's own columns in the types that its table has for them; none if they are in these already.
pub(crate) fn in_types_of(table: &Schema, day: &Schema) -> Option<Schema> {
    let types: BTreeMap<&str, &DataType> = table
        .fields()
        .iter()
        .map(|f| (f.name().as_str(), f.data_type()))
        .collect();
    let mut differs = false;
    let fields: Vec<Field> = day
        .fields()
        .iter()
        .map(|field| match types.get(field.name().as_str()) {
            Some(wanted) if !same_type(wanted, field.data_type()) => {
                differs = true;
                retyped(field, wanted)
            }
            _ => Field::clone(field),
        })
        .collect();
    differs.then(|| Schema::new(fields))
}

/// The type that the source declared says nothing of a column that has another since.
fn retyped(field: &Field, data_type: &DataType) -> Field {
    /// As `lake_postgres::METADATA_TYPE`.
    const DECLARED_TYPE: &str = "postgres.type";
    if same_type(field.data_type(), data_type) {
        return field.clone();
    }
    let mut metadata = field.metadata().clone();
    // What a list becomes is read as the array that it was.
    if !matches!(field.data_type(), DataType::List(_)) {
        metadata.remove(DECLARED_TYPE);
    }
    metadata.remove(NO_VALUES);
    Field::new(field.name(), data_type.clone(), field.is_nullable()).with_metadata(metadata)
}

/// As `lake_csv::METADATA_NO_VALUES`: the column's type is a guess about nothing but NULLs.
const NO_VALUES: &str = "lake.no_values";

fn has_no_values(field: &Field) -> bool {
    field.metadata().contains_key(NO_VALUES)
}

/// The narrowest type that holds every value of both exactly; text where no other does, and `None` for bytes and
/// lists beside most other types.
pub fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Binary, Date32, Float32, Float64, Int16, Int32, Int64, List, Timestamp, Utf8};
    let is_scalar = |data_type: &DataType| !matches!(data_type, Binary | List(_)) && has_text(data_type);
    Some(match (a, b) {
        _ if same_type(a, b) => a.clone(),
        (Int16, Int32) | (Int32, Int16) => Int32,
        (Int16 | Int32, Int64) | (Int64, Int16 | Int32) => Int64,
        (Float32, Float64) | (Float64, Float32) => Float64,
        (Int16 | Int32, Float64) | (Float64, Int16 | Int32) => Float64,
        (Date32, Timestamp(TimeUnit::Microsecond, None)) | (Timestamp(TimeUnit::Microsecond, None), Date32) => {
            Timestamp(TimeUnit::Microsecond, None)
        }
        (List(a), List(b)) => {
            let item = common_type(a.data_type(), b.data_type())?;
            List(Arc::new(Field::clone(a).with_data_type(item).with_nullable(true)))
        }
        _ => match (digits(a), digits(b)) {
            (Some(a), Some(b)) => common_decimal(a, b).unwrap_or(Utf8),
            _ if is_scalar(a) && is_scalar(b) => Utf8,
            // A list meets the server's text of arrays that a list can't hold.
            _ if matches!((a, b), (List(_), Utf8) | (Utf8, List(_))) && has_text(a) && has_text(b) => Utf8,
            _ => return None,
        },
    })
}

/// Digits before the point and after it, of types that are whole numbers or decimals.
fn digits(data_type: &DataType) -> Option<(u8, u8)> {
    Some(match data_type {
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::Decimal128(precision, scale) => {
            let scale = u8::try_from(*scale).ok()?;
            (precision.checked_sub(scale)?, scale)
        }
        _ => return None,
    })
}

fn common_decimal(a: (u8, u8), b: (u8, u8)) -> Option<DataType> {
    let (whole, scale) = (a.0.max(b.0), a.1.max(b.1));
    let precision = whole + scale;
    (precision <= DECIMAL128_MAX_PRECISION).then_some(DataType::Decimal128(precision, scale.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_types_are_common() {
        use DataType::{Binary, Boolean, Date32, Decimal128, Float32, Float64, Int16, Int32, Int64, Utf8};
        let list = |item| DataType::List(Arc::new(Field::new("element", item, true)));
        let cases = [
            (Int16, Int64, Some(Int64)),
            (Float64, Float32, Some(Float64)),
            (Int32, Float64, Some(Float64)),
            (Int64, Float64, Some(Utf8)),
            (Int64, Decimal128(18, 2), Some(Decimal128(21, 2))),
            (Decimal128(10, 2), Decimal128(12, 4), Some(Decimal128(12, 4))),
            (Decimal128(18, 2), Decimal128(18, 3), Some(Decimal128(19, 3))),
            (Decimal128(38, 0), Decimal128(2, 2), Some(Utf8)),
            (Decimal128(10, 2), Float64, Some(Utf8)),
            (Boolean, Utf8, Some(Utf8)),
            (Date32, Int32, Some(Utf8)),
            (list(Int16), list(Int64), Some(list(Int64))),
            (list(Int16), Int16, None),
            (list(Int16), Utf8, Some(Utf8)),
            (Binary, Utf8, None),
        ];
        for (a, b, expected) in cases {
            assert_eq!(common_type(&a, &b), expected, "{a} and {b}");
            assert_eq!(common_type(&b, &a), expected, "{b} and {a}");
        }
    }

    #[test]
    fn a_column_of_nulls_takes_any_type() {
        let nulls = Field::new("x", DataType::Utf8, true).with_metadata([(NO_VALUES.into(), "true".into())].into());
        let nulls = Schema::new(vec![nulls]);
        let bytes = Schema::new(vec![Field::new("x", DataType::Int64, true)]);
        let evolution = evolve("t", &nulls, &bytes).unwrap();
        assert_eq!((evolution.schema, evolution.retypes_table), (bytes.clone(), true));
        assert_eq!(in_types_of(&bytes, &nulls), Some(bytes.clone()));
        let evolution = evolve("t", &bytes, &nulls).unwrap();
        assert_eq!((evolution.schema, evolution.retypes_table), (bytes, false));
    }

    #[test]
    fn a_retyped_column_forgets_its_declared_type_alone() {
        let metadata = |declared: &str| {
            [("postgres.type", declared), ("postgres.primary_key", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        };
        let field = |data_type, declared| Field::new("id", data_type, true).with_metadata(metadata(declared).into());
        let old = Schema::new(vec![field(DataType::Int32, "integer")]);
        let new = Schema::new(vec![field(DataType::Int64, "bigint")]);
        let wider = evolve("t", &old, &new).unwrap();
        assert!(wider.retypes_table);
        assert_eq!(wider.schema, new);
        let old_day = in_types_of(&wider.schema, &old).unwrap();
        assert_eq!(old_day.field(0).data_type(), &DataType::Int64);
        assert_eq!(old_day.field(0).metadata().len(), 1);

        let narrower = evolve("t", &new, &old).unwrap();
        assert!(!narrower.retypes_table);
        assert_eq!(narrower.schema.field(0).data_type(), &DataType::Int64);
        assert_eq!(in_types_of(&wider.schema, &new), None);
    }
}
