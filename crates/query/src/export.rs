//! The results of a day as files for others.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use lake_storage::{Lake, RESULTS, RunDate, TableEntry, encode_segment};
use serde::Serialize;

use crate::output_file::OutputFile;
use crate::{Format, FormatWriter, Result};

/// What to export.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// The queries.
    pub queries: &'a [String],
    /// The day.
    pub date: RunDate,
    /// The formats, a file each.
    pub formats: &'a [Format],
    /// The folder under which each day has one.
    pub output: &'a Path,
    /// Files written at a time.
    pub jobs: usize,
}

/// An exported file.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedFile {
    /// The query.
    pub query: String,
    /// The format's name.
    pub format: String,
    /// The file.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// What an export did.
#[derive(Clone, Debug, Serialize)]
pub struct ExportReport {
    /// The files, by query and format as they were given.
    pub files: Vec<ExportedFile>,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Writes `<output>/<day>/<query>.<extension>` for each query and format, in the results' order.
///
/// A file is replaced once its new content is on disk: an export that is killed leaves the earlier
/// one. It blocks the thread, and calls `progress` from several, for each file that is done.
///
/// # Errors
/// [`crate::Error::Lake`] with a prerequisite that lists the queries without a result, or with one
/// older than the extract of a source: nothing is written then. [`crate::Error::File`] and others
/// leave the file that they are of as it was.
pub fn export(lake: &Lake, request: &Export<'_>, progress: impl Fn(&ExportedFile) + Sync) -> Result<ExportReport> {
    let _guard = lake.read_guard(RESULTS)?;
    let manifest = lake.require_results(request.queries, request.date)?;
    let folder = request.output.join(request.date.to_string());
    let mut work = VecDeque::new();
    for query in request.queries {
        let Some(entry) = manifest.tables.get(query) else {
            continue; // required above
        };
        for &format in request.formats {
            work.push_back((work.len(), query, entry, format));
        }
    }
    let count = work.len();
    let work = Mutex::new(work);
    let results: Mutex<Vec<Option<Result<ExportedFile>>>> = Mutex::new((0..count).map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..request.jobs.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((place, query, entry, format)) = next else {
                        return;
                    };
                    let result = export_file(lake, &folder, query, entry, format);
                    match &result {
                        Ok(file) => progress(file),
                        // The others end their files and begin no more.
                        Err(_) => work.lock().unwrap_or_else(PoisonError::into_inner).clear(),
                    }
                    results.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let files = results.into_iter().flatten().collect::<Result<Vec<ExportedFile>>>()?;
    Ok(ExportReport {
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
    })
}

fn export_file(lake: &Lake, folder: &Path, query: &str, entry: &TableEntry, format: Format) -> Result<ExportedFile> {
    let path = folder.join(format!("{}.{}", encode_segment(query)?, format.extension()));
    let schema = entry.arrow_schema(query)?;
    let out = OutputFile::create(&path)?;
    let mut writer = FormatWriter::new(format, &schema, out).map_err(|error| of_file(error, &path))?;
    for batch in lake.batches(RESULTS, query, entry)? {
        writer.write(&batch?).map_err(|error| of_file(error, &path))?;
    }
    let rows = writer.rows();
    let out = writer.finish().map_err(|error| of_file(error, &path))?;
    let bytes = out.publish()?;
    tracing::info!(query, %format, rows, bytes, "exported");
    Ok(ExportedFile {
        query: query.to_owned(),
        format: format.to_string(),
        path,
        rows,
        bytes,
    })
}

/// Names the file where the error only says that writing failed.
fn of_file(error: crate::Error, path: &Path) -> crate::Error {
    match error {
        crate::Error::Write { source } => crate::Error::File {
            action: "write",
            path: path.to_owned(),
            source,
        },
        other => other,
    }
}
