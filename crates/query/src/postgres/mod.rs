//! What SQL means in Postgres, where the engine's own meaning is another.
//!
//! A file is a concept of Postgres. The rule comes before all others of the analyzer: it sees the statement as it
//! was written, with the types that the columns have in their source.

mod blanks;
mod carried;
mod float;
mod integer;
mod numeric;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, BinaryExpr, Cast, Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, Operator,
    Window, lit,
};
use datafusion::optimizer::AnalyzerRule;

pub(crate) use blanks::{TrimBlanks, length as char_length};
use numeric::Aggregated;

use crate::lineage::is_column_of_table;

/// As `lake_postgres::METADATA_TYPE` and `lake_postgres::METADATA_BASE_TYPE`.
const DECLARED: [&str; 2] = ["postgres.base_type", "postgres.type"];

/// A column's type as `format_type` prints it, below any domain; none if it is not of Postgres.
pub(crate) fn declared(field: &Field) -> Option<&str> {
    DECLARED
        .iter()
        .find_map(|key| field.metadata().get(*key))
        .map(String::as_str)
}

/// Rewrites a plan so that it gives what Postgres gives.
#[derive(Debug)]
pub(crate) struct PostgresSemantics {
    pub(crate) sum: Arc<AggregateUDF>,
    pub(crate) count: Arc<AggregateUDF>,
}

impl AnalyzerRule for PostgresSemantics {
    fn name(&self) -> &str {
        "postgres_semantics"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| self.rewrite(node)).data()
    }
}

impl PostgresSemantics {
    fn rewrite(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if matches!(node, LogicalPlan::Limit(_) | LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(node));
        }
        let inputs: Vec<LogicalPlan> = node.inputs().into_iter().cloned().collect();
        let columns = Columns {
            inputs: &inputs,
            schema: merge_schema(&node.inputs()),
        };
        let is_key = matches!(
            node,
            LogicalPlan::Sort(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Join(_)
        );
        let is_sorted = matches!(node, LogicalPlan::Sort(_));
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = blanks::rewrite(expr, &columns, is_key)?
                .transform_data(|expr| carried::rewrite(expr, &columns, is_key, is_sorted))?;
            let rewritten = rewritten.transform_data(|expr| {
                expr.transform_up(|expr| {
                    float::rewrite(expr, &columns)?.transform_data(|expr| arithmetic(expr, &columns))
                })
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })?;
        let node = node.map_data(LogicalPlan::recompute_schema)?;
        node.transform_data(|node| match node {
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, &columns),
            LogicalPlan::Window(window) => self.window(window, &columns),
            other => Ok(Transformed::no(other)),
        })
    }

    fn aggregate(&self, node: Aggregate, columns: &Columns<'_>) -> Result<Transformed<LogicalPlan>> {
        let computed = self.computed(node.aggr_expr.clone(), columns)?;
        let kept = node.schema.fields().len() - node.aggr_expr.len();
        let rewrite = |exprs| {
            let node = Aggregate::try_new(node.input.clone(), node.group_expr.clone(), exprs)?;
            Ok(LogicalPlan::Aggregate(node))
        };
        computed.into_plan(&node.schema, kept, rewrite)
    }

    fn window(&self, node: Window, columns: &Columns<'_>) -> Result<Transformed<LogicalPlan>> {
        let computed = self.computed(node.window_expr.clone(), columns)?;
        let kept = node.schema.fields().len() - node.window_expr.len();
        let rewrite = |exprs| Ok(LogicalPlan::Window(Window::try_new(exprs, node.input.clone())?));
        computed.into_plan(&node.schema, kept, rewrite)
    }

    fn computed(&self, exprs: Vec<Expr>, columns: &Columns<'_>) -> Result<Computed> {
        let mut computed = Computed::default();
        for expr in exprs {
            // Its name is given back above.
            computed.differs |= matches!(expr, Expr::Alias(_));
            let expr = expr.unalias_nested().data;
            let aggregated = numeric::aggregated(expr.clone(), &self.sum, &self.count, |expr| columns.type_of(expr))?;
            computed.add(aggregated, &expr);
        }
        Ok(computed)
    }
}

/// What a node computes in place of its own expressions, and how these come of it.
#[derive(Default)]
struct Computed {
    exprs: Vec<Expr>,
    /// For each of the node's own.
    own: Vec<Own>,
    differs: bool,
}

enum Own {
    At(usize),
    Quotient { sum: usize, count: usize },
}

impl Computed {
    fn add(&mut self, aggregated: Aggregated, was: &Expr) {
        let own = match aggregated {
            Aggregated::Whole(expr) => {
                self.differs |= expr != *was;
                Own::At(self.place(expr))
            }
            Aggregated::Quotient { sum, count } => {
                self.differs = true;
                Own::Quotient {
                    sum: self.place(sum),
                    count: self.place(count),
                }
            }
        };
        self.own.push(own);
    }

    fn place(&mut self, expr: Expr) -> usize {
        let found = self.exprs.iter().position(|known| *known == expr);
        found.unwrap_or_else(|| {
            self.exprs.push(expr);
            self.exprs.len() - 1
        })
    }

    /// The node anew, and above it a projection to the columns that it had: `kept` of its input, then its own.
    fn into_plan(
        self,
        schema: &DFSchema,
        kept: usize,
        node: impl FnOnce(Vec<Expr>) -> Result<LogicalPlan>,
    ) -> Result<Transformed<LogicalPlan>> {
        let node = node(self.exprs)?;
        if !self.differs {
            return Ok(Transformed::yes(node));
        }
        let new = node.schema().clone();
        let column = |place: usize| Expr::Column(Column::from(new.qualified_field(kept + place)));
        let type_at = |place: usize| new.field(kept + place).data_type().clone();
        let own = self.own.into_iter().enumerate().map(|(place, own)| {
            let (relation, field) = schema.qualified_field(kept + place);
            let expr = match own {
                Own::At(place) => column(place),
                Own::Quotient { sum, count } => numeric::divided(
                    numeric::as_numeric(column(sum), &type_at(sum)),
                    numeric::as_numeric(column(count), &type_at(count)),
                ),
            };
            expr.alias_qualified(relation.cloned(), field.name())
        });
        let inputs = (0..kept).map(|place| Expr::Column(Column::from(schema.qualified_field(place))));
        let exprs: Vec<Expr> = inputs.chain(own).collect();
        LogicalPlanBuilder::from(node)
            .project(exprs)?
            .build()
            .map(Transformed::yes)
    }
}

/// Arithmetic and casts, whose operands have been rewritten already.
fn arithmetic(expr: Expr, columns: &Columns<'_>) -> Result<Transformed<Expr>> {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if matches!(op, Plus | Minus | Multiply | Divide | Modulo) => {
            let (left_type, right_type) = (columns.type_of(&left)?, columns.type_of(&right)?);
            let integers = integer::integer_type(&left, &left_type).zip(integer::integer_type(&right, &right_type));
            if let Some((a, b)) = integers {
                let data_type = integer::wider(a, b);
                return Ok(Transformed::yes(integer::computed(op, *left, *right, data_type)));
            }
            let is_exact = numeric::is_exact(&left_type) && numeric::is_exact(&right_type);
            if !is_exact {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            }
            let left = numeric::as_numeric(*left, &left_type);
            let right = numeric::as_numeric(*right, &right_type);
            Ok(Transformed::yes(match op {
                Divide => numeric::divided(left, right),
                Multiply if numeric::is_wide(&left_type) || numeric::is_wide(&right_type) => {
                    numeric::multiplied(left, right)
                }
                _ => Expr::BinaryExpr(BinaryExpr {
                    left: Box::new(left),
                    op,
                    right: Box::new(right),
                }),
            }))
        }
        Expr::Negative(operand) => {
            let data_type = columns.type_of(&operand)?;
            Ok(match integer::integer_type(&operand, &data_type) {
                Some(data_type) => {
                    let zero = lit(ScalarValue::Int64(Some(0)));
                    Transformed::yes(integer::computed(Minus, zero, *operand, data_type))
                }
                None => Transformed::no(Expr::Negative(operand)),
            })
        }
        // `extract` is numeric, so that a quotient of it has places.
        Expr::ScalarFunction(call) if call.name() == "date_part" => {
            let call = Expr::ScalarFunction(call);
            Ok(match columns.type_of(&call)? {
                integer @ (DataType::Int32 | DataType::Int64) => Transformed::yes(numeric::as_numeric(call, &integer)),
                _ => Transformed::no(call),
            })
        }
        Expr::ScalarFunction(call) => {
            refuse_pattern(&call)?;
            Ok(Transformed::no(Expr::ScalarFunction(call)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let types = (columns.type_of(&left)?, columns.type_of(&right)?);
            if let (DataType::Duration(_), DataType::Interval(_)) | (DataType::Interval(_), DataType::Duration(_)) =
                types
            {
                // The engine compares months first, then days.
                return plan_err!(
                    "a difference of timestamps can't be compared with an interval: add the interval to one of them, \
                     and compare timestamps"
                );
            }
            Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        // Rounded, where the engine cuts.
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => {
            let expr = match columns.type_of(&expr)? {
                DataType::Decimal128(_, 1..) => Box::new(numeric::cast(*expr, DataType::Decimal128(38, 0))),
                DataType::Decimal256(_, 1..) => Box::new(numeric::cast(*expr, DataType::Decimal256(76, 0))),
                _ => return Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
            };
            Ok(Transformed::yes(Expr::Cast(Cast { expr, field })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The engine's patterns are those of C's `strftime`: of one of Postgres' it would make the pattern itself.
fn refuse_pattern(call: &ScalarFunction) -> Result<()> {
    let Some(Expr::Literal(ScalarValue::Utf8(Some(pattern)), _)) = call.args.get(1) else {
        return Ok(());
    };
    match call.name() {
        "to_char" | "date_format" | "to_date" | "to_timestamp" if !pattern.contains('%') => plan_err!(
            "the pattern {pattern:?} of {} is Postgres', which is not known here yet: write it as of strftime, \
             e.g. '%Y-%m-%d %H:%M:%S'",
            call.name()
        ),
        _ => Ok(()),
    }
}

/// The columns that a node's expressions can name.
struct Columns<'a> {
    inputs: &'a [LogicalPlan],
    schema: DFSchema,
}

impl Columns<'_> {
    fn type_of(&self, expr: &Expr) -> Result<DataType> {
        expr.get_type(&self.schema)
    }

    /// The type that an expression has in its source, if it is a table's text column as it is there.
    fn declared(&self, expr: &Expr) -> Option<String> {
        let Expr::Column(column) = expr else {
            return None;
        };
        let (input, place) = self
            .inputs
            .iter()
            .find_map(|input| Some((input, input.schema().maybe_index_of_column(column)?)))?;
        let field = input.schema().field(place);
        let is_text = *field.data_type() == DataType::Utf8;
        let declared = declared(field).filter(|_| is_text && is_column_of_table(input, place))?;
        Some(declared.to_owned())
    }
}
