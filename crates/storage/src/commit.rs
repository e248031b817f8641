//! One Delta commit replaces one day of one table.

use std::collections::HashMap;
use std::path::Path;

use arrow::datatypes::{DataType, Field, Schema};
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, MetadataExt as _, StructField};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt as _;
use serde_json::json;

use crate::schema::{EXTRACT_DATE, to_kernel, union_schema};
use crate::{DataFile, Error, Lake, Result, RunDate, RunId};

/// Makes `files` all that the table has for `date`, creating the table where it is not there yet.
///
/// Returns the version. With no schema the day is removed from a table that exists.
pub(crate) async fn replace_day(
    folder: &Path,
    table: &str,
    schema: Option<&Schema>,
    date: RunDate,
    files: &[DataFile],
    run: &RunId,
) -> Result<u64> {
    let delta = |source: DeltaTableError| Error::Delta {
        path: folder.into(),
        source: Box::new(source),
    };
    let mut handle = open(folder).map_err(delta)?;
    let properties = CommitProperties::default().with_metadata([("lake.run".to_owned(), json!(run))]);
    let adds = files.iter().map(|file| Action::Add(add(date, file)));

    if !handle.verify_deltatable_existence().await.map_err(delta)? {
        let Some(schema) = schema else { return Ok(0) };
        let created = CreateBuilder::new()
            .with_log_store(handle.log_store())
            .with_table_name(table)
            .with_columns(delta_fields(table, schema)?)
            .with_partition_columns([EXTRACT_DATE])
            .with_commit_properties(properties)
            .with_actions(adds)
            .await
            .map_err(delta)?;
        return Ok(created.version().unwrap_or_default());
    }

    handle.load().await.map_err(delta)?;
    let mut actions = removals(&handle, date).await.map_err(delta)?;
    if actions.is_empty() && schema.is_none() {
        return Ok(handle.version().unwrap_or_default());
    }
    if let Some(schema) = schema {
        actions.extend(evolve(&handle, folder, table, schema)?);
    }
    actions.extend(adds);
    let state = handle.snapshot().map_err(delta)?;
    let commit = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(
            Some(state),
            handle.log_store(),
            DeltaOperation::Write {
                mode: SaveMode::Overwrite,
                partition_by: Some(vec![EXTRACT_DATE.into()]),
                predicate: Some(format!("{EXTRACT_DATE} = '{date}'")),
            },
        )
        .await
        .map_err(delta)?;
    Ok(commit.version())
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
        let delta = |source: DeltaTableError| Error::Delta {
            path: folder.clone(),
            source: Box::new(source),
        };
        let mut handle = open(&folder).map_err(delta)?;
        if !handle.verify_deltatable_existence().await.map_err(delta)? {
            return Ok(None);
        }
        handle.load().await.map_err(delta)?;
        own_columns(&handle, &folder, table).map(Some)
    }
}

fn open(folder: &Path) -> deltalake::DeltaResult<DeltaTable> {
    let url = url::Url::from_directory_path(folder)
        .map_err(|()| DeltaTableError::InvalidTableLocation(folder.display().to_string()))?;
    DeltaTableBuilder::from_url(url)?.build()
}

/// A loaded table's columns but for the partition column.
fn own_columns(handle: &DeltaTable, folder: &Path, table: &str) -> Result<Schema> {
    let state = handle.snapshot().map_err(|source| Error::Delta {
        path: folder.into(),
        source: Box::new(source),
    })?;
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

async fn removals(table: &DeltaTable, date: RunDate) -> deltalake::DeltaResult<Vec<Action>> {
    let day = date.to_string();
    let log_store = table.log_store();
    let snapshot = table.snapshot()?.snapshot();
    let mut removals = Vec::new();
    let mut files = snapshot.file_views(log_store.as_ref(), None);
    while let Some(file) = files.try_next().await? {
        if file.partition_values_map().get(EXTRACT_DATE) == Some(&Some(day.clone())) {
            removals.push(Action::Remove(file.remove_action(true)));
        }
    }
    Ok(removals)
}

/// The actions that make room in an existing table for the day's columns.
fn evolve(handle: &DeltaTable, folder: &Path, table: &str, schema: &Schema) -> Result<Vec<Action>> {
    let delta = |source: DeltaTableError| Error::Delta {
        path: folder.into(),
        source: Box::new(source),
    };
    let state = handle.snapshot().map_err(delta)?;
    let own = own_columns(handle, folder, table)?;
    // Through Delta's own types, so that what Delta does not keep makes no difference.
    let day: Schema = (&to_kernel(table, schema)?)
        .try_into_arrow()
        .map_err(|source| Error::Schema {
            table: table.into(),
            source,
        })?;
    let union = union_schema(table, folder, &own, &day)?;
    if union == own {
        return Ok(Vec::new());
    }
    let fields = delta_fields(table, &union)?;
    let kernel = deltalake::kernel::StructType::try_new(fields).map_err(|e| delta(e.into()))?;
    let mut actions = Vec::new();
    if needs_timestamp_ntz(&union) && !needs_timestamp_ntz(&own) {
        actions.push(Action::Protocol(with_timestamp_ntz(state.protocol()).map_err(delta)?));
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
