//! The record that makes a source's day complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::{delta_schema_string, parse_delta_schema};
use crate::stored_file::Footer;
use crate::{Result, RunDate, RunId, SqlName};

/// The layout that is written.
pub(crate) const FORMAT: u32 = 2;

/// A source's day: what its tables hold, at which version, in which files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this file's own layout.
    pub format: u32,
    /// The version of lake that wrote it; none before there were such notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The source's name.
    pub source: String,
    /// The day.
    pub date: RunDate,
    /// The run that wrote this manifest; it changes with every write.
    pub run: RunId,
    /// When it was written.
    pub written_at: DateTime<Utc>,
    /// Whether every selected table is here. Only a complete manifest makes the day complete; one
    /// that isn't is kept under another name, for commands that ask for single tables.
    pub complete: bool,
    /// The tables by name.
    pub tables: BTreeMap<String, TableEntry>,
}

impl Manifest {
    /// Parses a manifest without building the entries of other tables than `only`.
    pub(crate) fn with_tables(content: &[u8], only: &BTreeSet<String>) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_slice(content);
        let manifest = ManifestOf { only }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(manifest)
    }
}

struct ManifestOf<'a> {
    only: &'a BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for ManifestOf<'_> {
    type Value = Manifest;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Manifest, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ManifestOf<'_> {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Manifest, A::Error> {
        let mut head = serde_json::Map::from_iter([("tables".to_owned(), Value::Object(Default::default()))]);
        let mut tables = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "tables" {
                tables = map.next_value_seed(TablesOf { only: self.only })?;
            } else {
                head.insert(key, map.next_value()?);
            }
        }
        let manifest: Manifest = serde_json::from_value(head.into()).map_err(serde::de::Error::custom)?;
        Ok(Manifest { tables, ..manifest })
    }
}

struct TablesOf<'a> {
    only: &'a BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for TablesOf<'_> {
    type Value = BTreeMap<String, TableEntry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TablesOf<'_> {
    type Value = BTreeMap<String, TableEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut tables = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.only.contains(&name) {
                tables.insert(name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(tables)
    }
}

/// A table's day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableEntry {
    /// The version of the Delta table that holds exactly this.
    pub delta_version: u64,
    /// Rows of the day.
    pub rows: u64,
    /// Bytes of its Parquet files.
    pub bytes: u64,
    /// The run that wrote this table.
    pub run: RunId,
    /// The name that the table has in its database; none for files and queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<Relation>,
    /// The database snapshot that it was read under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// For a query's result: the run of each source's manifest that it was computed from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, RunId>,
    /// Whether values of `char(n)` are without the blanks that pad them. They were not before there were
    /// such notes: whoever reads them trims them.
    #[serde(default)]
    pub trimmed: bool,
    /// The files, in the order of the source's rows.
    pub files: Vec<DataFile>,
    /// The day's own columns, as Delta writes a schema.
    pub schema: Value,
}

impl TableEntry {
    /// The day's own columns, with their metadata, without `extract_date`.
    ///
    /// # Errors
    /// [`crate::Error::Schema`] if the manifest was edited by hand.
    pub fn arrow_schema(&self, table: &str) -> Result<SchemaRef> {
        parse_delta_schema(table, &self.schema.to_string())
    }

    pub(crate) fn schema_value(table: &str, schema: &SchemaRef) -> Result<Value> {
        let text = delta_schema_string(table, schema)?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null)) // it was JSON a line ago
    }
}

/// A relation of a Postgres database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The schema.
    pub schema: String,
    /// The table, view …
    pub name: String,
    /// Its OID: tables of a database were created in this order.
    pub oid: u32,
}

impl fmt::Display for Relation {
    /// As SQL writes it, and as the config and `--table` take it: quoted where it has to be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", SqlName(&self.schema), SqlName(&self.name))
    }
}

/// A snapshot of a Postgres database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What `txid_current_snapshot` (or its successor) prints: the transactions that it sees.
    pub id: String,
    /// When it was taken, by the server's clock.
    pub taken_at: DateTime<Utc>,
    /// The server's version, as it prints it.
    pub server_version: String,
    /// The database.
    pub database: String,
}

/// A Parquet file of a table's day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Relative to the table's folder.
    pub path: String,
    /// Rows in its footer.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// By which its bytes are known; none for a file from before there were hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<Footer>,
}
