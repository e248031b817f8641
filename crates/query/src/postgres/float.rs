//! Beside a floating-point number a numeric is one too: the engine would make a decimal of fifteen places of both.

use arrow::datatypes::{DataType, Decimal128Type, DecimalType as _};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Case, Expr};

use super::{Columns, numeric};

/// Functions whose arguments are brought to one type.
const OF_ONE_TYPE: [&str; 4] = ["coalesce", "nullif", "greatest", "least"];

/// Makes floating-point numbers of the numerics that stand beside one in an expression.
pub(super) fn rewrite(expr: Expr, columns: &Columns<'_>) -> Result<Transformed<Expr>> {
    if !beside(&expr).is_some_and(|operands| mixes(&operands, columns)) {
        return Ok(Transformed::no(expr));
    }
    let float = |expr: Expr| -> Result<Expr> {
        Ok(match columns.type_of(&expr)? {
            data_type if numeric::is_numeric(&data_type) => as_float(expr),
            _ => expr,
        })
    };
    let boxed = |expr: Box<Expr>| float(*expr).map(Box::new);
    Ok(Transformed::yes(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => Expr::BinaryExpr(BinaryExpr {
            left: boxed(left)?,
            op,
            right: boxed(right)?,
        }),
        Expr::Between(between) => Expr::Between(Between {
            expr: boxed(between.expr)?,
            negated: between.negated,
            low: boxed(between.low)?,
            high: boxed(between.high)?,
        }),
        Expr::InList(list) => Expr::InList(InList {
            expr: boxed(list.expr)?,
            list: list.list.into_iter().map(float).collect::<Result<_>>()?,
            negated: list.negated,
        }),
        Expr::Case(case) => Expr::Case(Case {
            expr: case.expr,
            when_then_expr: case
                .when_then_expr
                .into_iter()
                .map(|(when, then)| Ok((when, boxed(then)?)))
                .collect::<Result<_>>()?,
            else_expr: case.else_expr.map(boxed).transpose()?,
        }),
        Expr::ScalarFunction(mut call) => {
            call.args = call.args.into_iter().map(float).collect::<Result<_>>()?;
            Expr::ScalarFunction(call)
        }
        other => other,
    }))
}

/// The operands that are brought to one type.
fn beside(expr: &Expr) -> Option<Vec<&Expr>> {
    Some(match expr {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => vec![left, right],
        Expr::Between(between) => vec![&between.expr, &between.low, &between.high],
        Expr::InList(list) => std::iter::once(list.expr.as_ref()).chain(&list.list).collect(),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            results.chain(case.else_expr.as_deref()).collect()
        }
        Expr::ScalarFunction(call) if OF_ONE_TYPE.contains(&call.name()) => call.args.iter().collect(),
        _ => return None,
    })
}

fn mixes(operands: &[&Expr], columns: &Columns<'_>) -> bool {
    let types: Vec<DataType> = operands.iter().filter_map(|expr| columns.type_of(expr).ok()).collect();
    types.iter().any(DataType::is_floating) && types.iter().any(numeric::is_numeric)
}

/// A literal by its digits, which round once.
fn as_float(expr: Expr) -> Expr {
    if let Expr::Literal(ScalarValue::Decimal128(Some(units), precision, scale), metadata) = &expr
        && let Ok(number) = Decimal128Type::format_decimal(*units, *precision, *scale).parse::<f64>()
    {
        return Expr::Literal(ScalarValue::Float64(Some(number)), metadata.clone());
    }
    numeric::cast(expr, DataType::Float64)
}
