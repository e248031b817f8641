//! One Delta commit replaces a day of a table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, Field, Schema};
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, MetadataExt as _, StructField};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt as _;
use serde_json::json;

use crate::disk;
use crate::schema::{EXTRACT_DATE, to_kernel};
use crate::{DataFile, Error, Lake, Result, RunDate, RunId};

/// A table's Delta log, read up to its latest version.
pub(crate) struct Table {
    folder: PathBuf,
    name: String,
    handle: DeltaTable,
    /// Its columns but for the partition column; none if it isn't there yet.
    pub(crate) columns: Option<Schema>,
}

impl Table {
    /// Reads a table's log, if it is there.
    pub(crate) async fn open(folder: PathBuf, name: &str) -> Result<Self> {
        // The library opens what is in there by itself.
        disk::refuse_links_in(&folder.join("_delta_log"))?;
        let delta = delta_error(&folder);
        let mut handle = open(&folder).map_err(&delta)?;
        let exists = folder.is_dir() && handle.verify_deltatable_existence().await.map_err(&delta)?;
        let columns = if exists {
            handle.load().await.map_err(&delta)?;
            Some(own_columns(&handle, &folder, name)?)
        } else {
            None
        };
        Ok(Self {
            folder,
            name: name.into(),
            handle,
            columns,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The version that the next commit makes.
    pub(crate) fn next_version(&self) -> u64 {
        match self.columns {
            Some(_) => self.handle.version().unwrap_or_default() + 1,
            None => 0,
        }
    }

    /// Makes `files` all that the table has for the given days, in one commit with its columns, creating
    /// the table where it is not there yet; returns the version.
    ///
    /// Without columns they stay as they are: that is for days which leave the table.
    pub(crate) async fn replace(
        self,
        columns: Option<&Schema>,
        days: &BTreeMap<RunDate, Vec<DataFile>>,
        run: &RunId,
    ) -> Result<u64> {
        let delta = delta_error(&self.folder);
        let properties = CommitProperties::default().with_metadata([("lake.run".to_owned(), json!(run))]);
        let adds = |present: &BTreeSet<String>| -> Vec<Action> {
            let files = days
                .iter()
                .flat_map(|(date, files)| files.iter().map(move |file| (*date, file)));
            files
                .filter(|(_, file)| !present.contains(&file.path))
                .map(|(date, file)| Action::Add(add(date, file)))
                .collect()
        };
        let Some(own) = &self.columns else {
            let Some(columns) = columns else { return Ok(0) };
            disk::create_dir_all(&self.folder)?;
            let created = CreateBuilder::new()
                .with_log_store(self.handle.log_store())
                .with_table_name(&self.name)
                .with_columns(delta_fields(&self.name, columns)?)
                .with_partition_columns([EXTRACT_DATE])
                .with_commit_properties(properties)
                .with_actions(adds(&BTreeSet::new()))
                .await
                .map_err(&delta)?;
            return Ok(created.version().unwrap_or_default());
        };

        let (mut actions, present) = removals(&self.handle, days).await.map_err(&delta)?;
        if let Some(columns) = columns {
            actions.extend(alter(&self.handle, &self.folder, &self.name, own, columns)?);
        }
        actions.extend(adds(&present));
        if actions.is_empty() {
            return Ok(self.handle.version().unwrap_or_default());
        }
        let dates: Vec<String> = days.keys().map(|date| format!("'{date}'")).collect();
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(
                Some(self.handle.snapshot().map_err(&delta)?),
                self.handle.log_store(),
                DeltaOperation::Write {
                    mode: SaveMode::Overwrite,
                    partition_by: Some(vec![EXTRACT_DATE.into()]),
                    predicate: Some(format!("{EXTRACT_DATE} in ({})", dates.join(", "))),
                },
            )
            .await
            .map_err(&delta)?;
        Ok(commit.version())
    }
}

fn delta_error(folder: &Path) -> impl Fn(DeltaTableError) -> Error + use<> {
    let path = folder.to_path_buf();
    move |source| Error::Delta {
        path: path.clone(),
        source: Box::new(source),
    }
}

impl Lake {
    /// The columns that a table has for all its days, without `extract_date`; `None` if it isn't
    /// there yet.
    ///
    /// # Errors
    /// [`Error::Delta`] if its log can't be read.
    pub async fn table_schema(&self, source: &str, table: &str) -> Result<Option<Schema>> {
        let folder = self.table_dir(source, table)?;
        if !folder.is_dir() {
            return Ok(None);
        }
        Ok(Table::open(folder, table).await?.columns)
    }
}

fn open(folder: &Path) -> deltalake::DeltaResult<DeltaTable> {
    let url = url::Url::from_directory_path(folder)
        .map_err(|()| DeltaTableError::InvalidTableLocation(folder.display().to_string()))?;
    DeltaTableBuilder::from_url(url)?.build()
}

/// A loaded table's columns but for the partition column.
fn own_columns(handle: &DeltaTable, folder: &Path, table: &str) -> Result<Schema> {
    let state = handle.snapshot().map_err(delta_error(folder))?;
    let all: Schema = state
        .schema()
        .as_ref()
        .try_into_arrow()
        .map_err(|source| Error::Schema {
            table: table.into(),
            source,
        })?;
    let own = all.fields().iter().filter(|field| field.name() != EXTRACT_DATE);
    Ok(Schema::new(own.cloned().collect::<Vec<_>>()))
}

/// Statistics hold the number of rows and nothing else: a reader prunes by them, so they are exact
/// or absent, and the bounds of every type are in the Parquet footers already.
fn add(date: RunDate, file: &DataFile) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: HashMap::from([(EXTRACT_DATE.to_owned(), Some(date.to_string()))]),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time: chrono::Utc::now().timestamp_millis(),
        data_change: true,
        stats: Some(json!({ "numRecords": file.rows }).to_string()),
        ..Add::default()
    }
}

/// What of the days leaves the table, and the paths of what stays.
async fn removals(
    table: &DeltaTable,
    days: &BTreeMap<RunDate, Vec<DataFile>>,
) -> deltalake::DeltaResult<(Vec<Action>, BTreeSet<String>)> {
    let days: BTreeMap<String, BTreeSet<&str>> = days
        .iter()
        .map(|(date, files)| (date.to_string(), files.iter().map(|file| file.path.as_str()).collect()))
        .collect();
    let log_store = table.log_store();
    let snapshot = table.snapshot()?.snapshot();
    let mut removals = Vec::new();
    let mut present = BTreeSet::new();
    let mut files = snapshot.file_views(log_store.as_ref(), None);
    while let Some(file) = files.try_next().await? {
        let Some(Some(date)) = file.partition_values_map().remove(EXTRACT_DATE) else {
            continue;
        };
        let Some(wanted) = days.get(&date) else { continue };
        let remove = file.remove_action(true);
        if wanted.contains(remove.path.as_str()) {
            present.insert(remove.path);
        } else {
            removals.push(Action::Remove(remove));
        }
    }
    Ok((removals, present))
}

/// The actions that give an existing table its new columns.
fn alter(handle: &DeltaTable, folder: &Path, table: &str, own: &Schema, columns: &Schema) -> Result<Vec<Action>> {
    if columns == own {
        return Ok(Vec::new());
    }
    let delta = delta_error(folder);
    let state = handle.snapshot().map_err(&delta)?;
    let fields = delta_fields(table, columns)?;
    let kernel = deltalake::kernel::StructType::try_new(fields).map_err(|e| delta(e.into()))?;
    let mut actions = Vec::new();
    if needs_timestamp_ntz(columns) && !needs_timestamp_ntz(own) {
        actions.push(Action::Protocol(with_timestamp_ntz(state.protocol()).map_err(&delta)?));
    }
    let metadata = state
        .metadata()
        .clone()
        .with_schema(&kernel)
        .map_err(|e| delta(e.into()))?;
    actions.push(Action::Metadata(metadata));
    Ok(actions)
}

fn delta_fields(table: &str, schema: &Schema) -> Result<Vec<StructField>> {
    let mut fields = schema.fields().to_vec();
    fields.push(Field::new(EXTRACT_DATE, DataType::Date32, true).into());
    Ok(to_kernel(table, &Schema::new(fields))?.fields().cloned().collect())
}

fn needs_timestamp_ntz(schema: &Schema) -> bool {
    fn of(data_type: &DataType) -> bool {
        match data_type {
            DataType::Timestamp(_, None) => true,
            DataType::List(item) => of(item.data_type()),
            _ => false,
        }
    }
    schema.fields().iter().any(|field| of(field.data_type()))
}

/// A table created without zoneless timestamps lacks the feature that they need: PROTOCOL.md,
/// "Timestamp without timezone".
fn with_timestamp_ntz(protocol: &deltalake::kernel::Protocol) -> deltalake::DeltaResult<deltalake::kernel::Protocol> {
    let mut value = serde_json::to_value(protocol)?;
    value["minReaderVersion"] = json!(3);
    value["minWriterVersion"] = json!(7);
    for features in ["readerFeatures", "writerFeatures"] {
        let mut list = value[features].as_array().cloned().unwrap_or_default();
        if !list.contains(&json!("timestampNtz")) {
            list.push(json!("timestampNtz"));
        }
        value[features] = json!(list);
    }
    Ok(serde_json::from_value(value)?)
}
