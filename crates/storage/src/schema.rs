//! Arrow schemas as Delta holds them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};

use crate::error::RefusedColumn;
use crate::{Error, Result, is_control};

/// The partition column that every table of the lake has beside its own.
pub const EXTRACT_DATE: &str = "extract_date";

/// Refuses columns that Delta, or a reader of the lake, can't hold. `table` is its name as SQL writes
/// it.
///
/// # Errors
/// [`Error::ColumnNames`] for columns called like the partition column, names that differ only in
/// case, and characters that Delta refuses: all of them, with the setting that renames them.
pub fn check_columns(table: &str, schema: &Schema) -> Result<()> {
    if schema.fields().is_empty() {
        return Err(Error::NoColumns { table: table.into() });
    }
    // Delta's own list, for tables without column mapping.
    const REFUSED: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];
    let mut taken: BTreeSet<String> = schema
        .fields()
        .iter()
        .map(|field| field.name().to_lowercase())
        .chain([EXTRACT_DATE.to_owned()])
        .collect();
    let mut seen = BTreeSet::new();
    let mut refused = Vec::new();
    for field in schema.fields() {
        let name = field.name();
        let reason = if name.to_lowercase() == EXTRACT_DATE {
            "the lake has a column of this name of its own"
        } else if name.contains(REFUSED) {
            "Delta refuses names with spaces or any of , ; { } ( ) = tab and newline"
        } else if !seen.insert(name.to_lowercase()) {
            "Delta can't hold it beside one whose name differs only in case"
        } else {
            continue;
        };
        refused.push(RefusedColumn {
            name: name.clone(),
            reason,
            rename: free_name(name, REFUSED, &mut taken),
        });
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::ColumnNames {
        table: table.into(),
        columns: refused,
    })
}

/// A name near a refused one that no other column has, in any case, and that Postgres does not cut.
fn free_name(name: &str, refused: &[char], taken: &mut BTreeSet<String>) -> String {
    const BYTES_MAX: usize = 63;
    let is_refused = |c| refused.contains(&c) || is_control(c);
    let words: Vec<&str> = name.split(is_refused).filter(|word| !word.is_empty()).collect();
    let base = match words.join("_").to_lowercase() {
        empty if empty.is_empty() => "column".to_owned(),
        base => base,
    };
    let ending = |ending: String| {
        let cut = base.floor_char_boundary(BYTES_MAX - ending.len());
        format!("{}{ending}", &base[..cut])
    };
    let numbered = (2..).map(|number| ending(format!("_{number}")));
    let free = std::iter::once(ending(String::new()))
        .chain(numbered)
        .find(|name| !taken.contains(name));
    let free = free.unwrap_or_default(); // the numbers never end
    taken.insert(free.clone());
    free
}

/// Writes an Arrow schema as Delta's `schemaString`, field metadata included.
///
/// # Errors
/// [`Error::Schema`] if a type has no place in Delta.
pub fn delta_schema_string(table: &str, schema: &Schema) -> Result<String> {
    let kernel = to_kernel(table, schema)?;
    serde_json::to_string(&kernel).map_err(|source| Error::Schema {
        table: table.into(),
        source: ArrowError::ExternalError(Box::new(source)),
    })
}

/// Reads Delta's `schemaString` back as an Arrow schema.
///
/// # Errors
/// [`Error::Schema`] if the text isn't a Delta schema.
pub fn parse_delta_schema(table: &str, text: &str) -> Result<SchemaRef> {
    let schema_error = |source| Error::Schema {
        table: table.into(),
        source,
    };
    let kernel: StructType =
        serde_json::from_str(text).map_err(|source| schema_error(ArrowError::ExternalError(Box::new(source))))?;
    let schema: Schema = (&kernel).try_into_arrow().map_err(schema_error)?;
    Ok(Arc::new(schema))
}

/// A schema as it comes back from Delta, so that what Delta does not keep makes no difference.
pub(crate) fn as_delta_keeps(table: &str, schema: &Schema) -> Result<Schema> {
    (&to_kernel(table, schema)?)
        .try_into_arrow()
        .map_err(|source| Error::Schema {
            table: table.into(),
            source,
        })
}

pub(crate) fn to_kernel(table: &str, schema: &Schema) -> Result<StructType> {
    schema.try_into_kernel().map_err(|source| Error::Schema {
        table: table.into(),
        source,
    })
}

/// A type as Delta calls it: `integer`, `decimal(10,2)`, `timestamp_ntz`.
pub(crate) fn delta_type_name(data_type: &DataType) -> String {
    let kernel: Result<deltalake::kernel::DataType, ArrowError> = data_type.try_into_kernel();
    kernel.map_or_else(|_| data_type.to_string(), |kernel| kernel.to_string())
}

/// Equal but for the names and nullability inside lists, which Delta does not keep.
pub(crate) fn same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => same_type(a.data_type(), b.data_type()),
        _ => a == b,
    }
}
