//! The config file, for the command line: what is written in it (`file`), and what a command gets of it.

mod dotenv;
mod expand;
mod file;
mod load;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lake_extractor::{Source, Timeouts};
use lake_storage::{Compatibility, Lake, MemorySize, SchemaChange};

pub use crate::dotenv::Dotenv;
pub use crate::file::ConfigError;

/// A checked config; relative paths are resolved against the file's folder.
///
/// `F` is a format of exports, read from its name: what writes them is no business of the config.
pub struct Config<F> {
    /// The file, for messages.
    pub path: PathBuf,
    /// The lake's folder.
    pub lake: PathBuf,
    /// Where exports go.
    pub output: PathBuf,
    /// The formats of `lake export`.
    pub exports: Vec<F>,
    /// What runs may change about the columns of tables.
    pub schema_change: SchemaChange,
    /// Which readers the lake's Parquet files are for.
    pub compatibility: Compatibility,
    /// How much memory a command may take, if the file says so.
    pub memory: Option<MemorySize>,
    /// How long connections to databases wait.
    pub timeouts: Timeouts,
    /// The saved queries: their files by name.
    pub queries: BTreeMap<String, PathBuf>,
    sources: Vec<file::NamedSource>,
    target: Option<file::Target>,
}

/// The analytics database as the config names it.
pub struct TargetConfig {
    /// Its URL, with the secrets filled in.
    pub url: String,
    /// The schema, or `{schema}`.
    pub schema: String,
    /// Whether the triggers that somebody has made on its tables run in a load.
    pub triggers: bool,
}

impl<F: FromStr> Config<F> {
    /// Reads and checks a config file; warns if it holds a password and others can read it. Variables of URLs are looked up when they are needed, so that
    /// a step asks only for its own secrets.
    ///
    /// # Errors
    /// [`ConfigError`], with line and column.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        load::read(path)
    }

    /// The same for the text of a file that would be at `path`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        load::parse(text, path)
    }
}

impl<F> Config<F> {
    /// The lake, with the config's rules for columns that change and for Parquet files.
    ///
    /// # Errors
    /// As of [`Lake::at`].
    pub fn open_lake(&self) -> lake_storage::Result<Lake> {
        let lake = Lake::at(&self.lake)?.with_schema_change(self.schema_change);
        Ok(lake.with_compatibility(self.compatibility))
    }

    /// The names of the sources, in the order of the file.
    pub fn source_names(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.name.clone()).collect()
    }

    /// The names of the saved queries.
    pub fn query_names(&self) -> Vec<String> {
        self.queries.keys().cloned().collect()
    }

    /// A source, ready to be read.
    ///
    /// # Errors
    /// [`ConfigError`] if there is no such source, or a variable of its URL is not set.
    pub fn source(&self, name: &str) -> Result<Source, ConfigError> {
        load::source(self, name)
    }

    /// The target, if the config has one.
    ///
    /// # Errors
    /// [`ConfigError`] if a variable of its URL is not set.
    pub fn target(&self) -> Result<Option<TargetConfig>, ConfigError> {
        load::target(self)
    }

    /// The same config with other databases: all Postgres sources are at `source`.
    pub fn with_urls(mut self, source: String, target: String) -> Self {
        for named in &mut self.sources {
            if let Some(url) = &mut named.source.url {
                url.value = source.replace('$', "$$");
            }
        }
        if let Some(named) = &mut self.target {
            named.url.value = target.replace('$', "$$");
        }
        self
    }

    /// Whether the config has a target.
    pub fn has_target(&self) -> bool {
        self.target.is_some()
    }
}
