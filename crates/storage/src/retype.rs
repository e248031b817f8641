//! A day that joins its table: columns compared, other days rewritten where a type has to change.
//!
//! The days that need another type are rewritten in this order, so that a run killed anywhere leaves
//! every day readable, and the next run of any day completes it:
//!
//! ```text
//!  mark the table ─► rewrite files ─► their days' manifests ─► one Delta commit with the new day
//!                                        ─► the new day's manifest ─► delete what was replaced ─► unmark
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::disk::{self, io};
use crate::evolution::{self, Evolution, SchemaChange, in_types_of};
use crate::lock::FileLock;
use crate::name::encode_segment;
use crate::publish::some_at_once;
use crate::schema::EXTRACT_DATE;
use crate::{
    BatchReader, ColumnChange, DataFile, DayWriter, Error, FileWriter, Lake, RESULTS, Result, RunDate, StoredFile,
    TableEntry, TableWrite, WrittenFile, commit, schema, server_text,
};

/// In a table's folder while days of it are being rewritten.
pub(crate) const MARK: &str = "_retyping";

/// A table that is about to get a day.
pub(crate) struct Joining {
    pub(crate) delta: commit::Table,
    /// The columns that it will have.
    pub(crate) columns: Schema,
    /// Whether other days have to be rewritten, now or because a killed run did not come to its end.
    pub(crate) retypes: bool,
}

/// Other days of the tables, rewritten.
pub(crate) struct Retyped {
    /// Their files by table.
    pub(crate) days: BTreeMap<String, BTreeMap<RunDate, Vec<DataFile>>>,
    _locks: Vec<FileLock>,
}

impl DayWriter {
    /// Reads the tables' logs and says what their columns will be. Changes nothing.
    pub(crate) async fn join(&self, tables: &[TableWrite]) -> Result<Vec<Joining>> {
        let opened = some_at_once(tables, |table| self.delta_table(&table.name)).await?;
        let mut changes = Vec::new();
        let joining: Result<Vec<Joining>> = tables
            .iter()
            .zip(opened)
            .map(|(table, delta)| self.joining(table, delta, &mut changes))
            .collect();
        let joining = joining?;
        if changes.is_empty() {
            return Ok(joining);
        }
        // A query is the user's own: whoever edits it means to.
        if self.lake.schema_change() == SchemaChange::Freeze && self.source != RESULTS {
            return Err(Error::Frozen { changes });
        }
        for change in &changes {
            let column = joining
                .iter()
                .zip(tables)
                .find(|(_, table)| table.name == change.table)
                .and_then(|(joining, _)| joining.columns.field_with_name(&change.column).ok());
            let now = column.map(|field| schema::delta_type_name(field.data_type()));
            tracing::warn!(
                "{}{change}: {}",
                self.label(),
                change.outcome(now.as_deref().unwrap_or_default())
            );
        }
        Ok(joining)
    }

    fn label(&self) -> String {
        format!("{} of {}, ", self.source, self.date)
    }

    fn joining(&self, table: &TableWrite, delta: commit::Table, changes: &mut Vec<ColumnChange>) -> Result<Joining> {
        let of_day = schema::as_delta_keeps(&table.name, &table.schema)?;
        let was_interrupted = delta.folder().join(MARK).exists();
        let fresh = |delta, columns| Joining {
            delta,
            columns,
            retypes: false,
        };
        let Some(of_table) = delta.columns() else {
            return Ok(fresh(delta, of_day));
        };
        let first = evolution::evolve(&table.name, of_table, &of_day);
        if let Ok(evolution) = &first
            && evolution.changes.is_empty()
            && !was_interrupted
        {
            let columns = evolution.schema.clone();
            return Ok(fresh(delta, columns));
        }
        let Some(latest) = self.latest_other_day(&table.name)? else {
            // The table's only day replaces its columns too.
            return Ok(fresh(delta, of_day));
        };
        let latest = latest.arrow_schema(&table.name)?;
        // A column that went long ago is no news.
        let is_news = |change: &ColumnChange| change.has.is_some() || latest.column_with_name(&change.column).is_some();
        if let Ok(evolution) = &first
            && !evolution.changes.iter().any(is_news)
            && !was_interrupted
        {
            let columns = evolution.schema.clone();
            return Ok(fresh(delta, columns));
        }
        let others = self.other_days(&table.name)?;
        let days: Vec<RunDate> = others.iter().map(|(date, _)| *date).collect();
        let mut evolution = first.map_err(|error| on_days(error, &days))?;
        if was_interrupted {
            for (_, day) in &others {
                let Evolution { schema, .. } =
                    evolution::evolve(&table.name, &evolution.schema, &*day.arrow_schema(&table.name)?)?;
                evolution.schema = schema;
            }
        }
        for change in evolution.changes.iter().filter(|change| is_news(change)) {
            changes.push(ColumnChange {
                days: days.clone(),
                ..change.clone()
            });
        }
        Ok(Joining {
            retypes: evolution.retypes_table || was_interrupted,
            columns: evolution.schema,
            delta,
        })
    }

    /// What a table is on the latest of the source's other days.
    fn latest_other_day(&self, table: &str) -> Result<Option<TableEntry>> {
        let only = BTreeSet::from([table.to_owned()]);
        for date in self.other_dates()?.into_iter().rev() {
            let manifest = self.lake.manifest_of_tables(&self.source, date, &only)?;
            if let Some(entry) = manifest.and_then(|mut manifest| manifest.tables.remove(table)) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// What a table is on all of the source's other days.
    fn other_days(&self, table: &str) -> Result<Vec<(RunDate, TableEntry)>> {
        let only = BTreeSet::from([table.to_owned()]);
        let mut days = Vec::new();
        for date in self.other_dates()? {
            let manifest = self.lake.manifest_of_tables(&self.source, date, &only)?;
            if let Some(entry) = manifest.and_then(|mut manifest| manifest.tables.remove(table)) {
                days.push((date, entry));
            }
        }
        Ok(days)
    }

    fn other_dates(&self) -> Result<BTreeSet<RunDate>> {
        let mut dates = self.lake.all_days(&self.source)?;
        dates.remove(&self.date);
        Ok(dates)
    }

    /// Rewrites the other days of the tables whose columns get other types, manifests included.
    pub(crate) fn retype_other_days(&self, tables: &[TableWrite], joining: &[Joining]) -> Result<Retyped> {
        let retyping: BTreeMap<&str, &Joining> = tables
            .iter()
            .zip(joining)
            .filter(|(_, joining)| joining.retypes)
            .map(|(table, joining)| (table.name.as_str(), joining))
            .collect();
        let mut retyped = Retyped {
            days: BTreeMap::new(),
            _locks: Vec::new(),
        };
        if retyping.is_empty() {
            return Ok(retyped);
        }
        for joining in retyping.values() {
            disk::write_atomic(&joining.delta.folder().join(MARK), self.run.to_string().as_bytes())?;
        }
        for date in self.other_dates()? {
            retyped
                ._locks
                .push(self.lake.lock_day(&self.source, date, &self.command)?);
            let Some(mut manifest) = self.lake.manifest_or_partial(&self.source, date)? else {
                continue;
            };
            let mut has_changed = false;
            for (name, joining) in &retyping {
                if let Some(entry) = manifest.tables.get_mut(*name) {
                    has_changed |= self.retype_entry(name, date, entry, joining)?;
                    let days = retyped.days.entry((*name).to_owned()).or_default();
                    days.insert(date, entry.files.clone());
                }
            }
            if has_changed {
                self.write_manifest(&manifest)?;
            }
        }
        Ok(retyped)
    }

    /// Rewrites a table's day if its types are not the table's; tells whether they were not.
    fn retype_entry(&self, table: &str, date: RunDate, entry: &mut TableEntry, joining: &Joining) -> Result<bool> {
        let Some(schema) = in_types_of(&joining.columns, &*entry.arrow_schema(table)?) else {
            return Ok(false);
        };
        let schema: SchemaRef = Arc::new(schema);
        let staging = self.staging.join(encode_segment(table)?).join(date.to_string());
        let mut written = Vec::with_capacity(entry.files.len());
        for (place, file) in self.lake.files(&self.source, table, entry)?.iter().enumerate() {
            let to = staging.join(format!("part-{place:05}-{}.parquet", self.run));
            written.push(rewrite(file, &to, &schema, &self.lake)?);
        }
        let rows = written.iter().map(|file| file.rows).sum();
        if rows != entry.rows {
            return Err(Error::RowCount {
                table: table.into(),
                expected: entry.rows,
                written: rows,
            });
        }
        entry.files = self.place(table, date, written)?;
        entry.bytes = entry.files.iter().map(|file| file.bytes).sum();
        entry.trimmed = true; // by the reader
        entry.schema = TableEntry::schema_value(table, &schema)?;
        entry.delta_version = joining.delta.next_version();
        Ok(true)
    }

    /// Brings the new day's own files into the table's types.
    pub(crate) fn retype_new_day(&self, table: &mut TableWrite, joining: &Joining) -> Result<()> {
        let Some(schema) = in_types_of(&joining.columns, &table.schema) else {
            return Ok(());
        };
        let schema: SchemaRef = Arc::new(schema);
        for file in &mut table.files {
            let name = file.path.file_name().unwrap_or_default();
            let to = file.path.with_file_name("retyped").join(name);
            *file = rewrite(&file.stored(), &to, &schema, &self.lake)?;
        }
        table.schema = schema;
        Ok(())
    }

    /// Moves files from staging into a day's folder.
    pub(crate) fn place(&self, table: &str, date: RunDate, files: Vec<WrittenFile>) -> Result<Vec<DataFile>> {
        let partition = format!("{EXTRACT_DATE}={date}");
        let dir = self.lake.table_dir(&self.source, table)?.join(&partition);
        disk::create_dir_all(&dir)?;
        let mut placed = Vec::with_capacity(files.len());
        for file in files {
            let Some(name) = file.path.file_name().and_then(|name| name.to_str()) else {
                continue; // it was named a few lines above
            };
            fs::rename(&file.path, dir.join(name)).map_err(io("move", &file.path))?;
            placed.push(DataFile {
                path: format!("{partition}/{name}"),
                rows: file.rows,
                bytes: file.bytes,
                footer: Some(file.footer),
            });
        }
        disk::sync(&dir)?;
        Ok(placed)
    }

    /// Deletes what the rewritten days had before. Nobody reads them any more.
    pub(crate) fn end_retyping(&self, table: &str, folder: &Path) -> Result<()> {
        let mark = folder.join(MARK);
        if !mark.exists() {
            return Ok(());
        }
        for (date, entry) in self.other_days(table)? {
            self.remove_superseded(table, date, Some(&entry))?;
        }
        disk::remove_if_exists(&mark)
    }
}

fn on_days(error: Error, days: &[RunDate]) -> Error {
    match error {
        Error::ColumnType { change } => Error::ColumnType {
            change: Box::new(ColumnChange {
                days: days.to_vec(),
                ..*change
            }),
        },
        other => other,
    }
}

/// Writes a file's rows anew, in their order, with the columns' types of `schema`.
pub(crate) fn rewrite(from: &StoredFile, to: &Path, schema: &SchemaRef, lake: &Lake) -> Result<WrittenFile> {
    let mut writer = FileWriter::create(to, schema, lake.compatibility(), lake.memory())?;
    for batch in BatchReader::new(vec![from.clone()], lake.memory()) {
        let batch = cast(&batch?, schema).map_err(|(field, source)| Error::Retype {
            column: field.name().clone(),
            data_type: schema::delta_type_name(field.data_type()),
            path: from.path.clone(),
            source,
        })?;
        writer.write(&batch)?;
    }
    writer.finish()
}

fn cast(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, (FieldRef, ArrowError)> {
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let error = |source| (field.clone(), source);
        let place = batch.schema_ref().index_of(field.name()).map_err(error)?;
        let had = batch.schema_ref().field(place);
        arrays.push(cast_values(batch.column(place), had, field.data_type()).map_err(error)?);
    }
    // A table has a column at least.
    RecordBatch::try_new(schema.clone(), arrays).map_err(|source| (schema.fields()[0].clone(), source))
}

fn cast_values(values: &ArrayRef, had: &Field, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match (values.data_type(), data_type) {
        (from, to) if from == to => Ok(values.clone()),
        (_, DataType::Utf8) => Ok(Arc::new(server_text::text(values, had)?)),
        (DataType::List(_), DataType::List(item)) if *item.data_type() == DataType::Utf8 => {
            let list = values.as_list::<i32>();
            let items = Arc::new(server_text::text(list.values(), had)?);
            let list = ListArray::try_new(item.clone(), list.offsets().clone(), items, list.nulls().cloned())?;
            Ok(Arc::new(list))
        }
        _ => {
            // A value that does not fit is an error, not a NULL.
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(values, data_type, &options)
        }
    }
}
