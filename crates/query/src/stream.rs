//! The rows of a query as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::Stream;

use crate::planning_error::from_datafusion;
use crate::reading::Reading;
use crate::{Result, plain_strings};

/// The rows of a query: a stream of batches of one schema.
///
/// Strings and binaries are of Arrow's plain types, `Utf8` and `Binary`, whatever the query's
/// functions made of them.
pub struct QueryStream {
    schema: SchemaRef,
    batches: SendableRecordBatchStream,
    /// Holds the files that are read.
    _reading: Arc<Reading>,
}

impl QueryStream {
    /// `schema` is that of the batches, as far as their types go.
    pub(crate) fn new(batches: SendableRecordBatchStream, schema: &SchemaRef, reading: Arc<Reading>) -> Self {
        Self {
            schema: plain_strings::schema(schema),
            batches,
            _reading: reading,
        }
    }

    /// The columns, known before the first row.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = ready!(self.batches.as_mut().poll_next(context));
        Poll::Ready(batch.map(|batch| {
            let batch = batch.map_err(from_datafusion)?;
            plain_strings::batch(&batch, &self.schema)
        }))
    }
}
