//! Counts what a program wrote.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context as _;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

/// The rows in the footers of a Parquet file, or of all below a folder.
pub fn parquet_rows(path: &Path) -> anyhow::Result<u64> {
    let action = || format!("cannot read {}", path.display());
    if path.is_dir() {
        let mut rows = 0;
        for entry in fs::read_dir(path).with_context(action)? {
            rows += parquet_rows(&entry?.path())?;
        }
        return Ok(rows);
    }
    if path.extension().is_none_or(|extension| extension != "parquet") {
        return Ok(0);
    }
    let reader = SerializedFileReader::new(File::open(path).with_context(action)?).with_context(action)?;
    Ok(u64::try_from(reader.metadata().file_metadata().num_rows())?)
}

/// The same as a check.
pub fn ensure_parquet_rows(path: &Path, rows: u64) -> anyhow::Result<()> {
    let found = parquet_rows(path)?;
    anyhow::ensure!(found == rows, "{found} rows in the files, {rows} in the table");
    Ok(())
}
