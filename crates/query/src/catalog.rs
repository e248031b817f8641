//! The lake as DataFusion's catalog: a schema for each source, one for results, one for the lake itself.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::TableType;
use lake_storage::RESULTS;

use crate::reading::{Plain, Reading, missing_sources};
use crate::{Error, Scope, runs_table};

/// The catalog's name, which only `show tables` shows.
pub(crate) const CATALOG: &str = "lake";
/// The schema that plain names belong to: no source can be called so.
pub(crate) const PLAIN_SCHEMA: &str = "";
/// The schema of what the lake tells about itself.
pub(crate) const LAKE_SCHEMA: &str = "lake";
/// Its table of runs.
pub(crate) const RUNS: &str = "runs";

/// The catalog of one query.
#[derive(Debug)]
pub(crate) struct LakeCatalog {
    reading: Arc<Reading>,
    scope: Scope,
}

impl LakeCatalog {
    pub(crate) fn new(reading: Arc<Reading>, scope: Scope) -> Self {
        Self { reading, scope }
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self.reading.sources() {
            Ok(sources) => sources.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "the lake's sources can't be listed");
                Vec::new()
            }
        };
        names.extend([RESULTS.to_owned(), LAKE_SCHEMA.to_owned()]);
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let reading = self.reading.clone();
        match name {
            PLAIN_SCHEMA => Some(Arc::new(PlainNames {
                reading,
                scope: self.scope,
            })),
            LAKE_SCHEMA => Some(Arc::new(LakeItself { reading })),
            _ if name == RESULTS || reading.sources().is_ok_and(|sources| sources.contains(name)) => {
                Some(Arc::new(SourceSchema {
                    reading,
                    source: name.to_owned(),
                }))
            }
            _ => None,
        }
    }
}

/// The tables of a source.
#[derive(Debug)]
struct SourceSchema {
    reading: Arc<Reading>,
    source: String,
}

#[async_trait]
impl SchemaProvider for SourceSchema {
    fn table_names(&self) -> Vec<String> {
        match self.reading.latest(&self.source) {
            Ok(Some(manifest)) => manifest.tables.keys().cloned().collect(),
            Ok(None) => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, source = self.source, "its tables can't be listed");
                Vec::new()
            }
        }
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let table = if self.reading.names(name) {
            self.reading.table(&self.source, name)
        } else {
            self.reading.describe(&self.source, name)
        };
        Ok(table.map_err(external)?.map(|table| Arc::new(table) as _))
    }

    async fn table_type(&self, _name: &str) -> DataFusionResult<Option<TableType>> {
        Ok(Some(TableType::Base)) // without reading the table, for lists of thousands
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|table| table == name)
    }
}

/// Tables by their plain names, where only one source has them.
#[derive(Debug)]
struct PlainNames {
    reading: Arc<Reading>,
    scope: Scope,
}

#[async_trait]
impl SchemaProvider for PlainNames {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        match (self.reading.plain(name).map_err(external)?, self.scope) {
            (Plain::Source(source), _) => {
                let table = self.reading.table(&source, name).map_err(external)?;
                Ok(table.map(|table| Arc::new(table) as _))
            }
            (Plain::Missing(sources), Scope::Day(date)) => Err(external(missing_sources(&sources, date).into())),
            (Plain::Missing(_) | Plain::Nowhere, _) => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        matches!(self.reading.plain(name), Ok(Plain::Source(_)))
    }
}

/// What the lake tells about itself.
#[derive(Debug)]
struct LakeItself {
    reading: Arc<Reading>,
}

#[async_trait]
impl SchemaProvider for LakeItself {
    fn table_names(&self) -> Vec<String> {
        vec![RUNS.to_owned()]
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        if name != RUNS {
            return Ok(None);
        }
        let table = if self.reading.names(name) {
            runs_table::read(self.reading.lake()).map_err(external)?
        } else {
            runs_table::empty()?
        };
        Ok(Some(Arc::new(table)))
    }

    async fn table_type(&self, _name: &str) -> DataFusionResult<Option<TableType>> {
        Ok(Some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        name == RUNS
    }
}

/// Carries an error of ours through DataFusion.
pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
