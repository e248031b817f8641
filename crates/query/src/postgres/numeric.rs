//! `numeric`: division to as many places as Postgres gives, `avg` as a sum divided by a count, sums that can't wrap.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, Decimal256Builder};
use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    AggregateUDF, Cast, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, WindowFunctionDefinition,
};

/// Digits of each integer type's largest value.
fn integer_digits(data_type: &DataType) -> Option<u8> {
    Some(match data_type {
        DataType::Int16 => 5,
        DataType::Int32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        _ => return None,
    })
}

/// Whether it is one of Postgres' exact numbers.
pub(super) fn is_exact(data_type: &DataType) -> bool {
    is_numeric(data_type) || integer_digits(data_type).is_some()
}

pub(super) fn is_numeric(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

/// An exact number as a numeric of no more digits than it needs.
pub(super) fn as_numeric(expr: Expr, data_type: &DataType) -> Expr {
    if let Expr::Literal(ScalarValue::Int64(Some(value)), metadata) = &expr {
        let digits = value.unsigned_abs().checked_ilog10().unwrap_or_default() as u8 + 1;
        let value = ScalarValue::Decimal128(Some(i128::from(*value)), digits, 0);
        return Expr::Literal(value, metadata.clone());
    }
    match integer_digits(data_type) {
        Some(digits) => cast(expr, DataType::Decimal128(digits, 0)),
        None => expr,
    }
}

pub(super) fn cast(expr: Expr, to: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to))
}

/// What is to be summed, in a type whose sum does not wrap: the engine's has ten digits more than its argument, up
/// to 38 for the narrower of the two decimals.
pub(super) fn summed(expr: Expr, data_type: &DataType) -> Expr {
    const PRECISION_MAX: u8 = 28;
    match data_type {
        DataType::Int64 | DataType::UInt64 => as_numeric(expr, data_type),
        DataType::Decimal128(precision, scale) if *precision > PRECISION_MAX => {
            cast(expr, DataType::Decimal256(*precision, *scale))
        }
        _ => expr,
    }
}

/// A quotient of numerics.
pub(super) fn divided(dividend: Expr, divisor: Expr) -> Expr {
    wide(Operator::Divide, dividend, divisor)
}

/// A product of numerics of which one [`is_wide`].
pub(super) fn multiplied(left: Expr, right: Expr) -> Expr {
    wide(Operator::Multiply, left, right)
}

/// Whether it may have been divided, and so has more places than its values.
pub(super) fn is_wide(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal256(..))
}

fn wide(op: Operator, left: Expr, right: Expr) -> Expr {
    let function = Wide {
        op,
        signature: Signature::any(2, Volatility::Immutable),
    };
    let function = Arc::new(ScalarUDF::from(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]))
}

/// An aggregate, or a window over one, as it is, or as the sum and the count of which it is the quotient.
pub(super) enum Aggregated {
    Whole(Expr),
    Quotient { sum: Expr, count: Expr },
}

/// `avg` of exact numbers is a quotient, and their `sum` does not wrap.
pub(super) fn aggregated(
    expr: Expr,
    sum: &Arc<AggregateUDF>,
    count: &Arc<AggregateUDF>,
    type_of: impl Fn(&Expr) -> Result<DataType>,
) -> Result<Aggregated> {
    let (function, arguments) = match &expr {
        Expr::AggregateFunction(call) => (&call.func, &call.params.args),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => (function, &call.params.args),
            WindowFunctionDefinition::WindowUDF(_) => return Ok(Aggregated::Whole(expr)),
        },
        _ => return Ok(Aggregated::Whole(expr)),
    };
    let (is_average, [argument]) = (function.name() == "avg", &arguments[..]) else {
        return Ok(Aggregated::Whole(expr));
    };
    if !is_average && function.name() != "sum" {
        return Ok(Aggregated::Whole(expr));
    }
    let data_type = type_of(argument)?;
    if !is_exact(&data_type) {
        return Ok(Aggregated::Whole(expr));
    }
    let total = call_of(&expr, sum, summed(argument.clone(), &data_type));
    Ok(match is_average {
        true => Aggregated::Quotient {
            sum: total,
            count: call_of(&expr, count, argument.clone()),
        },
        false => Aggregated::Whole(total),
    })
}

/// The same call of another aggregate.
fn call_of(expr: &Expr, function: &Arc<AggregateUDF>, argument: Expr) -> Expr {
    match expr.clone() {
        Expr::AggregateFunction(mut call) => {
            call.func = function.clone();
            call.params.args = vec![argument];
            Expr::AggregateFunction(call)
        }
        Expr::WindowFunction(mut call) => {
            call.fun = WindowFunctionDefinition::AggregateUDF(function.clone());
            call.params.args = vec![argument];
            Expr::WindowFunction(call)
        }
        other => other,
    }
}

/// Division and multiplication in 256 bits, with the places that Postgres gives
/// (`src/backend/utils/adt/numeric.c`), or an error where these bits are not enough.
///
/// The column has one scale; beyond a value's own places it has zeros.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Wide {
    op: Operator,
    signature: Signature,
}

const SIGNIFICANT_DIGITS_MIN: i32 = 16;
/// Of a digit of Postgres' numerics, which are of base 10,000.
const DECIMAL_DIGITS: i32 = 4;
/// The scale of what is computed in 256 bits: that of a quotient of a trillionth of a trillionth.
const PLACES: i32 = 36;
const WIDE: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, PLACES as i8);

impl ScalarUDFImpl for Wide {
    fn name(&self) -> &str {
        match self.op {
            Operator::Divide => "numeric_divide",
            _ => "numeric_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(WIDE)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { arguments.number_rows };
        let operand = |arg: &ColumnarValue| Operand::new(arg.to_array(rows)?);
        let (left, right) = (operand(&arguments.args[0])?, operand(&arguments.args[1])?);
        let mut results = Decimal256Builder::with_capacity(rows).with_data_type(WIDE);
        for row in 0..rows {
            results.append_option(match (left.value(row), right.value(row)) {
                (Some(left), Some(right)) if self.op == Operator::Divide => Some(divide(left, right)?),
                (Some(left), Some(right)) => Some(multiply(left, right).ok_or_else(too_many_digits)?),
                _ => None,
            });
        }
        let results: ArrayRef = Arc::new(results.finish());
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&results, 0)?),
            false => ColumnarValue::Array(results),
        })
    }
}

fn too_many_digits() -> DataFusionError {
    exec_datafusion_err!("a product or quotient of numerics has more digits than are computed here: round its operands")
}

/// A value in units of ten to the minus `scale`.
#[derive(Clone, Copy)]
struct Numeric {
    units: i256,
    scale: i32,
}

/// A numeric column.
struct Operand {
    array: ArrayRef,
    scale: i32,
}

impl Operand {
    fn new(array: ArrayRef) -> Result<Self> {
        let scale = match array.data_type() {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => i32::from(*scale),
            other => return Err(exec_datafusion_err!("{other} is not numeric")),
        };
        Ok(Self { array, scale })
    }

    fn value(&self, row: usize) -> Option<Numeric> {
        if self.array.is_null(row) {
            return None;
        }
        let scale = self.scale;
        Some(match self.array.data_type() {
            DataType::Decimal128(..) => Numeric {
                units: i256::from_i128(self.array.as_primitive::<Decimal128Type>().value(row)),
                scale,
            },
            _ => Numeric {
                units: self.array.as_primitive::<Decimal256Type>().value(row),
                scale,
            }
            .without_zeros(),
        })
    }
}

impl Numeric {
    /// Without the zeros that its column's scale has given it.
    fn without_zeros(mut self) -> Self {
        for zeros in [16, 8, 4, 2, 1] {
            if let Some(power) = power_of_ten(zeros)
                && self.scale >= zeros
                && self.units.wrapping_rem(power) == i256::ZERO
            {
                self.units = self.units.wrapping_div(power);
                self.scale -= zeros;
            }
        }
        self
    }

    fn places(self, places: i32) -> Option<i256> {
        self.units.checked_mul(power_of_ten(places - self.scale)?)
    }
}

fn multiply(a: Numeric, b: Numeric) -> Option<i256> {
    let product = Numeric {
        units: a.units.checked_mul(b.units)?,
        scale: a.scale + b.scale,
    };
    product.without_zeros().places(PLACES)
}

/// `div_var` with the places of `select_div_scale`: at least 16 significant digits, and at least those of both
/// operands; rounded half away from zero.
fn divide(n: Numeric, d: Numeric) -> Result<i256> {
    if d.units == i256::ZERO {
        return Err(DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None));
    }
    let ((n_weight, n_first), (d_weight, d_first)) = (leading(n), leading(d));
    let weight = n_weight - d_weight - i32::from(n_first <= d_first);
    let significant = SIGNIFICANT_DIGITS_MIN - weight * DECIMAL_DIGITS;
    let scale = significant.max(n.scale).max(d.scale);
    let dividend = n.places(scale + d.scale).ok_or_else(too_many_digits)?;
    let divisor = d.units;
    let (units, rest) = match (dividend.to_i128(), divisor.to_i128()) {
        // Far faster, and the usual case.
        (Some(n), Some(d)) if d != -1 => (i256::from_i128(n / d), i256::from_i128(n % d)),
        _ => (dividend.wrapping_div(divisor), dividend.wrapping_rem(divisor)),
    };
    let rest = rest.wrapping_abs();
    let rounds = rest != i256::ZERO && rest >= divisor.wrapping_abs().wrapping_sub(rest);
    let step = match (dividend < i256::ZERO) == (divisor < i256::ZERO) {
        true => i256::ONE,
        false => i256::MINUS_ONE,
    };
    let units = if rounds { units.wrapping_add(step) } else { units };
    Numeric { units, scale }.places(PLACES).ok_or_else(too_many_digits)
}

/// The weight of a value's first digit of base 10,000, and that digit; of zero both are 0.
fn leading(value: Numeric) -> (i32, i256) {
    let Numeric { units, scale } = value;
    let value = units.wrapping_abs();
    if value == i256::ZERO {
        return (0, value);
    }
    let digits = match value.to_i128() {
        Some(value) => value.ilog10() as i32 + 1,
        None => value.to_string().len() as i32,
    };
    let weight = (digits - 1 - scale).div_euclid(DECIMAL_DIGITS);
    let below = scale + weight * DECIMAL_DIGITS;
    let first = match power_of_ten(below.abs()) {
        Some(power) if below >= 0 => value.wrapping_div(power),
        Some(power) => value.wrapping_mul(power),
        None => i256::ZERO,
    };
    (weight, first)
}

fn power_of_ten(exponent: i32) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?)
}
