//! Arrow schemas as Delta holds them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};

use crate::{Error, Result};

/// The partition column that every table of the lake has beside its own.
pub const EXTRACT_DATE: &str = "extract_date";

/// Refuses columns that Delta, or a reader of the lake, can't hold.
///
/// # Errors
/// [`Error::ColumnName`] for a column called like the partition column, names that differ only in
/// case, and characters that Delta refuses.
pub fn check_columns(table: &str, schema: &Schema) -> Result<()> {
    // Delta's own list, for tables without column mapping.
    const REFUSED: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for field in schema.fields() {
        let refuse = |reason: String| {
            Err(Error::ColumnName {
                table: table.into(),
                column: field.name().clone(),
                reason,
            })
        };
        let folded = field.name().to_lowercase();
        if folded == EXTRACT_DATE {
            return refuse(
                "the lake has a column of this name of its own: read it through a view that renames it, or leave it out".into(),
            );
        }
        if field.name().contains(REFUSED) {
            return refuse(
                "Delta refuses names with spaces or any of , ; { } ( ) = tab and newline: read the table through a view that renames the column".into(),
            );
        }
        if let Some(other) = seen.insert(folded, field.name()) {
            return refuse(format!(
                "Delta can't hold it beside {other:?}, whose name differs only in case: read the table through a view that renames one"
            ));
        }
    }
    Ok(())
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

pub(crate) fn to_kernel(table: &str, schema: &Schema) -> Result<StructType> {
    schema.try_into_kernel().map_err(|source| Error::Schema {
        table: table.into(),
        source,
    })
}

/// The columns of both schemas: those of `new` as they are, then those that only `old` has.
///
/// # Errors
/// [`Error::ColumnType`] where a column changed its Arrow type.
pub fn union_schema(table: &str, folder: &Path, old: &Schema, new: &Schema) -> Result<Schema> {
    let mut fields: Vec<Arc<Field>> = Vec::with_capacity(new.fields().len());
    // The old order stays, so that a new column comes last as it does in every other tool.
    for field in old.fields() {
        match new.column_with_name(field.name()) {
            Some((i, now)) if same_type(now.data_type(), field.data_type()) => {
                fields.push(new.fields()[i].clone());
            }
            Some((_, now)) => {
                return Err(Error::ColumnType {
                    table: table.into(),
                    column: field.name().clone(),
                    old: field.data_type().to_string(),
                    new: now.data_type().to_string(),
                    folder: folder.into(),
                });
            }
            None => fields.push(field.clone()),
        }
    }
    for field in new.fields() {
        if old.column_with_name(field.name()).is_none() {
            fields.push(field.clone());
        }
    }
    Ok(Schema::new(fields))
}

/// Equal but for the names and nullability inside lists, which Delta does not keep.
pub(crate) fn same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => same_type(a.data_type(), b.data_type()),
        _ => a == b,
    }
}
