//! What is to be loaded, and where to.

use std::fmt;
use std::str::FromStr;

use lake_postgres::Timeouts;
use lake_storage::{RunDate, RunId};

use crate::{Error, Origin};

/// A database to load into.
#[derive(Clone)]
pub struct Target {
    /// The connection URL; not shown by Debug.
    pub url: String,
    /// How long its connections wait.
    pub timeouts: Timeouts,
    /// Which schema a table goes to.
    pub schema: SchemaRule,
    /// Whether the owner's triggers run in a load.
    pub triggers: Triggers,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("schema", &self.schema)
            .field("triggers", &self.triggers)
            .finish_non_exhaustive()
    }
}

/// Whether the triggers that somebody has made on the target's tables run in a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Triggers {
    /// They do, and the load is rolled back where they leave other rows than the lake's.
    #[default]
    On,
    /// They are disabled in the load's transaction, and what they were before at its end. The role has
    /// to own the tables.
    Off,
}

/// Which schema of the target a table goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaRule {
    /// All to this one, under their names in the lake.
    Fixed(String),
    /// `{schema}`: each to the schema that it has in its source, under its name there; files and
    /// query results to `public`.
    PerSource,
}

impl FromStr for SchemaRule {
    type Err = Error;

    /// Reads a schema's name or `{schema}`.
    ///
    /// # Errors
    /// [`Error::SchemaRule`] for anything else in braces, and for nothing.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "{schema}" => Ok(Self::PerSource),
            _ if text.is_empty() || text.contains(['{', '}']) => Err(Error::SchemaRule { text: text.into() }),
            _ => Ok(Self::Fixed(text.into())),
        }
    }
}

/// What is to be loaded.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The day.
    pub date: RunDate,
    /// The configured sources.
    pub sources: Vec<String>,
    /// Those of them that are Postgres databases: a target that is one of them is refused.
    pub origins: Vec<Origin>,
    /// The configured queries.
    pub queries: Vec<String>,
    /// Only these tables, as `name` or `source.name`; all if empty.
    pub tables: Vec<String>,
    /// Whether tables that no load has filled may lose their rows.
    pub take_over: bool,
    /// Connections to the target at the most; with one, everything runs on it.
    pub jobs: usize,
    /// The run that does it.
    pub run: RunId,
    /// The command, e.g. `lake load`: with the day, the name that the server's administrator sees.
    pub command: String,
}

impl LoadRequest {
    pub(crate) fn application_name(&self) -> String {
        format!("{} {}", self.command, self.date)
    }
}

/// News of a load under way.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// What there is to do.
    Planned {
        /// Tables.
        tables: u64,
        /// Their rows.
        rows: u64,
        /// Bytes of their Parquet files.
        bytes: u64,
    },
    /// Some more rows are in staging.
    Sent {
        /// Rows since the last such news.
        rows: u64,
        /// Their share of the Parquet files' bytes.
        bytes: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_schema_rules() {
        assert_eq!("{schema}".parse::<SchemaRule>().unwrap(), SchemaRule::PerSource);
        let fixed = SchemaRule::Fixed("Analytics".into());
        assert_eq!("Analytics".parse::<SchemaRule>().unwrap(), fixed);
        for bad in ["", "{source}", "a_{schema}"] {
            assert!(bad.parse::<SchemaRule>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_hides_the_url() {
        let target = Target {
            url: "postgres://u:s3cret@h/d".into(),
            timeouts: Timeouts::default(),
            schema: SchemaRule::PerSource,
            triggers: Triggers::On,
        };
        assert!(!format!("{target:?}").contains("s3cret"));
    }
}
