//! SQL over the lake: plans and runs one statement at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::{CatalogProviderList as _, MemoryCatalogProviderList};
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::resolve::resolve_table_references;
use lake_storage::{EXTRACT_DATE, Lake, MemorySize, RESULTS, RunDate, RunId};

use crate::catalog::{CATALOG, LAKE_SCHEMA, LakeCatalog, PLAIN_SCHEMA};
use crate::in_order::UnionsInOrder;
use crate::planning_error::from_datafusion;
use crate::postgres::PostgresSemantics;
use crate::reading::{Plain, Reading};
use crate::statement::{Allowed, parse};
use crate::table::LakeTable;
use crate::unchecked_scan::UncheckedScans;
use crate::{Error, QueryStream, Result, result_schema};

/// The days that a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One day: each table is as its source had it, without a column for the day.
    Day(RunDate),
    /// All complete days, with the column `extract_date` after the table's own.
    AllDays,
}

/// With less memory for each partition, fewer of them get further: each sort keeps some for its merge.
const PARTITION_BYTES_MIN: usize = 32 << 20;

/// A join's smaller side up to this size is one hash table for all partitions: the rows of the larger
/// side, often many times as many, are then looked up where they are read, not first brought to the
/// partition of their key.
const COLLECTED_BYTES_MAX: usize = 64 << 20;
const COLLECTED_ROWS_MAX: usize = 2 << 20;

/// What queries may use of the machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that a query is cut for.
    pub target_partitions: usize,
    /// Bytes that sorts, joins and groups may hold before they write to disk; none: no limit.
    pub memory_bytes_max: Option<usize>,
    /// Where they write; none: the system's folder for temporary files.
    pub spill_dir: Option<PathBuf>,
}

impl Settings {
    /// The same for a process that is to get by with so much memory in all: a third of what the process
    /// itself leaves is for sorts, joins and groups, the rest for what is read and written meanwhile.
    pub fn within(self, size: MemorySize) -> Self {
        let bytes = size.beside_process() / 3;
        Self {
            target_partitions: self.target_partitions.min(bytes / PARTITION_BYTES_MIN).max(1),
            memory_bytes_max: Some(bytes),
            ..self
        }
    }
}

impl Default for Settings {
    /// One partition a processor, no limit of memory.
    fn default() -> Self {
        Self {
            target_partitions: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            memory_bytes_max: None,
            spill_dir: None,
        }
    }
}

/// A table of the lake, for lists and completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The source, `results` or `lake`.
    pub schema: String,
    /// The table.
    pub name: String,
    /// Its columns in the day in scope, or the latest complete one.
    pub columns: Vec<String>,
    /// Its rows in that day.
    pub rows: u64,
}

/// SQL over a lake.
///
/// Every query reads the manifests anew, so an engine that lives long sees days as they come.
pub struct Engine {
    lake: Lake,
    scope: Scope,
    sources: Vec<String>,
    state: SessionState,
}

impl Engine {
    /// Makes an engine; nothing of the lake is read yet.
    ///
    /// `sources` are the configured ones: where a plain table name could be of one whose day is
    /// missing, the error says so. Other sources in the lake are visible too.
    ///
    /// # Errors
    /// [`Error::Query`] if the folder for spilled data can't be used.
    pub fn new(lake: &Lake, scope: Scope, sources: &[String], settings: &Settings) -> Result<Self> {
        let mut config = SessionConfig::new()
            .with_target_partitions(settings.target_partitions.max(1))
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, PLAIN_SCHEMA);
        let options = config.options_mut();
        // Delta and the loader have plain strings; a view type would be one more to convert.
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.parquet.schema_force_view_types = false;
        options.sql_parser.collect_spans = true;
        options.sql_parser.parse_float_as_decimal = true;
        options.execution.time_zone = Some("UTC".to_owned());
        options.optimizer.hash_join_single_partition_threshold = COLLECTED_BYTES_MAX;
        options.optimizer.hash_join_single_partition_threshold_rows = COLLECTED_ROWS_MAX;

        let mut spilled = DiskManagerBuilder::default();
        if let Some(dir) = &settings.spill_dir {
            spilled = spilled.with_mode(DiskManagerMode::Directories(vec![dir.clone()]));
        }
        let mut runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(spilled);
        if let Some(bytes) = settings.memory_bytes_max {
            let consumers_named = NonZeroUsize::MIN.saturating_add(2);
            let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), consumers_named);
            runtime = runtime.with_memory_pool(Arc::new(pool));
        }
        let mut builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime.build_arc().map_err(from_datafusion)?)
            .with_default_features();
        let semantics = PostgresSemantics {
            sum: sum_udaf(),
            count: count_udaf(),
        };
        let analyzer: [Arc<dyn AnalyzerRule + Send + Sync>; 1] = [Arc::new(semantics)];
        builder = builder.with_analyzer_rules(analyzer.into_iter().chain(Analyzer::new().rules).collect());
        let mut rules = PhysicalOptimizer::new().rules;
        if settings.target_partitions <= 1 {
            rules.insert(0, Arc::new(UnionsInOrder));
        }
        rules.push(Arc::new(UncheckedScans));
        builder = builder.with_physical_optimizer_rules(rules);
        Ok(Self {
            lake: lake.clone(),
            scope,
            sources: sources.to_vec(),
            state: builder.build(),
        })
    }

    /// Runs one statement that reads: `SELECT`, `WITH`, `VALUES`, `EXPLAIN`, `SHOW` or `DESCRIBE`.
    ///
    /// The rows come as a stream; an error while they are computed ends it.
    ///
    /// # Errors
    /// One of the SQL, the tables or the lake.
    pub async fn query(&self, sql: &str) -> Result<QueryStream> {
        self.plan(sql, Allowed::Reading).await?.run().await
    }

    /// The tables that SQL can name, by schema and name.
    ///
    /// # Errors
    /// [`Error::Lake`].
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        let reading = self.reading(BTreeSet::new());
        let mut tables = Vec::new();
        for source in reading.sources()?.into_iter().chain([RESULTS.to_owned()]) {
            let Some(manifest) = reading.latest(&source)? else {
                continue;
            };
            for (name, entry) in &manifest.tables {
                let schema = entry.arrow_schema(name)?;
                let mut columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
                if self.scope == Scope::AllDays {
                    columns.push(EXTRACT_DATE.to_owned());
                }
                tables.push(TableInfo {
                    schema: source.clone(),
                    name: name.clone(),
                    columns,
                    rows: entry.rows,
                });
            }
        }
        Ok(tables)
    }

    /// The sources that the statement's tables are of; of a plain name that is nowhere yet, all
    /// those whose day is missing.
    pub(crate) fn sources_of(&self, sql: &str) -> Result<BTreeSet<String>> {
        let statement = parse(&self.state, sql, Allowed::Select)?;
        let (tables, _) = resolve_table_references(&statement, true).map_err(from_datafusion)?;
        let reading = self.reading(names(&tables));
        let known = reading.sources()?;
        let mut sources = BTreeSet::new();
        for table in &tables {
            match table.schema() {
                Some(schema) if known.contains(schema) => {
                    sources.insert(schema.to_owned());
                }
                Some(RESULTS | LAKE_SCHEMA | "information_schema") => {
                    return Err(Error::NotOfASource {
                        table: table.to_quoted_string(),
                    });
                }
                Some(_) => {} // planning says that there is no such table
                None => match reading.plain(table.table())? {
                    Plain::Source(source) if source == RESULTS => {
                        return Err(Error::NotOfASource {
                            table: table.to_quoted_string(),
                        });
                    }
                    Plain::Source(source) => {
                        sources.insert(source);
                    }
                    Plain::Missing(missing) => sources.extend(missing),
                    Plain::Nowhere => {}
                },
            }
        }
        Ok(sources)
    }

    /// Plans a statement against the lake as it is now.
    pub(crate) async fn plan(&self, sql: &str, allowed: Allowed) -> Result<Plan> {
        let statement = parse(&self.state, sql, allowed)?;
        let (tables, _) = resolve_table_references(&statement, true).map_err(from_datafusion)?;
        let reading = Arc::new(self.reading(names(&tables)));
        let catalogs = MemoryCatalogProviderList::new();
        let catalog = LakeCatalog::new(reading.clone(), self.scope);
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        let mut state = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_catalog_list(Arc::new(catalogs))
            .build();
        state.mark_start_execution(); // what `now()` and `current_date` stand for

        let logical = match state.statement_to_plan(statement).await {
            Ok(plan) => plan,
            Err(error) => return Err(self.planning_error(from_datafusion(error), &reading, &tables)),
        };
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        read_only.verify_plan(&logical).map_err(from_datafusion)?;
        let inputs = inputs(&logical, &reading)?;
        let physical = state.create_physical_plan(&logical).await;
        Ok(Plan {
            physical: physical.map_err(from_datafusion)?,
            logical,
            inputs,
            state,
            reading,
        })
    }

    fn reading(&self, named: BTreeSet<String>) -> Reading {
        let functions = self.state.table_functions().keys().cloned().collect();
        Reading::new(self.lake.clone(), self.scope, self.sources.clone(), named, functions)
    }

    /// Says what there is in place of a name that is not there.
    fn planning_error(&self, error: Error, reading: &Reading, tables: &[TableReference]) -> Error {
        match error {
            Error::Query { message, position } if message.ends_with("not found") => {
                let unknown = tables.iter().find(|table| {
                    // DataFusion writes the name with its catalog and schema.
                    let schema = table.schema().unwrap_or(PLAIN_SCHEMA);
                    message.contains(&format!("'{CATALOG}.{schema}.{}'", table.table()))
                });
                match unknown.map(|table| (table, reading.hint(table.schema(), table.table()))) {
                    Some((table, Ok(hint))) => Error::UnknownTable {
                        table: table.to_quoted_string(),
                        hint,
                    },
                    Some((_, Err(error))) => error,
                    None => Error::Query { message, position },
                }
            }
            Error::UnknownColumn { column, position, .. }
                if column.ends_with(EXTRACT_DATE) && matches!(self.scope, Scope::Day(_)) =>
            {
                Error::UnknownColumn {
                    column,
                    position,
                    hint: "only a query over all days, without a date, has it".to_owned(),
                }
            }
            other => other,
        }
    }
}

/// A statement ready to run.
pub(crate) struct Plan {
    pub(crate) logical: LogicalPlan,
    pub(crate) physical: Arc<dyn ExecutionPlan>,
    /// The run of each source's day that it reads; of days in plural none is named.
    pub(crate) inputs: BTreeMap<String, RunId>,
    state: SessionState,
    reading: Arc<Reading>,
}

impl Plan {
    pub(crate) async fn run(self) -> Result<QueryStream> {
        let mut physical = self.physical;
        if self.state.config().target_partitions() == 1 && physical.output_partitioning().partition_count() > 1 {
            physical = Arc::new(crate::in_order::InOrderExec::new(physical));
        }
        let stream = execute_stream(physical, self.state.task_ctx()).map_err(from_datafusion)?;
        let schema = result_schema::declared(&self.logical, &stream.schema());
        Ok(QueryStream::new(stream, &schema, self.reading))
    }
}

fn names(tables: &[TableReference]) -> BTreeSet<String> {
    tables.iter().map(|table| table.table().to_owned()).collect()
}

fn inputs(plan: &LogicalPlan, reading: &Reading) -> Result<BTreeMap<String, RunId>> {
    let mut sources = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<LakeTable>()
        {
            sources.insert(table.source().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    let mut inputs = BTreeMap::new();
    for source in sources {
        if let Some(run) = reading.run_read(&source)? {
            inputs.insert(source, run);
        }
    }
    Ok(inputs)
}
