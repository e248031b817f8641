//! A table of the lake for DataFusion: the files that manifests name, in the order of the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, BooleanArray, Date32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, ScalarUDF, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use lake_storage::{EXTRACT_DATE, Lake, RunDate, StoredFile, TableEntry};

use crate::file_reader::{CheckedReaders, ScannedFile};
use crate::postgres::TrimBlanks;
use crate::{Result, Scope, day_schema};

/// A table in the scope of a query.
///
/// With all days in scope, `extract_date` comes after the table's own columns; with one day it is
/// not there, so that `select *` gives the table as it is in its source.
#[derive(Debug)]
pub(crate) struct LakeTable {
    source: String,
    schema: TableSchema,
    files: Vec<TableFile>,
    /// Columns whose values have, in files of some days, the blanks of `char(n)`.
    padded: BTreeSet<String>,
}

#[derive(Debug)]
struct TableFile {
    date: RunDate,
    stored: StoredFile,
}

impl LakeTable {
    /// # Errors
    /// [`crate::Error::ColumnType`] if the days' columns do not fit together.
    pub(crate) fn new(
        lake: &Lake,
        scope: Scope,
        source: &str,
        table: &str,
        days: BTreeMap<RunDate, &TableEntry>,
    ) -> Result<Self> {
        let own = day_schema::over_days(table, &days)?;
        let partition: Vec<FieldRef> = match scope {
            Scope::Day(_) => Vec::new(),
            Scope::AllDays => vec![Arc::new(Field::new(EXTRACT_DATE, DataType::Date32, false))],
        };
        let mut files = Vec::new();
        for (date, entry) in days {
            let of_day = lake.files(source, table, entry)?.into_iter();
            let of_day = of_day.filter(|file| file.rows > 0);
            files.extend(of_day.map(|stored| TableFile { date, stored }));
        }
        let padded = files.iter().flat_map(|file| file.stored.padded.iter().cloned());
        Ok(Self {
            source: source.to_owned(),
            schema: TableSchema::builder(own).with_table_partition_cols(partition).build(),
            padded: padded.collect(),
            files,
        })
    }

    /// The source that it is of.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    fn is_partitioned(&self) -> bool {
        !self.schema.table_partition_cols().is_empty()
    }

    /// The files of the days for which `filters` hold; they mention no column but `extract_date`.
    fn files_of_days(&self, state: &dyn Session, filters: &[&Expr]) -> DataFusionResult<Vec<&TableFile>> {
        if filters.is_empty() {
            return Ok(self.files.iter().collect());
        }
        let mut dates: Vec<i32> = self.files.iter().map(|file| file.date.days_since_epoch()).collect();
        dates.dedup();
        let schema = Schema::new(self.schema.table_partition_cols().clone());
        let df_schema = DFSchema::try_from(schema.clone())?;
        let column: ArrayRef = Arc::new(Date32Array::from(dates.clone()));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column])?;
        let mut kept = vec![true; dates.len()];
        for filter in filters {
            // The filter names the column with its table, the batch here without.
            let filter = datafusion::logical_expr::expr_rewriter::unnormalize_col((*filter).clone());
            let holds = state.create_physical_expr(filter, &df_schema)?.evaluate(&batch)?;
            let holds = holds.into_array(dates.len())?;
            let holds: &BooleanArray = holds.as_boolean();
            for (kept, holds) in kept.iter_mut().zip(holds) {
                *kept &= holds == Some(true);
            }
        }
        let kept = |file: &&TableFile| {
            let place = dates.binary_search(&file.date.days_since_epoch());
            place.is_ok_and(|place| kept[place])
        };
        Ok(self.files.iter().filter(kept).collect())
    }

    fn partitioned_file(&self, file: &TableFile) -> DataFusionResult<PartitionedFile> {
        // `PartitionedFile::new` would encode what a folder's name may hold, as percent signs.
        let location = object_store::path::Path::from_absolute_path(&file.stored.path)?;
        let mut partitioned = PartitionedFile::new(String::new(), file.stored.bytes);
        partitioned.object_meta.location = location;
        partitioned.extensions.insert(ScannedFile::new(file.stored.clone()));
        if self.is_partitioned() {
            partitioned = partitioned.with_partition_values(vec![self.date_value(file.date)]);
        }
        let own = Statistics::new_unknown(self.schema.file_schema()).with_num_rows(exact(file.stored.rows));
        Ok(partitioned.with_statistics(Arc::new(own)))
    }

    /// Exact rows, and exact bounds of `extract_date`: `count(*)` and `max(extract_date)` read no file.
    fn statistics_of(&self, files: &[&TableFile]) -> Statistics {
        let rows = files.iter().map(|file| file.stored.rows).sum();
        let mut statistics = Statistics::new_unknown(self.schema.table_schema()).with_num_rows(exact(rows));
        if let (true, Some(first), Some(last)) = (self.is_partitioned(), files.first(), files.last())
            && let Some(column) = statistics.column_statistics.last_mut()
        {
            *column = ColumnStatistics::new_unknown()
                .with_null_count(Precision::Exact(0))
                .with_min_value(Precision::Exact(self.date_value(first.date)))
                .with_max_value(Precision::Exact(self.date_value(last.date)));
        }
        statistics
    }

    fn date_value(&self, date: RunDate) -> ScalarValue {
        ScalarValue::Date32(Some(date.days_since_epoch()))
    }

    /// The statistics of such columns are of the values with their blanks.
    fn is_on_padded(&self, filter: &Expr) -> bool {
        let mut columns = filter.column_refs().into_iter();
        columns.any(|column| self.padded.contains(&column.name))
    }

    /// A scan with the blanks trimmed that earlier days have.
    fn trimmed(&self, scan: Arc<dyn ExecutionPlan>, state: &dyn Session) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = scan.schema();
        if !schema.fields().iter().any(|field| self.padded.contains(field.name())) {
            return Ok(scan);
        }
        let trim = Arc::new(ScalarUDF::from(TrimBlanks));
        let columns = schema.fields().iter().enumerate().map(|(place, field)| {
            let mut expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), place));
            if self.padded.contains(field.name()) {
                let options = Arc::new(state.config_options().clone());
                expr = Arc::new(ScalarFunctionExpr::new(
                    "trim_blanks",
                    trim.clone(),
                    vec![expr],
                    field.clone(),
                    options,
                ));
            }
            (expr, field.name().clone())
        });
        let columns: Vec<_> = columns.collect();
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }

    fn on_days_only(&self, filter: &Expr) -> bool {
        self.is_partitioned()
            && !filter.is_volatile()
            && !filter.column_refs().is_empty()
            && filter.column_refs().iter().all(|column| column.name == EXTRACT_DATE)
            && !has_subquery(filter)
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // Inexact: Parquet's statistics leave out row groups and pages, the rows are filtered above.
        Ok(filters
            .iter()
            .map(|filter| match self.on_days_only(filter) {
                true => TableProviderFilterPushDown::Exact,
                false if self.is_on_padded(filter) => TableProviderFilterPushDown::Unsupported,
                false => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (of_days, others): (Vec<&Expr>, Vec<&Expr>) = filters.iter().partition(|filter| self.on_days_only(filter));
        let mut files = self.files_of_days(state, &of_days)?;
        if let (Some(limit), true) = (limit, others.is_empty()) {
            let mut rows = 0;
            let enough = files.iter().position(|file| {
                rows += file.stored.rows;
                rows >= limit as u64
            });
            files.truncate(enough.map_or(files.len(), |last| last + 1));
        }
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }

        let url = ObjectStoreUrl::local_filesystem();
        let mut options = TableParquetOptions::new();
        options.global = state.config_options().execution.parquet.clone();
        let source = ParquetSource::new(self.schema.clone())
            .with_parquet_file_reader_factory(Arc::new(CheckedReaders))
            .with_table_parquet_options(options);

        let statistics = self.statistics_of(&files);
        let files = files.into_iter().map(|file| self.partitioned_file(file));
        // One group: the rows' order stays where nothing is gained by parallel reading, and the
        // optimizer cuts it into ranges of bytes where something is.
        let group =
            FileGroup::new(files.collect::<DataFusionResult<_>>()?).with_statistics(Arc::new(statistics.clone()));
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_group(group)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        self.trimmed(DataSourceExec::from_data_source(config), state)
    }
}

fn exact(rows: u64) -> Precision<usize> {
    usize::try_from(rows).map_or(Precision::Absent, Precision::Exact)
}

fn has_subquery(expr: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode as _;
    let is_subquery = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(..)
        ))
    };
    expr.exists(is_subquery).unwrap_or(true)
}
