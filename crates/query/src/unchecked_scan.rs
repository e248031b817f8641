//! Scans of files from before there were hashes: what their reader makes of damage is an error that names the file.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::Stream;

use crate::file_reader::{ScannedFile, replace_last_read};

/// Puts an [`UncheckedScanExec`] on every scan of such files. It comes after all other rules, which look for scans.
#[derive(Debug)]
pub(crate) struct UncheckedScans;

impl PhysicalOptimizerRule for UncheckedScans {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match is_unchecked(node.as_ref()) {
                true => Transformed::yes(Arc::new(UncheckedScanExec { scan: node }) as _),
                false => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "unchecked_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_unchecked(node: &dyn ExecutionPlan) -> bool {
    let config = node.downcast_ref::<DataSourceExec>();
    let config = config.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
    let groups = config.into_iter().flat_map(|config| &config.file_groups);
    let scanned = groups.flat_map(|group| group.files());
    scanned
        .filter_map(|file| file.extensions.get::<ScannedFile>())
        .any(|scanned| !scanned.stored.has_hashes())
}

/// A scan whose panics are errors.
#[derive(Debug)]
struct UncheckedScanExec {
    scan: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for UncheckedScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UncheckedScanExec")
    }
}

impl ExecutionPlan for UncheckedScanExec {
    fn name(&self) -> &str {
        "UncheckedScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let scan = children.swap_remove(0);
        Ok(Arc::new(Self { scan }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        Ok(Box::pin(UncheckedStream {
            schema: self.schema(),
            batches: Some(self.scan.execute(partition, context)?),
            last_read: None,
        }))
    }
}

struct UncheckedStream {
    schema: SchemaRef,
    /// None once it has failed: nothing is to be expected of it any more.
    batches: Option<SendableRecordBatchStream>,
    /// The file that the batches are decoded from.
    last_read: Option<Arc<ScannedFile>>,
}

impl Stream for UncheckedStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(batches) = &mut this.batches else {
            return Poll::Ready(None);
        };
        // Whatever is decoded is decoded here, in the thread that polls.
        let others = replace_last_read(this.last_read.take());
        let polled = lake_storage::catch(|| batches.as_mut().poll_next(context));
        this.last_read = replace_last_read(others);
        let error = match polled {
            Ok(Poll::Ready(Some(Err(error)))) => error,
            Ok(polled) => return polled,
            Err(reason) => DataFusionError::Execution(reason),
        };
        this.batches = None;
        Poll::Ready(Some(Err(this.named(error))))
    }
}

impl UncheckedStream {
    /// The error of the file that was read last, unless it is one of a file already.
    fn named(&self, error: DataFusionError) -> DataFusionError {
        match &self.last_read {
            Some(file) if crate::planning_error::of_lake(&error).is_none() => {
                DataFusionError::External(Box::new(crate::Error::from(file.stored.undecodable(&error))))
            }
            _ => error,
        }
    }
}

impl RecordBatchStream for UncheckedStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
