//! `lake.runs`: every step of every run.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use lake_storage::{Lake, RunRecord, StepRecord};

use crate::Result;
use crate::planning_error::from_datafusion;

fn schema() -> SchemaRef {
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("run", DataType::Utf8, false),
        Field::new("command", DataType::Utf8, false),
        Field::new("date", DataType::Date32, false),
        Field::new("step", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, true),
        Field::new("status", DataType::Utf8, false),
        Field::new("started_at", instant(), false),
        Field::new("ended_at", instant(), true),
        Field::new("tables", DataType::Int64, false),
        Field::new("rows", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
        Field::new("error", DataType::Utf8, true),
    ]))
}

/// The steps of all runs, in the order of days and runs.
///
/// # Errors
/// [`crate::Error::Lake`] if a record can't be read.
pub(crate) fn read(lake: &Lake) -> Result<MemTable> {
    let mut rows = Rows::default();
    for date in lake.run_days()? {
        for run in lake.runs(date)? {
            for step in &run.steps {
                rows.push(&run, step);
            }
        }
    }
    let batch = RecordBatch::try_new(schema(), rows.finish());
    let batch = batch.map_err(|error| from_datafusion(error.into()))?;
    MemTable::try_new(schema(), vec![vec![batch]]).map_err(from_datafusion)
}

/// The table without its rows, for lists of columns.
pub(crate) fn empty() -> std::result::Result<MemTable, DataFusionError> {
    MemTable::try_new(schema(), vec![Vec::new()])
}

#[derive(Default)]
struct Rows {
    run: StringBuilder,
    command: StringBuilder,
    date: Date32Builder,
    step: StringBuilder,
    source: StringBuilder,
    status: StringBuilder,
    started_at: TimestampMicrosecondBuilder,
    ended_at: TimestampMicrosecondBuilder,
    tables: Int64Builder,
    rows: Int64Builder,
    bytes: Int64Builder,
    error: StringBuilder,
}

impl Rows {
    fn push(&mut self, run: &RunRecord, step: &StepRecord) {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.run.append_value(run.run.to_string());
        self.command.append_value(&run.command);
        self.date.append_value(run.date.days_since_epoch());
        self.step.append_value(&step.step);
        self.source.append_option(step.source.as_deref());
        self.status.append_value(step.status.to_string());
        self.started_at.append_value(step.started_at.timestamp_micros());
        self.ended_at
            .append_option(step.ended_at.map(|at| at.timestamp_micros()));
        self.tables.append_value(count(step.tables));
        self.rows.append_value(count(step.rows));
        self.bytes.append_value(count(step.bytes));
        self.error.append_option(step.error.as_deref());
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.run.finish()),
            Arc::new(self.command.finish()),
            Arc::new(self.date.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.started_at.finish().with_timezone("UTC")),
            Arc::new(self.ended_at.finish().with_timezone("UTC")),
            Arc::new(self.tables.finish()),
            Arc::new(self.rows.finish()),
            Arc::new(self.bytes.finish()),
            Arc::new(self.error.finish()),
        ]
    }
}
