//! A lake in a folder of its own, a database of its own, and days as the extractor writes them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use lake_loader::{Error, LoadReport, LoadRequest, SchemaRule, Target, Triggers};
use lake_postgres::{
    METADATA_BASE_TYPE, METADATA_NAME, METADATA_NOT_NULL, METADATA_PRIMARY_KEY, METADATA_TYPE, Timeouts,
};
use lake_sandbox::PostgresServer;
use lake_storage::{Coverage, Lake, Manifest, Relation, RunDate, RunId, TableWrite};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

pub const SOURCE: &str = "shop";

pub struct Fixture {
    pub lake: Lake,
    pub target: Target,
    /// A session of the test's own.
    pub client: Client,
    /// The database's name, which no other test has: roles are named after it.
    pub database: String,
    _folder: TempDir,
}

pub fn day(text: &str) -> RunDate {
    text.parse().unwrap()
}

pub fn monday() -> RunDate {
    day("2021-01-04")
}

pub fn tuesday() -> RunDate {
    day("2021-01-05")
}

/// A column of the lake: its values and what its metadata says.
#[derive(Clone)]
pub struct Column {
    name: String,
    array: ArrayRef,
    metadata: HashMap<String, String>,
}

impl Column {
    pub fn new(name: &str, array: impl Array + 'static) -> Self {
        Self {
            name: name.into(),
            array: Arc::new(array),
            metadata: HashMap::new(),
        }
    }

    pub fn int(name: &str, values: impl IntoIterator<Item = i32>) -> Self {
        Self::new(name, Int32Array::from_iter_values(values)).of("integer")
    }

    pub fn bigint(name: &str, values: impl IntoIterator<Item = i64>) -> Self {
        Self::new(name, Int64Array::from_iter_values(values)).of("bigint")
    }

    pub fn text<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(name, StringArray::from_iter_values(values)).of("text")
    }

    /// Its Postgres type, as `format_type` prints it.
    pub fn of(mut self, type_name: &str) -> Self {
        self.metadata.insert(METADATA_TYPE.into(), type_name.into());
        self
    }

    /// The type below it, if that is a domain.
    pub fn below(mut self, type_name: &str) -> Self {
        self.metadata.insert(METADATA_BASE_TYPE.into(), type_name.into());
        self
    }

    pub fn called(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Its name in its table, where it has another in the lake.
    pub fn in_source(mut self, name: &str) -> Self {
        self.metadata.insert(METADATA_NAME.into(), name.into());
        self
    }

    pub fn not_null(mut self) -> Self {
        self.metadata.insert(METADATA_NOT_NULL.into(), "true".into());
        self
    }

    pub fn key(mut self, place: u32) -> Self {
        self.metadata.insert(METADATA_PRIMARY_KEY.into(), place.to_string());
        self.not_null()
    }

    /// As a column of a file has it.
    pub fn bare(mut self) -> Self {
        self.metadata.clear();
        self
    }
}

/// A table of a source's day.
pub struct Table {
    name: String,
    relation: Option<Relation>,
    columns: Vec<Column>,
}

pub fn table(name: &str, columns: impl IntoIterator<Item = Column>) -> Table {
    Table {
        name: name.into(),
        relation: None,
        columns: columns.into_iter().collect(),
    }
}

impl Table {
    pub fn called(mut self, schema: &str, name: &str) -> Self {
        self.relation = Some(Relation {
            schema: schema.into(),
            name: name.into(),
            oid: 0,
        });
        self
    }
}

impl Fixture {
    pub async fn new() -> Self {
        let server = PostgresServer::shared().unwrap();
        let url = server.fresh_database().await.unwrap();
        let database = url.rsplit('/').next().unwrap().to_owned();
        let folder = tempfile::tempdir().unwrap();
        Self {
            lake: Lake::at(folder.path()).unwrap(),
            client: connect(&url).await,
            target: Target {
                url,
                timeouts: Timeouts::default(),
                schema: SchemaRule::Fixed("public".into()),
                triggers: Triggers::On,
            },
            database,
            _folder: folder,
        }
    }

    /// Publishes a source's whole day.
    pub async fn publish(&self, date: RunDate, tables: impl IntoIterator<Item = Table>) -> Manifest {
        self.publish_to(SOURCE, date, tables, Coverage::Whole).await
    }

    pub async fn publish_to(
        &self,
        source: &str,
        date: RunDate,
        tables: impl IntoIterator<Item = Table>,
        coverage: Coverage,
    ) -> Manifest {
        let run = RunId::new();
        let writer = self.lake.begin_day(source, date, &run, "lake extract").unwrap();
        let mut writes = Vec::new();
        for table in tables {
            let fields: Vec<Field> = table
                .columns
                .iter()
                .map(|c| Field::new(&c.name, c.array.data_type().clone(), true).with_metadata(c.metadata.clone()))
                .collect();
            let schema = Arc::new(Schema::new(fields));
            // As extracts write `char(n)`.
            let arrays = table.columns.iter().map(|c| match c.metadata.get(METADATA_TYPE) {
                Some(declared) if declared.starts_with("character(") => lake_storage::trimmed(&c.array),
                _ => c.array.clone(),
            });
            let arrays = arrays.collect();
            let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
            let mut file = writer.file(&table.name, &schema, 0).unwrap();
            file.write(&batch).unwrap();
            writes.push(TableWrite {
                name: table.name,
                relation: table.relation,
                snapshot: None,
                inputs: Default::default(),
                schema,
                rows: batch.num_rows() as u64,
                files: vec![file.finish().unwrap()],
            });
        }
        writer.publish(writes, coverage).await.unwrap()
    }

    pub fn request(&self, date: RunDate) -> LoadRequest {
        LoadRequest {
            date,
            sources: vec![SOURCE.into()],
            origins: Vec::new(),
            queries: Vec::new(),
            tables: Vec::new(),
            take_over: false,
            jobs: 1,
            run: RunId::new(),
            command: "lake load".into(),
        }
    }

    pub async fn load(&self, date: RunDate) -> Result<LoadReport, Error> {
        lake_loader::load(&self.lake, &self.target, &self.request(date), |_| {}).await
    }

    /// Also into tables that no load has filled.
    pub async fn take_over(&self, date: RunDate) -> Result<LoadReport, Error> {
        let mut request = self.request(date);
        request.take_over = true;
        lake_loader::load(&self.lake, &self.target, &request, |_| {}).await
    }

    pub async fn execute(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// The first column of a query as text, a line a row.
    pub async fn query(&self, sql: &str) -> String {
        let rows = self
            .client
            .query(&format!("select q::text from ({sql}) as q(q)"), &[])
            .await
            .unwrap();
        let lines: Vec<String> = rows
            .iter()
            .map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into()))
            .collect();
        lines.join("\n")
    }

    /// Tables and schemas that are ours and should not outlive a load.
    pub async fn leftovers(&self) -> String {
        self.query(
            "select relname from pg_class where relname like '\\_lake\\_staging\\_%' and relkind = 'r' \
             union all select nspname from pg_namespace where nspname like '\\_lake\\_staging\\_%'",
        )
        .await
    }
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// An error with all its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
