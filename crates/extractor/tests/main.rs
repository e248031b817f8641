//! Extracts from a real PostgreSQL into a lake in a temporary folder.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod csv_bad_rows;
mod csv_days;
mod postgres_connection;
mod postgres_ddl;
mod postgres_grants;
mod postgres_inheritance;
mod postgres_locks;
mod postgres_names;
mod postgres_search_path;
mod postgres_snapshot;
mod postgres_standby;
mod postgres_tables;
mod postgres_types;

use lake_extractor::{Arrays, Error, ExtractReport, PostgresSource, Request, Source, extract};
use lake_postgres::Timeouts;
use lake_sandbox::PostgresServer;
use lake_storage::{Lake, RunDate, RunId};
use tempfile::TempDir;

/// A lake, and a fresh database on the test process's own server.
pub(crate) struct Fixture {
    pub(crate) lake: Lake,
    pub(crate) source: PostgresSource,
    _folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new(sql: &str) -> Self {
        Self::on(PostgresServer::shared().unwrap(), sql).await
    }

    pub(crate) async fn on(server: &PostgresServer, sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = server.fresh_database().await.unwrap();
        let fixture = Self {
            lake: Lake::at(&folder.path().join("lake")).unwrap(),
            source: PostgresSource {
                name: "postgres".into(),
                url,
                timeouts: Timeouts::default(),
                tables: Vec::new(),
                settings: Vec::new(),
                arrays: Arrays::default(),
            },
            _folder: folder,
        };
        fixture.execute(sql).await;
        fixture
    }

    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.source.url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.connect().await.batch_execute(sql).await.unwrap();
    }

    /// How many rows a query gives.
    pub(crate) async fn rows(&self, sql: &str) -> usize {
        self.connect().await.query(sql, &[]).await.unwrap().len()
    }

    pub(crate) async fn extract(&self) -> Result<ExtractReport, Error> {
        self.extract_with(2, &[]).await
    }

    pub(crate) async fn extract_with(&self, jobs: usize, tables: &[&str]) -> Result<ExtractReport, Error> {
        self.extract_on(day(), jobs, tables).await
    }

    pub(crate) async fn extract_on(&self, date: RunDate, jobs: usize, tables: &[&str]) -> Result<ExtractReport, Error> {
        self.run(self.source.clone(), date, jobs, tables).await
    }

    pub(crate) async fn extract_source(
        &self,
        source: PostgresSource,
        jobs: usize,
        tables: &[&str],
    ) -> Result<ExtractReport, Error> {
        self.run(source, day(), jobs, tables).await
    }

    async fn run(
        &self,
        source: PostgresSource,
        date: RunDate,
        jobs: usize,
        tables: &[&str],
    ) -> Result<ExtractReport, Error> {
        let request = Request {
            date,
            run: RunId::new(),
            command: "lake extract".into(),
            tables: tables.iter().map(ToString::to_string).collect(),
            jobs,
        };
        extract(&self.lake, &Source::Postgres(source), &request, |_| {}).await
    }

    /// A table's day as one batch.
    pub(crate) fn table(&self, name: &str) -> arrow::array::RecordBatch {
        let manifest = self.lake.manifest_or_partial("postgres", day()).unwrap().unwrap();
        let entry = &manifest.tables[name];
        let batches: Vec<_> = self
            .lake
            .batches("postgres", name, entry)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let schema = entry.arrow_schema(name).unwrap();
        arrow::compute::concat_batches(&batches.first().map_or(schema, |b| b.schema()), &batches).unwrap()
    }
}

pub(crate) fn day() -> RunDate {
    "2026-01-31".parse().unwrap()
}

/// An error as the command line shows it.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}
