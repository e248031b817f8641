//! Days written to lakes in temporary folders, read back by the manifest, by Delta and by the folder.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod days;
mod delta_log;
mod evolution;
mod links;
mod manifests;
mod runs;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lake_storage::{Coverage, DayWriter, Error, Lake, Manifest, RunDate, RunId, TableWrite};
use tempfile::TempDir;

pub(crate) fn lake() -> (TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::at(&folder.path().join("lake")).unwrap();
    (folder, lake)
}

pub(crate) fn day(text: &str) -> RunDate {
    text.parse().unwrap()
}

pub(crate) fn begin(lake: &Lake, date: &str) -> DayWriter {
    lake.begin_day("shop", day(date), &RunId::new(), "test").unwrap()
}

/// A table of one column `x` with these values, in one file.
pub(crate) fn table(writer: &DayWriter, name: &str, values: &[i64]) -> TableWrite {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    table_of(writer, name, schema, vec![Arc::new(Int64Array::from(values.to_vec()))])
}

pub(crate) fn table_of(writer: &DayWriter, name: &str, schema: SchemaRef, columns: Vec<ArrayRef>) -> TableWrite {
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let mut file = writer.file(name, &schema, 0).unwrap();
    file.write(&batch).unwrap();
    TableWrite {
        name: name.into(),
        relation: None,
        snapshot: None,
        inputs: BTreeMap::new(),
        schema,
        rows: batch.num_rows() as u64,
        files: vec![file.finish().unwrap()],
    }
}

pub(crate) async fn publish(lake: &Lake, date: &str, tables: &[(&str, &[i64])]) -> Result<Manifest, Error> {
    let writer = begin(lake, date);
    let tables = tables
        .iter()
        .map(|(name, values)| table(&writer, name, values))
        .collect();
    writer.publish(tables, Coverage::Whole).await
}

/// The values of column `x` of a table's day, by its manifest.
pub(crate) fn values(lake: &Lake, name: &str, date: &str) -> Vec<i64> {
    let manifest = lake.manifest("shop", day(date)).unwrap().unwrap();
    lake.batches("shop", name, &manifest.tables[name])
        .unwrap()
        .flat_map(|batch| {
            let batch = batch.unwrap();
            let column = batch.column_by_name("x").unwrap();
            column.as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
        })
        .collect()
}

/// The files that a plain Parquet reader finds in a table's day.
pub(crate) fn parquet_files(lake: &Lake, name: &str, date: &str) -> Vec<String> {
    let folder = lake
        .table_dir("shop", name)
        .unwrap()
        .join(format!("extract_date={date}"));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The paths of the files that Delta has for a table, in any version's order.
pub(crate) async fn delta_files(lake: &Lake, name: &str) -> Vec<String> {
    let url = url::Url::from_directory_path(lake.table_dir("shop", name).unwrap()).unwrap();
    let table = deltalake::open_table(url).await.unwrap();
    let mut paths: Vec<String> = table
        .get_file_uris()
        .unwrap()
        .map(|uri| uri.rsplit_once("extract_date=").unwrap().1.to_owned())
        .collect();
    paths.sort();
    paths
}
