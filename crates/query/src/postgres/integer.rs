//! Integers: results are of the wider operand's type, and one that it can't hold is an error.

use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::{cast::cast, numeric};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The type of an integer expression: a literal is an `integer` if it fits.
pub(super) fn integer_type(expr: &Expr, data_type: &DataType) -> Option<DataType> {
    match (expr, data_type) {
        (Expr::Literal(ScalarValue::Int64(Some(value)), _), _) if i32::try_from(*value).is_ok() => {
            Some(DataType::Int32)
        }
        (_, DataType::Int16 | DataType::Int32 | DataType::Int64) => Some(data_type.clone()),
        // Of the engine's own functions, as `row_number`; a literal of it exceeds a `bigint`.
        (Expr::Literal(..), _) => None,
        (_, DataType::UInt32 | DataType::UInt64) => Some(DataType::Int64),
        _ => None,
    }
}

/// Of two integer types the one that holds both's values.
pub(super) fn wider(a: DataType, b: DataType) -> DataType {
    let width = |data_type: &DataType| data_type.primitive_width();
    if width(&a) >= width(&b) { a } else { b }
}

/// `left op right` in a type, which the operands are brought to.
pub(super) fn computed(op: Operator, left: Expr, right: Expr, data_type: DataType) -> Expr {
    let function = Compute {
        op,
        data_type,
        signature: Signature::any(2, Volatility::Immutable),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(ScalarUDF::from(function)),
        vec![left, right],
    ))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Compute {
    op: Operator,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Compute {
    fn name(&self) -> &str {
        match self.op {
            Operator::Plus => "integer_add",
            Operator::Minus => "integer_subtract",
            Operator::Multiply => "integer_multiply",
            Operator::Divide => "integer_divide",
            _ => "integer_modulo",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (left, right) = (self.operand(&arguments.args[0])?, self.operand(&arguments.args[1])?);
        let is_scalar = left.get().1 && right.get().1;
        let compute = match self.op {
            Operator::Plus => numeric::add,
            Operator::Minus => numeric::sub,
            Operator::Multiply => numeric::mul,
            Operator::Divide => numeric::div,
            _ => numeric::rem,
        };
        let result: ArrayRef = compute(left.as_ref(), right.as_ref()).map_err(|error| self.error(error))?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

impl Compute {
    fn operand(&self, value: &ColumnarValue) -> Result<Box<dyn Datum>> {
        Ok(match value {
            ColumnarValue::Array(array) => Box::new(cast(array, &self.data_type)?),
            ColumnarValue::Scalar(value) => Box::new(value.cast_to(&self.data_type)?.to_scalar()?),
        })
    }

    fn error(&self, error: ArrowError) -> DataFusionError {
        match error {
            ArrowError::ArithmeticOverflow(_) => {
                let name = match self.data_type {
                    DataType::Int16 => "smallint",
                    DataType::Int32 => "integer",
                    _ => "bigint",
                };
                exec_datafusion_err!("{name} out of range: cast an operand to a wider type, bigint or numeric")
            }
            other => other.into(),
        }
    }
}
