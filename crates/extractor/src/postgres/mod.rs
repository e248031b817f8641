//! A Postgres database as a source: every table under one snapshot.
//!
//! ```text
//!  coordinator: list ─ begin ─ lock ─ list again ─ export snapshot ────────────────── commit
//!                                        │ pieces: (table, ctid range), largest first
//!  workers (1..jobs):                    └─ adopt snapshot ─ COPY out ─► batches ─► Parquet
//! ```
//!
//! Each of them, with its connection, has a thread of its own.
//!
//! The tables are locked (`ACCESS SHARE`: only an `ALTER`, `DROP` or `TRUNCATE` waits) before the
//! first query fixes the snapshot. The other way round, a `TRUNCATE` or a rewriting `ALTER` that
//! commits in between would leave a table that looks empty under the snapshot, and no error.

mod again;
mod drift;
mod grants;
mod list;
mod locks;
mod names;
mod own_thread;
mod pieces;
mod read;
mod read_piece;
mod refused;
mod relation;
mod select;
mod snapshot;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use lake_postgres::Timeouts;
use lake_storage::{Lake, Manifest, TableWrite};

pub use self::grants::Ungranted;
pub(crate) use self::grants::mend;
use self::names::Given;
use self::own_thread::on_own_thread;
use self::read::{Part, Sink, read_all};
use self::relation::Table;
pub use self::select::TablePattern;
use self::snapshot::{Coordinator, Identity};
use crate::{Error, Probe, Progress, Request, Result};

/// A Postgres database.
#[derive(Clone)]
pub struct PostgresSource {
    /// The source's name.
    pub name: String,
    /// The connection URL; not shown by Debug.
    pub url: String,
    /// How long its connections wait.
    pub timeouts: Timeouts,
    /// Which tables, in the order of the config; all if empty.
    pub tables: Vec<TablePattern>,
    /// Settings by the pattern that they were written under.
    pub settings: Vec<(TablePattern, TableSettings)>,
    /// What arrays become.
    pub arrays: Arrays,
}

/// What arrays become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrays {
    /// Lists, and text from the first day on that has one which a list can't hold.
    #[default]
    List,
    /// The server's text.
    Text,
}

impl fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSource")
            .field("name", &self.name)
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// How a table is read where the default does not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSettings {
    /// Columns to carry as something else, by the name that they have in the source or in the lake.
    pub columns: BTreeMap<String, ColumnAs>,
    /// Columns to leave out.
    pub exclude: Vec<String>,
    /// Names that columns have in the lake, where they can't or shall not keep their own.
    pub rename: BTreeMap<String, String>,
    /// The table's name in the lake.
    pub name: Option<String>,
}

/// What a column is carried as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnAs {
    /// The server's text.
    Text,
    /// A decimal, for a `numeric` that declares no precision; digits beyond it are an error.
    Decimal {
        /// Digits in all, at most 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
}

pub(crate) async fn extract(
    lake: &Lake,
    source: &PostgresSource,
    request: &Request,
    progress: impl Fn(Progress) + Send + Sync + Clone + 'static,
) -> Result<(Manifest, Vec<String>)> {
    let day = Arc::new(lake.begin_day(&source.name, request.date, &request.run, &request.command)?);
    let given = Given::of(lake, &source.name)?;
    let reading = {
        let (lake, source, request, day) = (lake.clone(), source.clone(), request.clone(), day.clone());
        on_own_thread(move || {
            again::until_undisturbed(async move || {
                let mut snapshot = Coordinator::open(&source, given.clone(), &request.command, &request.tables).await?;
                check_columns(&snapshot.tables)?;
                let sink = Sink::Day(day.clone());
                let parts = read(&lake, &source, &mut snapshot, request.jobs, sink, progress.clone()).await?;
                Ok((snapshot.end().await?, parts))
            })
        })
    };
    let (identity, mut files) = reading.await?;

    let mut tables = Vec::new();
    for table in identity.tables {
        let mut parts = files.remove(&table.name).unwrap_or_default();
        parts.sort_by_key(|part| part.number);
        tables.push(TableWrite {
            name: table.name,
            relation: Some(table.relation),
            snapshot: Some(identity.snapshot.clone()),
            inputs: BTreeMap::new(),
            schema: table.schema,
            rows: parts.iter().map(|part| part.counted).sum(),
            files: parts.into_iter().map(|part| part.file).collect(),
        });
    }
    let names = tables.iter().map(|table| table.name.clone()).collect();
    let Some(day) = Arc::into_inner(day) else {
        unreachable!("workers are awaited in read_all");
    };
    let manifest = day.publish(tables, request.coverage()).await.map_err(Error::from)?;
    Ok((manifest, names))
}

/// All that is refused at once: a run for each would try patience.
fn check_columns(tables: &[Table]) -> Result<()> {
    let refused = tables
        .iter()
        .filter_map(|table| lake_storage::check_columns(&table.relation.to_string(), &table.schema).err());
    Error::all(refused.map(Error::from).collect())
}

/// Reads the snapshot's tables and returns the parts of each.
async fn read(
    lake: &Lake,
    source: &PostgresSource,
    snapshot: &mut Coordinator,
    jobs: usize,
    sink: Sink,
    progress: impl Fn(Progress) + Clone + Send + Sync + 'static,
) -> Result<HashMap<String, Vec<Part>>> {
    for table in &mut snapshot.tables {
        carry_known_lists_as_text(lake, source, table).await?;
    }
    progress(Progress::Planned {
        tables: snapshot.tables.len() as u64,
        bytes: snapshot.tables.iter().map(|table| table.bytes).sum(),
    });
    let mut pieces = pieces::cut(&snapshot.tables, jobs, snapshot.ctid_ranges);
    let mut parts = HashMap::new();
    while !pieces.is_empty() {
        let found = read_all(snapshot, source, pieces.clone(), jobs, sink.clone(), progress.clone()).await?;
        parts.extend(found.parts);
        let mut again = refused::settle(found.refused, source, &mut snapshot.tables)?;
        again.extend(drift::settle(&snapshot.connection, &mut snapshot.tables).await?);
        // Read for its values alone, a table has shown them all.
        pieces.retain(|piece| again.contains(&piece.table) && matches!(sink, Sink::Day(_)));
    }
    Ok(parts)
}

/// The lists that are text in the lake already, or that the config wants as text.
async fn carry_known_lists_as_text(lake: &Lake, source: &PostgresSource, table: &mut Table) -> Result<()> {
    let lists = table.lists();
    if lists.is_empty() {
        return Ok(());
    }
    let in_lake = match source.arrays {
        Arrays::Text => None,
        Arrays::List => Some(lake.table_schema(&source.name, &table.name).await?),
    };
    for column in lists {
        let name = table.schema.field(column).name();
        let is_text = |schema: &Schema| {
            schema
                .field_with_name(name)
                .is_ok_and(|f| *f.data_type() == DataType::Utf8)
        };
        if in_lake
            .as_ref()
            .is_none_or(|in_lake| in_lake.as_ref().is_some_and(is_text))
        {
            table.carry_list_as_text(column);
        }
    }
    Ok(())
}

pub(crate) async fn probe(lake: &Lake, source: &PostgresSource, command: &str) -> Result<Probe> {
    let snapshot = Coordinator::open(source, Given::of(lake, &source.name)?, command, &[]).await?;
    check_columns(&snapshot.tables)?;
    Ok(describe(snapshot.end().await?))
}

/// Reads everything and writes nothing.
pub(crate) async fn probe_values(
    lake: &Lake,
    source: &PostgresSource,
    command: &str,
    jobs: usize,
    progress: impl Fn(Progress) + Send + Sync + Clone + 'static,
) -> Result<Probe> {
    let given = Given::of(lake, &source.name)?;
    let (lake, source, command) = (lake.clone(), source.clone(), command.to_owned());
    let reading = on_own_thread(move || {
        again::until_undisturbed(async move || {
            let mut snapshot = Coordinator::open(&source, given.clone(), &command, &[]).await?;
            let columns = check_columns(&snapshot.tables);
            let sink = Sink::Nowhere(lake.memory().clone());
            let values = read(&lake, &source, &mut snapshot, jobs, sink, progress.clone()).await;
            Error::all(columns.err().into_iter().chain(values.err()).collect())?;
            snapshot.end().await
        })
    });
    Ok(describe(reading.await?))
}

fn describe(identity: Identity) -> Probe {
    Probe {
        description: format!(
            "PostgreSQL {}, database {}",
            identity.snapshot.server_version, identity.snapshot.database
        ),
        tables: identity
            .tables
            .into_iter()
            .map(|table| (table.name, Some(table.relation)))
            .collect(),
    }
}
