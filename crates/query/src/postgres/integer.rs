//! Integers: results are of the wider operand's type, and one that it can't hold is an error.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric;
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
///
/// `a + b - c` is one call: what the engine does with calls within calls takes the third power of their depth.
pub(super) fn computed(op: Operator, left: Expr, right: Expr, data_type: DataType) -> Expr {
    let (mut operands, mut ops) = match left {
        Expr::ScalarFunction(call) if Compute::of(&call).is_some_and(|within| within.data_type == data_type) => {
            let ops = Compute::of(&call).map(|within| within.ops.clone());
            (call.args, ops.unwrap_or_default())
        }
        left => (vec![left], Vec::new()),
    };
    operands.push(right);
    ops.push(op);
    // The engine tells columns by their names, and so calls of other operators.
    let symbols: Vec<String> = ops.iter().map(Operator::to_string).collect();
    let function = Compute {
        name: format!("integer[{}]", symbols.join(" ")),
        signature: Signature::any(operands.len(), Volatility::Immutable),
        ops,
        data_type,
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), operands))
}

/// Operators between operands, from left to right.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Compute {
    name: String,
    ops: Vec<Operator>,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Compute {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut operands = arguments.args.iter();
        let mut result = match operands.next() {
            Some(first) => first.cast_to(&self.data_type, None)?,
            None => return Err(exec_datafusion_err!("nothing to compute")),
        };
        for (op, operand) in self.ops.iter().zip(operands) {
            result = self.apply(*op, &result, &operand.cast_to(&self.data_type, None)?)?;
        }
        Ok(result)
    }
}

impl Compute {
    fn of(call: &ScalarFunction) -> Option<&Self> {
        let function: &dyn Any = call.func.inner().as_ref();
        function.downcast_ref()
    }

    fn apply(&self, op: Operator, left: &ColumnarValue, right: &ColumnarValue) -> Result<ColumnarValue> {
        let compute = match op {
            Operator::Plus => numeric::add,
            Operator::Minus => numeric::sub,
            Operator::Multiply => numeric::mul,
            Operator::Divide => numeric::div,
            _ => numeric::rem,
        };
        let (left, right) = (datum(left)?, datum(right)?);
        let is_scalar = left.get().1 && right.get().1;
        let result: ArrayRef = compute(left.as_ref(), right.as_ref()).map_err(|error| self.error(error))?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
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

fn datum(value: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match value {
        ColumnarValue::Array(array) => Box::new(array.clone()),
        ColumnarValue::Scalar(value) => Box::new(value.to_scalar()?),
    })
}
