//! Which columns of a plan are columns of a table.

use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};

/// Whether an output column is a table's column unchanged, so that it still is of the type that it
/// has there: DataFusion keeps metadata through casts and some functions as well.
pub(crate) fn is_column_of_table(plan: &LogicalPlan, place: usize) -> bool {
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
        LogicalPlan::Union(union) => {
            let mut types = union.inputs.iter().map(|input| input.schema().field(place).metadata());
            let is_one = types.next().is_some_and(|first| types.all(|other| other == first));
            is_one && union.inputs.iter().all(|input| is_column_of_table(input, place))
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
