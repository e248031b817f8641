//! CSV files as a source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lake_csv::{CsvFile, CsvSettings};
use lake_storage::{BadRowsFile, DayWriter, Lake, Manifest, TableWrite};

use crate::error::nearest;
use crate::{Error, ExtractedTable, FoundFormat, Probe, Progress, Quarantined, Request, Result};

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
) -> Result<(Manifest, Vec<String>, Vec<Quarantined>, Vec<FoundFormat>)> {
    let selected = select(source, &request.tables)?;
    let missing = selected.iter().filter(|(_, (path, _))| !path.exists());
    Error::all(missing.map(|(table, (path, _))| no_file(table, path)).collect())?;
    progress(Progress::Planned {
        tables: selected.len() as u64,
        bytes: selected
            .iter()
            .filter_map(|(_, (path, _))| Some(path.metadata().ok()?.len()))
            .sum(),
    });
    let day = Arc::new(lake.begin_day(&source.name, request.date, &request.run, &request.command)?);
    let mut tables = Vec::with_capacity(selected.len());
    let (mut quarantined, mut found) = (Vec::new(), Vec::new());
    let mut failed = Vec::new();
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
            lake_storage::check_columns(&table, &file.schema())?;
            let bad_rows = (file.bad_rows() > 0).then(|| day.bad_rows_file(&table)).transpose()?;
            let (write, kept) =
                write_file(&day, &table, &file, bad_rows, &progress).map_err(Error::in_table(&table))?;
            let found = FoundFormat {
                table: table.clone(),
                found: file.found().clone(),
            };
            let quarantined = kept.map(|kept| Quarantined {
                table,
                source_file: path,
                rows: file.bad_rows(),
                all: file.rows() == 0,
                file: kept,
            });
            Ok::<_, Error>((write, quarantined, found))
        });
        match written.await? {
            Ok((write, left_out, format)) => {
                tables.push(write);
                quarantined.extend(left_out);
                found.push(format);
            }
            // The other files are looked at too: who mends one wants to know of all.
            Err(error) => failed.push(error),
        }
    }
    Error::all(failed)?;
    let names = tables.iter().map(|table| table.name.clone()).collect();
    // Every reader has ended, so this is the last reference.
    let Some(day) = Arc::into_inner(day) else {
        unreachable!("readers are awaited above");
    };
    let manifest = day.publish(tables, request.coverage()).await?;
    Ok((manifest, names, quarantined, found))
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

fn no_file(table: &str, path: &Path) -> Error {
    Error::NoFile {
        table: table.into(),
        path: path.into(),
    }
}

/// Writes a table's day, and its bad rows into a file of their own, whose path comes with it.
fn write_file(
    day: &DayWriter,
    table: &str,
    file: &CsvFile,
    mut bad_rows: Option<BadRowsFile>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(TableWrite, Option<PathBuf>)> {
    let schema = file.schema();
    let mut writer = day.file(table, &schema, 0)?;
    let mut batches = file.batches(day.memory().batch_bytes())?;
    if let Some(bad_rows) = &mut bad_rows {
        batches = batches.write_bad_rows(bad_rows);
    }
    for batch in batches {
        let batch = batch?;
        writer.write(&batch)?;
        progress(Progress::Read {
            rows: batch.num_rows() as u64,
            bytes: batch.get_array_memory_size() as u64,
        });
    }
    let written = writer.finish()?;
    // Before the day becomes visible: rows are never in neither place.
    let kept = bad_rows.map(BadRowsFile::keep).transpose()?;
    progress(Progress::TableDone(ExtractedTable {
        name: table.into(),
        rows: written.rows,
        bytes: written.bytes,
    }));
    let write = TableWrite {
        name: table.into(),
        relation: None,
        snapshot: None,
        inputs: BTreeMap::new(),
        schema,
        rows: file.rows(),
        files: vec![written],
    };
    Ok((write, kept))
}

pub(crate) async fn probe(source: &CsvSource) -> Result<Probe> {
    let mut description = "CSV files".to_owned();
    let mut failed = Vec::new();
    for (name, (path, settings)) in &source.files {
        let (table, path, settings) = (name.clone(), path.clone(), settings.clone());
        let checked = tokio::task::spawn_blocking(move || {
            if !path.exists() {
                return Err(no_file(&table, &path));
            }
            let file = CsvFile::open(&path, &settings).map_err(|e| Error::in_table(&table)(e.into()))?;
            lake_storage::check_columns(&table, &file.schema())?;
            Ok(file.bad_rows())
        });
        match checked.await? {
            Ok(0) => {}
            Ok(1) => description += &format!(", 1 bad row of {name} left out"),
            Ok(bad_rows) => description += &format!(", {bad_rows} bad rows of {name} left out"),
            Err(error) => failed.push(error),
        }
    }
    Error::all(failed)?;
    Ok(Probe {
        description,
        tables: source.files.keys().map(|name| (name.clone(), None)).collect(),
    })
}
