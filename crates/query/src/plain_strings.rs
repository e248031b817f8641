//! Arrow's several layouts of strings and binaries as the one that Delta and Postgres are fed with.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};

use crate::Result;
use crate::planning_error::from_datafusion;

/// `Utf8` and `Binary` in place of the view types and of dictionaries; all else as it is.
pub(crate) fn schema(schema: &SchemaRef) -> SchemaRef {
    if schema.fields().iter().all(|field| plain(field.data_type()).is_none()) {
        return schema.clone();
    }
    let fields = schema.fields().iter().map(|field| match plain(field.data_type()) {
        Some(data_type) => Arc::new(field.as_ref().clone().with_data_type(data_type)),
        None => field.clone(),
    });
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// A batch in the types of [`schema`]; its values are the same.
///
/// # Errors
/// [`crate::Error::Query`] if a column of strings exceeds 2 GiB within the batch.
pub(crate) fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let convert = || {
        let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column.clone())
            } else {
                cast(column, field.data_type())
            }
        });
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema.clone(), columns, &options)
    };
    convert().map_err(|error| from_datafusion(error.into()))
}

/// The plain type where it is another one.
fn plain(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => Some(DataType::Utf8),
        DataType::BinaryView | DataType::LargeBinary => Some(DataType::Binary),
        DataType::Dictionary(_, value) => Some(plain(value).unwrap_or_else(|| value.as_ref().clone())),
        DataType::List(item) => {
            let plain = plain(item.data_type())?;
            Some(DataType::List(Arc::new(item.as_ref().clone().with_data_type(plain))))
        }
        _ => None,
    }
}
