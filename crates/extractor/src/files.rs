//! CSV files as a source.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lake_csv::{CsvFile, CsvSettings};
use lake_storage::{BATCH_BYTES_MAX, DayWriter, Lake, Manifest, TableWrite};

use crate::error::nearest;
use crate::{Error, ExtractedTable, Probe, Progress, Request, Result};

/// CSV files, each of which is a table.
#[derive(Clone, Debug)]
pub struct CsvSource {
    /// The source's name.
    pub name: String,
    /// The files by table, with how each is written.
    pub files: BTreeMap<String, (PathBuf, CsvSettings)>,
}

pub(crate) async fn extract(
    lake: &Lake,
    source: &CsvSource,
    request: &Request,
    progress: impl Fn(Progress) + Send + Sync + Clone + 'static,
) -> Result<(Manifest, Vec<String>)> {
    let selected = select(source, &request.tables)?;
    for (table, (path, _)) in &selected {
        if !path.exists() {
            return Err(Error::NoFile {
                table: (*table).clone(),
                path: path.clone(),
            });
        }
    }
    progress(Progress::Planned {
        tables: selected.len() as u64,
        bytes: selected
            .iter()
            .filter_map(|(_, (path, _))| Some(path.metadata().ok()?.len()))
            .sum(),
    });
    let day = Arc::new(lake.begin_day(&source.name, request.date, &request.run, &request.command)?);
    let mut tables = Vec::with_capacity(selected.len());
    for (table, (path, settings)) in selected {
        let earlier = lake.table_schema(&source.name, table).await?;
        let (day, table, path, settings, progress) = (
            day.clone(),
            table.clone(),
            path.clone(),
            settings.clone(),
            progress.clone(),
        );
        let written = tokio::task::spawn_blocking(move || {
            let mut file = CsvFile::open(&path, &settings).map_err(|e| Error::in_table(&table)(e.into()))?;
            if let Some(earlier) = earlier {
                file.keep_types(&earlier);
            }
            write_file(&day, &table, &file, &progress).map_err(Error::in_table(&table))
        });
        tables.push(written.await??);
    }
    let names = tables.iter().map(|table| table.name.clone()).collect();
    // Every reader has ended, so this is the last reference.
    let Some(day) = Arc::into_inner(day) else {
        unreachable!("readers are awaited above");
    };
    Ok((day.publish(tables, request.coverage()).await?, names))
}

type File = (PathBuf, CsvSettings);

fn select<'a>(source: &'a CsvSource, wanted: &[String]) -> Result<Vec<(&'a String, &'a File)>> {
    if wanted.is_empty() {
        return Ok(source.files.iter().collect());
    }
    wanted
        .iter()
        .map(|name| {
            source.files.get_key_value(name).ok_or_else(|| Error::NoMatch {
                what: format!("{name:?}"),
                nearest: nearest(name, source.files.keys().map(String::as_str)),
            })
        })
        .collect()
}

fn write_file(
    day: &DayWriter,
    table: &str,
    file: &CsvFile,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<TableWrite> {
    let schema = file.schema();
    lake_storage::check_columns(table, &schema)?;
    let mut writer = day.file(table, &schema, 0)?;
    for batch in file.batches(BATCH_BYTES_MAX)? {
        let batch = batch?;
        writer.write(&batch)?;
        progress(Progress::Read {
            rows: batch.num_rows() as u64,
            bytes: batch.get_array_memory_size() as u64,
        });
    }
    let written = writer.finish()?;
    progress(Progress::TableDone(ExtractedTable {
        name: table.into(),
        rows: written.rows,
        bytes: written.bytes,
    }));
    Ok(TableWrite {
        name: table.into(),
        relation: None,
        snapshot: None,
        inputs: BTreeMap::new(),
        schema,
        rows: file.rows(),
        files: vec![written],
    })
}

pub(crate) async fn probe(source: &CsvSource) -> Result<Probe> {
    for (table, (path, settings)) in &source.files {
        let (table, path, settings) = (table.clone(), path.clone(), settings.clone());
        let checked = tokio::task::spawn_blocking(move || {
            if !path.exists() {
                return Err(Error::NoFile { table, path });
            }
            let file = CsvFile::open(&path, &settings).map_err(|e| Error::in_table(&table)(e.into()))?;
            Ok(lake_storage::check_columns(&table, &file.schema())?)
        });
        checked.await??;
    }
    Ok(Probe {
        description: "CSV files".into(),
        tables: source.files.keys().cloned().collect(),
    })
}
