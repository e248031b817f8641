//! One Delta commit replaces days of a table.
//!
//! The log is read once, when a table is opened, and only what the commit needs is kept of it: a run
//! holds that of all its tables at once. A commit costs the same however many came before it: a
//! checkpoint is written every [`CHECKPOINT_INTERVAL`] of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow as _;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{
    Action, Add, MetadataExt as _, Protocol, Remove, Snapshot, StructField, StructType, new_metadata,
};
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaResult, DeltaTable, DeltaTableBuilder, DeltaTableError, checkpoints};
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use serde_json::json;
use uuid::Uuid;

use crate::delta_log::{self, DeltaLog, Others};
use crate::delta_store::DeltaStore;
use crate::disk;
use crate::schema::{EXTRACT_DATE, to_kernel};
use crate::{DataFile, Error, Lake, Result, RunDate, RunId, evolution};

/// As Delta's own writers have it.
const CHECKPOINT_INTERVAL: u64 = 10;

/// A table that is about to get a commit.
pub(crate) struct Table {
    folder: PathBuf,
    name: String,
    staging: PathBuf,
    /// None if it isn't there yet.
    state: Option<State>,
}

/// What a commit needs of a log.
pub(crate) struct State {
    version: u64,
    /// But for the partition column.
    columns: Schema,
    others: Others,
    /// Commits since the last checkpoint.
    tail: u64,
    /// The files of these days.
    days: BTreeSet<RunDate>,
    files: Vec<ActiveFile>,
}

/// A file that a table has at a version.
pub(crate) struct ActiveFile {
    pub(crate) date: RunDate,
    /// What would remove it.
    pub(crate) remove: Remove,
}

impl Table {
    /// Reads a table's log, if it is there, with the files that it has of `days`.
    pub(crate) async fn open(folder: PathBuf, name: &str, staging: &Path, days: &BTreeSet<RunDate>) -> Result<Self> {
        let state = State::read(&folder, name, Some(days)).await?;
        Ok(Self {
            state: state.map(|(state, _)| state),
            folder,
            name: name.into(),
            staging: staging.into(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its columns but for the partition column; none if it isn't there yet.
    pub(crate) fn columns(&self) -> Option<&Schema> {
        self.state.as_ref().map(|state| &state.columns)
    }

    /// The newest version that another tool changed files with.
    pub(crate) fn others(&self) -> Others {
        self.state.as_ref().and_then(|state| state.others)
    }

    /// The latest version; none if there is no table.
    pub(crate) fn latest(&self) -> Option<u64> {
        self.state.as_ref().map(|state| state.version)
    }

    /// The files of the days that it was opened for.
    pub(crate) fn files(&self) -> &[ActiveFile] {
        self.state.as_ref().map_or(&[], State::files)
    }

    /// Whether it has exactly these files of the days that it was opened for.
    pub(crate) fn has_files(&self, files: &[DataFile]) -> bool {
        self.state
            .as_ref()
            .map_or(files.is_empty(), |state| state.has_files(files))
    }

    /// The version that the next commit makes, if no other run makes one before.
    pub(crate) fn next_version(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.version + 1)
    }

    /// Makes `files` all that the table has for the given days, in one commit with its columns, creating
    /// the table where it is not there yet; returns the version. The commit is on disk then.
    ///
    /// Without columns they stay as they are: that is for days which leave the table. A version that
    /// another run made meanwhile is no obstacle: its days are others, or it would not have their locks.
    pub(crate) async fn replace(
        mut self,
        columns: Option<&Schema>,
        days: &BTreeMap<RunDate, Vec<DataFile>>,
        run: &RunId,
    ) -> Result<u64> {
        let delta = delta_error(&self.folder);
        let wanted: BTreeSet<RunDate> = days.keys().copied().collect();
        let mut columns = columns.cloned();
        let joined = self.columns().cloned();
        let mut has_all = self.state.as_ref().is_none_or(|state| state.days.is_superset(&wanted));
        loop {
            let alters = columns.as_ref() != self.columns();
            let mut snapshot = None;
            if !has_all || alters && self.state.is_some() {
                let read = State::read(&self.folder, &self.name, Some(&wanted)).await?;
                (self.state, snapshot) = read
                    .map(|(state, snapshot)| (Some(state), Some(snapshot)))
                    .unwrap_or_default();
                if let Some(wants) = &columns
                    && self.columns() != joined.as_ref()
                {
                    columns = Some(self.rejoin(wants)?);
                }
            }
            let Some(actions) = self.actions(columns.as_ref(), days, snapshot.as_ref())? else {
                return Ok(self.next_version().saturating_sub(1));
            };
            let version = self.next_version();
            let log_store = log_store(&self.folder, Some(&self.staging)).map_err(&delta)?;
            let bytes = self.commit_bytes(actions, days, run).map_err(|e| delta(e.into()))?;
            let put = log_store.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::nil());
            match put.await {
                Ok(()) => {
                    self.clean_log(version).await?;
                    return Ok(version);
                }
                // Another run was first.
                Err(TransactionError::VersionAlreadyExists(_)) => has_all = false,
                Err(error) => return Err(delta(error.into())),
            }
        }
    }

    /// The columns of a table that another run has changed since this one joined it.
    fn rejoin(&self, columns: &Schema) -> Result<Schema> {
        let Some(now) = self.columns() else {
            return Ok(columns.clone());
        };
        let joined = evolution::evolve(&self.name, now, columns)?;
        if joined.retypes_table || evolution::in_types_of(&joined.schema, columns).is_some() {
            return Err(Error::ColumnsChanged {
                table: self.name.clone(),
            });
        }
        Ok(joined.schema)
    }

    /// What a commit has to say; none if nothing.
    fn actions(
        &self,
        columns: Option<&Schema>,
        days: &BTreeMap<RunDate, Vec<DataFile>>,
        snapshot: Option<&Snapshot>,
    ) -> Result<Option<Vec<Action>>> {
        let mut actions = Vec::new();
        match (&self.state, columns) {
            (None, None) => return Ok(None),
            (None, Some(columns)) => {
                let (protocol, metadata) = self.birth(columns)?;
                actions.extend([protocol, metadata]);
            }
            (Some(state), Some(columns)) if *columns != state.columns => {
                let Some(snapshot) = snapshot else { return Ok(None) }; // it was read for the columns
                actions.extend(self.alter(snapshot, &state.columns, columns)?);
            }
            _ => {}
        }
        let mut present = BTreeSet::new();
        for file in self.state.iter().flat_map(|state| &state.files) {
            let Some(wanted) = days.get(&file.date) else { continue };
            let path = file.remove.path.as_str();
            // A file of ours whose rows another tool has deleted some of leaves, and comes back whole.
            if file.remove.deletion_vector.is_none() && wanted.iter().any(|wanted| wanted.path == path) {
                present.insert(path);
            } else {
                actions.push(Action::Remove(file.remove.clone()));
            }
        }
        let wanted = days
            .iter()
            .flat_map(|(date, files)| files.iter().map(move |file| (*date, file)));
        let added = wanted.filter(|(_, file)| !present.contains(file.path.as_str()));
        actions.extend(added.map(|(date, file)| Action::Add(add(date, file))));
        Ok((!actions.is_empty()).then_some(actions))
    }

    fn commit_bytes(
        &self,
        actions: Vec<Action>,
        days: &BTreeMap<RunDate, Vec<DataFile>>,
        run: &RunId,
    ) -> Result<bytes::Bytes, TransactionError> {
        let dates: Vec<String> = days.keys().map(|date| format!("'{date}'")).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Overwrite,
            partition_by: Some(vec![EXTRACT_DATE.into()]),
            predicate: Some(format!("{EXTRACT_DATE} in ({})", dates.join(", "))),
        };
        let others = self.state.as_ref().and_then(|state| state.others);
        let about = HashMap::from([
            (delta_log::RUN.to_owned(), json!(run)),
            (delta_log::OTHERS.to_owned(), json!(others)),
            (delta_log::ACTIONS.to_owned(), json!(actions.len() + 1)),
        ]);
        CommitData::new(actions, operation, about, Vec::new()).get_bytes()
    }

    fn birth(&self, columns: &Schema) -> Result<(Action, Action)> {
        let delta = delta_error(&self.folder);
        let kernel = StructType::try_new(delta_fields(&self.name, columns)?).map_err(|e| delta(e.into()))?;
        let metadata = new_metadata(&kernel, [EXTRACT_DATE], std::iter::empty::<(&str, &str)>())
            .and_then(|metadata| metadata.with_name(self.name.clone()))
            .map_err(|e| delta(e.into()))?;
        // PROTOCOL.md: the least that a table asks of its readers and writers.
        let least = json!({ "minReaderVersion": 1, "minWriterVersion": 2 });
        let mut protocol: Protocol = serde_json::from_value(least).map_err(|e| delta(e.into()))?;
        if needs_timestamp_ntz(columns) {
            protocol = with_timestamp_ntz(&protocol).map_err(&delta)?;
        }
        Ok((Action::Protocol(protocol), Action::Metadata(metadata)))
    }

    /// The actions that give an existing table its new columns.
    fn alter(&self, snapshot: &Snapshot, own: &Schema, columns: &Schema) -> Result<Vec<Action>> {
        let delta = delta_error(&self.folder);
        let kernel = StructType::try_new(delta_fields(&self.name, columns)?).map_err(|e| delta(e.into()))?;
        let mut actions = Vec::new();
        if needs_timestamp_ntz(columns) && !needs_timestamp_ntz(own) {
            actions.push(Action::Protocol(
                with_timestamp_ntz(snapshot.protocol()).map_err(&delta)?,
            ));
        }
        let metadata = snapshot.metadata().clone();
        let metadata = metadata.with_schema(&kernel).map_err(|e| delta(e.into()))?;
        actions.push(Action::Metadata(metadata));
        Ok(actions)
    }

    /// Keeps the log short for who reads it next, where it is time for that. The commit stands without.
    async fn clean_log(&self, version: u64) -> Result<()> {
        DeltaLog::list(&self.folder)?.remove_temporary()?;
        // Tables that were made on one day do not all take their turn on one day.
        let phase: u64 = self.name.bytes().map(u64::from).sum();
        let is_turn = version >= CHECKPOINT_INTERVAL && (version + phase).is_multiple_of(CHECKPOINT_INTERVAL);
        let tail = self.state.as_ref().map_or(0, |state| state.tail);
        if !is_turn && tail < 2 * CHECKPOINT_INTERVAL {
            return Ok(());
        }
        let checkpoint = async {
            let mut table = DeltaTable::new(log_store(&self.folder, Some(&self.staging))?);
            table.load_version(version).await?;
            checkpoints::create_checkpoint(&table, None).await?;
            checkpoints::cleanup_metadata(&table, None).await
        };
        if let Err(error) = checkpoint.await {
            let error = delta_error(&self.folder)(error);
            tracing::warn!("no checkpoint of version {version} was written, a later commit tries again: {error}");
        }
        Ok(())
    }
}

impl State {
    /// Reads a log's latest version, with the files of `days`, or of all; none if there is no table.
    pub(crate) async fn read(
        folder: &Path,
        table: &str,
        days: Option<&BTreeSet<RunDate>>,
    ) -> Result<Option<(Self, Snapshot)>> {
        // The library opens what is in there by itself.
        disk::refuse_links_in(&folder.join("_delta_log"))?;
        let log = DeltaLog::list(folder)?;
        let Some(version) = log.latest_whole()? else {
            return Ok(None);
        };
        let delta = delta_error(folder);
        let log_store = log_store(folder, None).map_err(&delta)?;
        let snapshot = Snapshot::try_new(log_store.as_ref(), Some(version))
            .await
            .map_err(&delta)?;
        check_features(snapshot.protocol(), snapshot.metadata().configuration()).map_err(|e| delta(e.into()))?;
        let state = Self {
            version,
            columns: own_columns(&snapshot, table)?,
            others: log.others()?,
            tail: version - log.checkpoint().unwrap_or(0),
            files: active_files(&snapshot, &log_store, days).await.map_err(&delta)?,
            days: days.cloned().unwrap_or_default(),
        };
        Ok(Some((state, snapshot)))
    }

    fn has_files(&self, files: &[DataFile]) -> bool {
        let is_whole = |active: &ActiveFile| active.remove.deletion_vector.is_none();
        let active: BTreeSet<&str> = self.files.iter().map(|active| active.remove.path.as_str()).collect();
        let files: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        active == files && self.files.iter().all(is_whole)
    }

    pub(crate) fn files(&self) -> &[ActiveFile] {
        &self.files
    }
}

pub(crate) fn delta_error(folder: &Path) -> impl Fn(DeltaTableError) -> Error + use<> {
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
        let state = State::read(&folder, table, Some(&BTreeSet::new())).await?;
        Ok(state.map(|(state, _)| state.columns))
    }
}

/// A table's log, to be read, or to be written through a staging folder.
fn log_store(folder: &Path, staging: Option<&Path>) -> DeltaResult<LogStoreRef> {
    let url = url::Url::from_directory_path(folder)
        .map_err(|()| DeltaTableError::InvalidTableLocation(folder.display().to_string()))?;
    let builder = DeltaTableBuilder::from_url(url.clone())?;
    let builder = match staging {
        Some(staging) => builder.with_storage_backend(Arc::new(DeltaStore::new(staging)), url),
        None => builder.with_storage_backend(Arc::new(LocalFileSystem::new()), url),
    };
    builder.build_storage()
}

/// Refuses what another tool has given the table and a commit here would not heed.
fn check_features(protocol: &Protocol, configuration: &HashMap<String, String>) -> Result<(), TransactionError> {
    // A commit here removes and adds whole files.
    const KNOWN: [&str; 5] = [
        "appendOnly",
        "deletionVectors",
        "invariants",
        "timestampNtz",
        "v2Checkpoint",
    ];
    if configuration
        .get("delta.appendOnly")
        .is_some_and(|value| value == "true")
    {
        return Err(TransactionError::DeltaTableAppendOnly);
    }
    let unknown: Vec<_> = match protocol.min_writer_version() {
        0..=2 => Vec::new(),
        _ => {
            let features = protocol.writer_features().unwrap_or_default().iter();
            features
                .filter(|feature| !KNOWN.contains(&feature.as_ref()))
                .cloned()
                .collect()
        }
    };
    match unknown.is_empty() && !(3..=6).contains(&protocol.min_writer_version()) {
        true => Ok(()),
        false => Err(TransactionError::UnsupportedTableFeatures(unknown)),
    }
}

/// A table's columns but for the partition column.
fn own_columns(snapshot: &Snapshot, table: &str) -> Result<Schema> {
    let all: Schema = snapshot
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

/// The files that a table has of `days`, or all.
async fn active_files(
    snapshot: &Snapshot,
    log_store: &LogStoreRef,
    days: Option<&BTreeSet<RunDate>>,
) -> DeltaResult<Vec<ActiveFile>> {
    let mut active = Vec::new();
    if days.is_some_and(BTreeSet::is_empty) {
        return Ok(active);
    }
    let mut files = snapshot.file_views(log_store.as_ref(), None);
    while let Some(file) = files.try_next().await? {
        // The folder's name says it for less, where it is one of ours.
        let of_folder = file.path().split_once('/').and_then(|(folder, _)| {
            let date = folder.strip_prefix(EXTRACT_DATE)?.strip_prefix('=')?;
            date.parse().ok()
        });
        let date: Option<RunDate> =
            of_folder.or_else(|| file.partition_values_map().remove(EXTRACT_DATE)??.parse().ok());
        if let Some(date) = date.filter(|date| days.is_none_or(|days| days.contains(date))) {
            active.push(ActiveFile {
                date,
                remove: file.remove_action(true),
            });
        }
    }
    Ok(active)
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
fn with_timestamp_ntz(protocol: &Protocol) -> DeltaResult<Protocol> {
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
