//! The columns of a materialised query: their names, their types, and what they remember of a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};
use lake_storage::EXTRACT_DATE;

use crate::{Error, Result, result_type};

/// The one piece of metadata that a column keeps on its way through a query: the type that it has in
/// Postgres. Keys and NOT NULL are a table's, not a column's.
const METADATA_TYPE: &str = "postgres.type";

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
    let kept = result_type::schema(schema)?;
    let fields = kept.fields().iter().enumerate().map(|(place, field)| {
        let mut metadata = HashMap::new();
        if let Some(value) = field.metadata().get(METADATA_TYPE)
            && is_column_of_table(plan, place)
        {
            metadata.insert(METADATA_TYPE.to_owned(), value.clone());
        }
        Field::new(field.name(), field.data_type().clone(), true).with_metadata(metadata)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
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

/// Whether an output column is a table's column unchanged, so that it still is of the type that it
/// has there: DataFusion keeps metadata through casts and some functions as well.
fn is_column_of_table(plan: &LogicalPlan, place: usize) -> bool {
    let through = |input: &LogicalPlan, expr: &Expr| match expr.clone().unalias() {
        Expr::Column(column) => input
            .schema()
            .maybe_index_of_column(&column)
            .is_some_and(|place| is_column_of_table(input, place)),
        _ => false,
    };
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(node) => node.expr.get(place).is_some_and(|expr| through(&node.input, expr)),
        LogicalPlan::Aggregate(node) => node
            .group_expr
            .get(place)
            .is_some_and(|expr| through(&node.input, expr)),
        LogicalPlan::SubqueryAlias(node) => is_column_of_table(&node.input, place),
        LogicalPlan::Filter(node) => is_column_of_table(&node.input, place),
        LogicalPlan::Sort(node) => is_column_of_table(&node.input, place),
        LogicalPlan::Limit(node) => is_column_of_table(&node.input, place),
        LogicalPlan::Distinct(Distinct::All(input)) => is_column_of_table(input, place),
        LogicalPlan::Window(node) => {
            place < node.input.schema().fields().len() && is_column_of_table(&node.input, place)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full if place < left => {
                    is_column_of_table(&join.left, place)
                }
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                    is_column_of_table(&join.right, place - left)
                }
                JoinType::LeftSemi | JoinType::LeftAnti => is_column_of_table(&join.left, place),
                JoinType::RightSemi | JoinType::RightAnti => is_column_of_table(&join.right, place),
                _ => false,
            }
        }
        _ => false,
    }
}
