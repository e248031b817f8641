//! Lakes written by storage's own writer, and queries read back as text.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::TryStreamExt as _;
use lake_query::{Engine, Error, Format, FormatWriter, SavedQuery, Scope, Settings};
use lake_storage::{Coverage, Lake, Manifest, RunDate, RunId, TableWrite};
use tempfile::TempDir;

pub const DAY_1: &str = "2026-01-01";
pub const DAY_2: &str = "2026-01-02";
pub const DAY_3: &str = "2026-01-03";

/// A lake in a folder whose own name would be changed by a careless encoding.
pub struct TestLake {
    pub folder: TempDir,
    pub lake: Lake,
}

/// A table: its files, each of some batches.
pub struct Table {
    name: String,
    schema: SchemaRef,
    files: Vec<Vec<RecordBatch>>,
}

impl TestLake {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(&folder.path().join("my lake 5%#é")).unwrap();
        Self { folder, lake }
    }

    pub async fn day(&self, source: &str, date: &str, tables: Vec<Table>) -> Manifest {
        self.write(source, date, tables, Coverage::Whole).await
    }

    pub async fn write(&self, source: &str, date: &str, tables: Vec<Table>, coverage: Coverage) -> Manifest {
        let run = RunId::new();
        let day = self
            .lake
            .begin_day(source, date.parse().unwrap(), &run, "test")
            .unwrap();
        let mut writes = Vec::new();
        for table in tables {
            let mut files = Vec::new();
            for (part, batches) in table.files.iter().enumerate() {
                let mut file = day.file(&table.name, &table.schema, part).unwrap();
                for batch in batches {
                    file.write(batch).unwrap();
                }
                files.push(file.finish().unwrap());
            }
            writes.push(TableWrite {
                name: table.name,
                relation: None,
                snapshot: None,
                inputs: BTreeMap::new(),
                schema: table.schema,
                rows: files.iter().map(|file| file.rows).sum(),
                files,
            });
        }
        day.publish(writes, coverage).await.unwrap()
    }

    pub fn engine(&self, scope: Scope) -> Engine {
        self.engine_of(scope, &["postgres", "csv"], 1)
    }

    pub fn engine_of(&self, scope: Scope, sources: &[&str], target_partitions: usize) -> Engine {
        let sources: Vec<String> = sources.iter().map(|&source| source.to_owned()).collect();
        let settings = Settings {
            target_partitions,
            ..Settings::default()
        };
        Engine::new(&self.lake, scope, &sources, &settings).unwrap()
    }

    /// The rows of a query over all days, as CSV without its header.
    pub async fn all(&self, sql: &str) -> String {
        rows(&self.engine(Scope::AllDays), sql).await
    }

    /// The rows of a query of one day, as CSV without its header.
    pub async fn on(&self, date: &str, sql: &str) -> String {
        rows(&self.engine(day(date)), sql).await
    }
}

pub fn day(date: &str) -> Scope {
    Scope::Day(date.parse().unwrap())
}

pub fn date(date: &str) -> RunDate {
    date.parse().unwrap()
}

pub async fn rows(engine: &Engine, sql: &str) -> String {
    let csv = csv(engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    csv.split_once('\n').unwrap().1.to_owned()
}

pub async fn csv(engine: &Engine, sql: &str) -> Result<String, Error> {
    written(engine, sql, Format::Csv).await
}

pub async fn written(engine: &Engine, sql: &str, format: Format) -> Result<String, Error> {
    let stream = engine.query(sql).await?;
    let mut writer = FormatWriter::new(format, &stream.schema(), Vec::new())?;
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    for batch in &batches {
        writer.write(batch)?;
    }
    Ok(String::from_utf8(writer.finish()?).unwrap())
}

pub async fn error(engine: &Engine, sql: &str) -> String {
    match csv(engine, sql).await {
        Ok(rows) => panic!("{sql} gave {rows}"),
        Err(error) => chain(&error),
    }
}

/// The error with its causes, as a command prints it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

pub fn table(name: &str, columns: Vec<(&str, ArrayRef)>) -> Table {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    of_files(name, schema, vec![vec![batch]])
}

pub fn of_files(name: &str, schema: SchemaRef, files: Vec<Vec<RecordBatch>>) -> Table {
    Table {
        name: name.to_owned(),
        schema,
        files,
    }
}

pub fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub fn floats(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

pub fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub fn saved(name: &str, sql: &str) -> SavedQuery {
    SavedQuery {
        name: name.to_owned(),
        path: format!("queries/{name}.sql").into(),
        sql: sql.to_owned(),
    }
}
