//! A query kept in a file.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A query that `transform` materialises: one SELECT in a file.
#[derive(Clone, Debug)]
pub struct SavedQuery {
    /// Its name: the table of its result is `results.<name>`.
    pub name: String,
    /// Its file, for messages.
    pub path: PathBuf,
    /// What the file holds.
    pub sql: String,
}

impl SavedQuery {
    /// Reads a query's file.
    ///
    /// # Errors
    /// [`Error::ReadQuery`], also for a file that isn't UTF-8.
    pub fn read(name: &str, path: &Path) -> Result<Self> {
        let sql = std::fs::read_to_string(path).map_err(|source| Error::ReadQuery {
            query: name.to_owned(),
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            // Some editors put a byte order mark in front, which is no SQL.
            sql: sql.strip_prefix('\u{feff}').unwrap_or(&sql).to_owned(),
        })
    }

    /// Says which query an error is of.
    pub(crate) fn error(&self, source: Error) -> Error {
        Error::SavedQuery {
            query: self.name.clone(),
            path: self.path.clone(),
            source: Box::new(source),
        }
    }
}
