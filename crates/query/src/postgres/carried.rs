//! Columns that the lake carries as the server's text: what is asked of their values beyond that text.
//!
//! A `numeric` without a precision is computed as one. The order of the others is not that of their letters, but for
//! those below: it is refused, and so is the equality of those whose text differs for equal values.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, Decimal256Builder};
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal256Type};
use chrono::NaiveTime;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::logical_expr::expr::{ScalarFunction, Sort};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Columns;

/// Types whose values are ordered as their text is, under the collation `C`.
const ORDERED: [&str; 10] = [
    "text",
    "character",
    "bpchar",
    "name",
    "\"char\"",
    "uuid",
    "bit",
    "macaddr",
    "time without time zone",
    "jsonpath",
];
/// Types that have equal values of different texts.
const NOT_BY_TEXT: [&str; 4] = ["interval", "time with time zone", "jsonb", "xml"];

/// A column's type, without its modifier.
fn base_type(expr: &Expr, columns: &Columns<'_>) -> Option<String> {
    let declared = columns.declared(expr)?;
    Some(match (declared.split_once('('), declared.split_once(')')) {
        (Some((base, _)), Some((_, rest))) => format!("{base}{rest}"),
        _ => declared,
    })
}

/// The type of a column whose order is not that of its text.
fn carried(expr: &Expr, columns: &Columns<'_>) -> Option<String> {
    let base = base_type(expr, columns)?;
    let is_known = base.starts_with("character varying") || ORDERED.contains(&base.as_str());
    (!is_known).then_some(base)
}

/// Makes numbers of the numerics in an expression, and refuses what its text can't tell. By an expression that
/// `is_key` rows are sorted, grouped or joined; `is_sorted`: sorted.
pub(super) fn rewrite(expr: Expr, columns: &Columns<'_>, is_key: bool, is_sorted: bool) -> Result<Transformed<Expr>> {
    if !expr.exists(|expr| Ok(base_type(expr, columns).is_some()))? {
        return Ok(Transformed::no(expr));
    }
    if let Expr::Column(_) = expr.clone().unalias() {
        let column = expr.clone().unalias();
        if is_key {
            check(&column, columns, is_sorted)?;
            return number(column, columns);
        }
        return Ok(Transformed::no(expr));
    }
    expr.transform_down(|expr| {
        Ok(match expr {
            Expr::Cast(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => {
                Transformed::new(expr, false, TreeNodeRecursion::Jump)
            }
            Expr::BinaryExpr(binary) if binary.op.supports_propagation() => {
                let is_ordered = matches!(binary.op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
                for operand in [&binary.left, &binary.right] {
                    check(operand, columns, is_ordered)?;
                }
                let (left_type, right_type) = (base_type(&binary.left, columns), base_type(&binary.right, columns));
                let left = number(as_type(*binary.left, right_type.as_deref())?, columns)?.data;
                let right = number(as_type(*binary.right, left_type.as_deref())?, columns)?.data;
                let (left, right) = (Box::new(left), Box::new(right));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, right, ..binary }))
            }
            Expr::Between(mut between) => {
                for operand in [&between.expr, &between.low, &between.high] {
                    check(operand, columns, true)?;
                }
                let declared = base_type(&between.expr, columns);
                between.low = Box::new(as_type(*between.low, declared.as_deref())?);
                between.high = Box::new(as_type(*between.high, declared.as_deref())?);
                between.expr = Box::new(number(*between.expr, columns)?.data);
                Transformed::yes(Expr::Between(between))
            }
            Expr::InList(mut list) => {
                check(&list.expr, columns, false)?;
                let declared = base_type(&list.expr, columns);
                let values = list.list.into_iter().map(|value| as_type(value, declared.as_deref()));
                list.list = values.collect::<Result<_>>()?;
                list.expr = Box::new(number(*list.expr, columns)?.data);
                Transformed::yes(Expr::InList(list))
            }
            Expr::AggregateFunction(mut call) => {
                let is_ordered = matches!(call.func.name(), "min" | "max");
                if is_ordered || call.params.distinct {
                    call.params.args = keys(call.params.args, columns, is_ordered)?;
                }
                call.params.order_by = sorted(call.params.order_by, columns)?;
                Transformed::yes(Expr::AggregateFunction(call))
            }
            Expr::WindowFunction(mut call) => {
                if matches!(call.fun.name(), "min" | "max") {
                    call.params.args = keys(call.params.args, columns, true)?;
                }
                call.params.partition_by = keys(call.params.partition_by, columns, false)?;
                call.params.order_by = sorted(call.params.order_by, columns)?;
                Transformed::yes(Expr::WindowFunction(call))
            }
            Expr::ScalarFunction(mut call) if matches!(call.name(), "greatest" | "least" | "nullif") => {
                let is_ordered = call.name() != "nullif";
                call.args = keys(call.args, columns, is_ordered)?;
                Transformed::yes(Expr::ScalarFunction(call))
            }
            other => Transformed::no(other),
        })
    })
}

/// Expressions by which rows are told apart or, if `is_ordered`, ordered.
fn keys(exprs: Vec<Expr>, columns: &Columns<'_>, is_ordered: bool) -> Result<Vec<Expr>> {
    let key = |expr: Expr| {
        check(&expr, columns, is_ordered)?;
        Ok(number(expr, columns)?.data)
    };
    exprs.into_iter().map(key).collect()
}

fn sorted(order: Vec<Sort>, columns: &Columns<'_>) -> Result<Vec<Sort>> {
    let (exprs, directions): (Vec<Expr>, Vec<_>) =
        order.into_iter().map(|by| (by.expr, (by.asc, by.nulls_first))).unzip();
    let sorted = keys(exprs, columns, true)?.into_iter().zip(directions);
    Ok(sorted
        .map(|(expr, (asc, nulls_first))| Sort { expr, asc, nulls_first })
        .collect())
}

/// A literal beside a column as the server would print it, had it been read as of the column's type.
fn as_type(expr: Expr, declared: Option<&str>) -> Result<Expr> {
    match (expr, declared) {
        (Expr::Literal(ScalarValue::Utf8(Some(text)), metadata), Some(declared)) => match printed(&text, declared) {
            Some(printed) => Ok(Expr::Literal(ScalarValue::Utf8(Some(printed)), metadata)),
            None => plan_err!("{text:?} is not written as the server prints a value of type {declared}: write it so"),
        },
        (expr, _) => Ok(expr),
    }
}

fn printed(text: &str, declared: &str) -> Option<String> {
    match declared {
        "uuid" => {
            let digits: String = text.chars().filter(|c| !matches!(c, '-' | '{' | '}')).collect();
            let is_uuid = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let [a, b, c, d, e] =
                [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map(|(from, to)| digits.get(from..to));
            let parts = [a?, b?, c?, d?, e?];
            is_uuid.then(|| parts.join("-").to_lowercase())
        }
        "time without time zone" => {
            let formats = ["%H:%M:%S%.f", "%H:%M"];
            let time = formats
                .iter()
                .find_map(|format| NaiveTime::parse_from_str(text.trim(), format).ok())?;
            let micros = time.format("%H:%M:%S%.6f").to_string();
            Some(micros.trim_end_matches('0').trim_end_matches('.').to_owned()).map(|short| match short.len() {
                0..8 => format!("{short:0<8}"), // the seconds' own zeros
                _ => short,
            })
        }
        "inet" => {
            let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
            let address: IpAddr = address.parse().ok()?;
            let all_bits = if address.is_ipv4() { "32" } else { "128" };
            Some(match bits {
                Some(bits) if bits != all_bits => format!("{address}/{bits}"),
                _ => address.to_string(),
            })
        }
        "macaddr" => {
            let is_printed = text.len() == 17 && text.bytes().skip(2).step_by(3).all(|byte| byte == b':');
            is_printed.then(|| text.to_lowercase())
        }
        _ => Some(text.to_owned()),
    }
}

/// Refuses a column whose order, or whose equality, its text does not tell.
fn check(expr: &Expr, columns: &Columns<'_>, is_ordered: bool) -> Result<()> {
    let Some(declared) = carried(expr, columns).filter(|declared| declared != "numeric") else {
        return Ok(());
    };
    if !is_ordered && !NOT_BY_TEXT.contains(&declared.as_str()) {
        return Ok(());
    }
    let what = if is_ordered { "ordered" } else { "compared" };
    plan_err!(
        "{expr} is of type {declared}, whose values are not {what} as their text is: to go by the text, write {expr}::text"
    )
}

/// A bare numeric as a number.
fn number(expr: Expr, columns: &Columns<'_>) -> Result<Transformed<Expr>> {
    if carried(&expr, columns).as_deref() != Some("numeric") {
        return Ok(Transformed::no(expr));
    }
    let function = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(Number::new())), vec![expr]);
    Ok(Transformed::yes(Expr::ScalarFunction(function)))
}

/// The number that a numeric's text is, or an error where it has no place in 256 bits.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Number {
    signature: Signature,
}

impl Number {
    fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

/// Half of the digits are for the places.
const PLACES: i8 = 38;

impl ScalarUDFImpl for Number {
    fn name(&self) -> &str {
        "numeric_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal256(DECIMAL256_MAX_PRECISION, PLACES))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of = |array: &ArrayRef| -> Result<ArrayRef> {
            let data_type = DataType::Decimal256(DECIMAL256_MAX_PRECISION, PLACES);
            let mut numbers = Decimal256Builder::with_capacity(array.len()).with_data_type(data_type);
            for text in array.as_string::<i32>() {
                numbers.append_option(text.map(exact).transpose()?);
            }
            Ok(Arc::new(numbers.finish()))
        };
        Ok(match &arguments.args[0] {
            ColumnarValue::Array(array) => ColumnarValue::Array(of(array)?),
            ColumnarValue::Scalar(value) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&of(&value.to_array()?)?, 0)?)
            }
        })
    }
}

fn exact(text: &str) -> Result<arrow::datatypes::i256> {
    let places = text
        .split_once('.')
        .map_or(0, |(_, places)| places.trim_end_matches('0').len());
    let number = (places <= PLACES as usize)
        .then(|| parse_decimal::<Decimal256Type>(text, DECIMAL256_MAX_PRECISION, PLACES).ok())
        .flatten();
    number.ok_or_else(|| {
        exec_datafusion_err!(
            "the numeric {text} has no place among numbers of 38 digits before the point and 38 after it: leave its \
             rows out, or cast the column to text"
        )
    })
}
