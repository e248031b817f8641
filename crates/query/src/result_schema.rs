//! The columns of a materialised query: their names, their types, and what they remember of a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use lake_storage::EXTRACT_DATE;

use crate::lineage::is_column_of_table;
use crate::{Error, Result, result_type};

/// The one piece of metadata that a column keeps on its way through a query: the type that it has in
/// Postgres. Keys and NOT NULL are a table's, not a column's.
pub(crate) const METADATA_TYPE: &str = "postgres.type";

/// Delta's own list, for tables without column mapping.
const REFUSED: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// The columns of a result as the lake keeps them.
///
/// All may be NULL: what a plan infers about that is right only as far as its every rule is.
///
/// # Errors
/// [`Error::ResultColumn`] for a name or a type that the lake can't keep.
pub(crate) fn of(plan: &LogicalPlan, schema: &Schema) -> Result<SchemaRef> {
    check_names(schema)?;
    let kept = result_type::schema(&declared(plan, schema))?;
    let fields = kept.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        metadata.retain(|key, _| key == METADATA_TYPE);
        field.as_ref().clone().with_nullable(true).with_metadata(metadata)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The schema with what is known of the types in Postgres of those columns alone that are a table's unchanged:
/// DataFusion keeps metadata through casts and some functions as well.
pub(crate) fn declared(plan: &LogicalPlan, schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(place, field)| {
        if field.metadata().is_empty() || is_column_of_table(plan, place) {
            field.clone()
        } else {
            Arc::new(field.as_ref().clone().with_metadata(HashMap::new()))
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn check_names(schema: &Schema) -> Result<()> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for field in schema.fields() {
        let name = field.name();
        let refuse = |reason: String| {
            Err(Error::ResultColumn {
                column: name.clone(),
                reason,
            })
        };
        if name.contains(REFUSED) {
            return refuse(format!(
                "has a name with a character that Delta refuses: write `{name} AS …` with a name of letters, digits and _"
            ));
        }
        let folded = name.to_lowercase();
        if folded == EXTRACT_DATE {
            return refuse(
                "is called like the column that every table of the lake has of its own: name it with AS".into(),
            );
        }
        if let Some(other) = seen.insert(folded, name) {
            return refuse(if other == name {
                "is there twice: name one with AS, or leave one out".into()
            } else {
                format!("differs from {other:?} only in case, which Delta can't tell apart: name one with AS")
            });
        }
    }
    Ok(())
}
