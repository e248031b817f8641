//! `char(n)` and `bpchar`: texts whose blanks at the end mean nothing, but for what looks at them as they are printed.
//!
//! ```text
//!                                         a char(4) of 'ab'     a bpchar of 'ab '
//! in the lake                             'ab'                  'ab '
//! printed, LIKE, ~, concat, octet_length  'ab  '                'ab '
//! compared, sorted, any other function    'ab'                  'ab'
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Columns;

/// The n of `character(n)`, and of an array of it.
pub(crate) fn length(declared: &str) -> Option<usize> {
    lake_storage::char_length(declared.strip_suffix("[]").unwrap_or(declared))
}

/// How a column's blanks are seen.
enum Blanks {
    /// It has none, and is padded to so many characters where it is printed.
    Padded(usize),
    /// It has those that were written.
    Kept,
}

fn blanks(expr: &Expr, columns: &Columns<'_>) -> Option<Blanks> {
    let declared = columns.declared(expr)?;
    match length(&declared) {
        Some(length) => Some(Blanks::Padded(length)),
        None => (declared == "bpchar").then_some(Blanks::Kept),
    }
}

/// Gives each column of such a type the blanks that Postgres sees where it is used. An expression that is a column
/// and nothing else is left as it is, unless it `is_key`, by which rows are sorted, grouped or joined.
pub(super) fn rewrite(expr: Expr, columns: &Columns<'_>, is_key: bool) -> Result<Transformed<Expr>> {
    if !has_blanks(&expr, columns)? {
        return Ok(Transformed::no(expr));
    }
    let is_column = matches!(expr.clone().unalias(), Expr::Column(_));
    if is_column {
        return Ok(match is_key {
            true => Transformed::yes(compared(expr.unalias(), columns)),
            false => Transformed::no(expr),
        });
    }
    expr.transform_down(|expr| {
        Ok(match expr {
            Expr::Like(mut like) => {
                like.expr = Box::new(printed(*like.expr, columns));
                Transformed::new(Expr::Like(like), true, TreeNodeRecursion::Jump)
            }
            Expr::SimilarTo(mut like) => {
                like.expr = Box::new(printed(*like.expr, columns));
                Transformed::new(Expr::SimilarTo(like), true, TreeNodeRecursion::Jump)
            }
            Expr::BinaryExpr(binary) if is_match(binary.op) => {
                let left = Box::new(printed(*binary.left, columns));
                let matched = Expr::BinaryExpr(BinaryExpr { left, ..binary });
                Transformed::new(matched, true, TreeNodeRecursion::Jump)
            }
            Expr::BinaryExpr(binary) if binary.op.supports_propagation() => {
                let of_blanks = |expr: &Expr| blanks(expr, columns).is_some();
                let (is_left, is_right) = (of_blanks(&binary.left), of_blanks(&binary.right));
                let (mut left, mut right) = (*binary.left, *binary.right);
                if is_left {
                    right = as_blanks(right, columns);
                }
                if is_right {
                    left = as_blanks(left, columns);
                }
                let (left, right) = (Box::new(left), Box::new(right));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, right, ..binary }))
            }
            Expr::InList(list) if blanks(&list.expr, columns).is_some() => {
                let values = list.list.into_iter().map(|value| as_blanks(value, columns)).collect();
                Transformed::yes(Expr::InList(InList { list: values, ..list }))
            }
            Expr::ScalarFunction(mut call) if prints(&call) => {
                call.args = call.args.into_iter().map(|arg| printed(arg, columns)).collect();
                Transformed::new(Expr::ScalarFunction(call), true, TreeNodeRecursion::Jump)
            }
            Expr::IsNull(_) | Expr::IsNotNull(_) => Transformed::new(expr, false, TreeNodeRecursion::Jump),
            column @ Expr::Column(_) => Transformed::new(compared(column, columns), true, TreeNodeRecursion::Jump),
            other => Transformed::no(other),
        })
    })
}

fn has_blanks(expr: &Expr, columns: &Columns<'_>) -> Result<bool> {
    expr.exists(|expr| Ok(blanks(expr, columns).is_some()))
}

fn is_match(op: Operator) -> bool {
    use Operator as O;
    matches!(
        op,
        O::RegexMatch
            | O::RegexIMatch
            | O::RegexNotMatch
            | O::RegexNotIMatch
            | O::LikeMatch
            | O::ILikeMatch
            | O::NotLikeMatch
            | O::NotILikeMatch
    )
}

/// The functions that take a value of any type as it is printed, or `character` itself.
fn prints(call: &ScalarFunction) -> bool {
    matches!(call.name(), "concat" | "concat_ws" | "octet_length")
}

/// The value as it is printed.
fn printed(expr: Expr, columns: &Columns<'_>) -> Expr {
    match blanks(&expr, columns) {
        Some(Blanks::Padded(length)) => call(Pad { length }, expr),
        _ => expr,
    }
}

/// The value as it is compared, and as text.
fn compared(expr: Expr, columns: &Columns<'_>) -> Expr {
    match blanks(&expr, columns) {
        Some(Blanks::Kept) => call(TrimBlanks, expr),
        _ => expr,
    }
}

/// What is compared with such a column is of its type, if it is a literal or a `varchar`.
fn as_blanks(expr: Expr, columns: &Columns<'_>) -> Expr {
    let declared = columns.declared(&expr);
    if declared.is_some_and(|declared| declared.starts_with("character varying")) {
        return call(TrimBlanks, expr);
    }
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) => {
            let trimmed = text.trim_end_matches(' ').to_owned();
            Expr::Literal(ScalarValue::Utf8(Some(trimmed)), metadata)
        }
        other => other,
    }
}

fn call(function: impl ScalarUDFImpl + 'static, argument: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(ScalarUDF::from(function)),
        vec![argument],
    ))
}

/// A text without the blanks at its end; of a list, each of its items.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TrimBlanks;

impl ScalarUDFImpl for TrimBlanks {
    fn name(&self) -> &str {
        "trim_blanks"
    }

    fn signature(&self) -> &Signature {
        &ANY
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        map(&arguments, lake_storage::trimmed)
    }
}

/// A text padded with blanks to so many characters.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Pad {
    length: usize,
}

impl ScalarUDFImpl for Pad {
    fn name(&self) -> &str {
        "pad_blanks"
    }

    fn signature(&self) -> &Signature {
        &ANY
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let pad = |text: &str| format!("{text:<length$}", length = self.length);
        map(&arguments, |array| {
            let values = array.as_string::<i32>().iter().map(|text| text.map(pad));
            Arc::new(values.collect::<StringArray>())
        })
    }
}

static ANY: std::sync::LazyLock<Signature> = std::sync::LazyLock::new(|| Signature::any(1, Volatility::Immutable));

/// Makes an array of a call's one argument.
fn map(arguments: &ScalarFunctionArgs, of: impl Fn(&ArrayRef) -> ArrayRef) -> Result<ColumnarValue> {
    Ok(match &arguments.args[0] {
        ColumnarValue::Array(array) => ColumnarValue::Array(of(array)),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&of(&value.to_array()?), 0)?),
    })
}
