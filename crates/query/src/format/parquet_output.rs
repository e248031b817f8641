//! Parquet for readers outside of the lake.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::write_error;
use crate::{Error, Result, result_type};

/// Writes rows in the types that the lake keeps: times and intervals as text, no unsigned integers.
pub(super) struct ParquetWriter<W: Write + Send> {
    schema: SchemaRef,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> Result<Self> {
        let schema = result_type::schema(schema)?;
        let properties = lake_storage::parquet_properties(&schema);
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(parquet_error)?;
        Ok(Self { schema, writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = result_type::batch(batch, &self.schema)?;
        self.writer.write(&batch).map_err(parquet_error)
    }

    pub(super) fn finish(self) -> Result<W> {
        self.writer.into_inner().map_err(parquet_error)
    }
}

/// An I/O error stays one, so that a closed pipe is known by its kind.
fn parquet_error(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => write_error(*source),
            Err(inner) => Error::WriteParquet {
                source: ParquetError::External(inner),
            },
        },
        source => Error::WriteParquet { source },
    }
}
