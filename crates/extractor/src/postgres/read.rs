//! Workers: who reads which piece, on which connection.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use lake_postgres::{Connection, Mode};
use lake_storage::{DayWriter, Memory, WrittenFile};
use tokio::time::timeout;

use super::PostgresSource;
use super::own_thread::on_own_thread;
use super::pieces::{Piece, workers};
use super::refused::Refused;
use super::relation::Table;
use super::snapshot::Coordinator;
use crate::{Error, ExtractedTable, Progress, Result};

const PAUSE: Duration = Duration::from_millis(50);

/// A piece of a table in its Parquet file.
pub(super) struct Part {
    pub(super) number: usize,
    /// Rows as the server counted them when it sent them.
    pub(super) counted: u64,
    pub(super) file: WrittenFile,
}

/// Where the rows go.
#[derive(Clone)]
pub(super) enum Sink {
    /// Into a day's files.
    Day(Arc<DayWriter>),
    /// Nowhere: each value is looked at.
    Nowhere(Memory),
}

impl Sink {
    pub(super) fn memory(&self) -> &Memory {
        match self {
            Self::Day(day) => day.memory(),
            Self::Nowhere(memory) => memory,
        }
    }
}

/// What came of the pieces.
#[derive(Default)]
pub(super) struct Found {
    /// The parts of each table, unordered.
    pub(super) parts: HashMap<String, Vec<Part>>,
    /// The columns with a value that can't be taken; the pieces with one have no part.
    pub(super) refused: Vec<Refused>,
}

/// What the workers share.
pub(super) struct Work<P> {
    pub(super) tables: Vec<Table>,
    pub(super) queue: Mutex<VecDeque<Piece>>,
    /// Pieces of each table that are not read yet.
    pub(super) left: Mutex<Vec<(usize, u64, u64)>>,
    pub(super) sink: Sink,
    /// A worker has failed: what the others do is in vain.
    pub(super) failed: AtomicBool,
    pub(super) refused: Mutex<Vec<Refused>>,
    /// There will be no day, since the config has to say more: rows are looked at only.
    pub(super) looks_only: AtomicBool,
    pub(super) progress: P,
}

/// Reads all pieces.
///
/// A value that the lake can't hold does not end it: whoever has to write a line into the config for a column
/// wants to know of all such columns.
pub(super) async fn read_all<P>(
    snapshot: &Coordinator,
    source: &PostgresSource,
    pieces: Vec<Piece>,
    jobs: usize,
    sink: Sink,
    progress: P,
) -> Result<Found>
where
    P: Fn(Progress) + Send + Sync + 'static,
{
    let connections = workers(&pieces, jobs);
    let mut left = vec![(0, 0, 0); snapshot.tables.len()];
    for piece in &pieces {
        left[piece.table].0 += 1;
    }
    let work = Arc::new(Work {
        tables: snapshot.tables.clone(),
        queue: Mutex::new(pieces.into()),
        left: Mutex::new(left),
        looks_only: AtomicBool::new(matches!(sink, Sink::Nowhere(_))),
        sink,
        failed: AtomicBool::new(false),
        refused: Mutex::default(),
        progress,
    });

    let mut others = Vec::new();
    if connections > 1
        && let Some(exported) = snapshot.export().await
    {
        for _ in 1..connections {
            let (work, source, command, exported) =
                (work.clone(), source.clone(), snapshot.command.clone(), exported.clone());
            others.push(on_own_thread(move || async move {
                let adopted = tokio::select! {
                    adopted = Coordinator::adopt(&source, &command, &exported) => adopted,
                    () = work.all_begun() => return Ok(Vec::new()),
                };
                match adopted {
                    Ok(connection) => work.follow(connection, &exported).await,
                    Err(error) => {
                        tracing::warn!(%error, "no further connection to be had: fewer read the tables");
                        Ok(Vec::new())
                    }
                }
            }));
        }
    }
    // All are awaited, also after a failure: each writes files until it has ended, and may give back a piece.
    let mut others = join_all(others);
    let mut done = Vec::new();
    let of_others = loop {
        done.push(work.lead(&snapshot.connection).await);
        if let Ok(of_others) = timeout(PAUSE, &mut others).await {
            break of_others;
        }
    };
    done.extend(of_others);
    done.push(work.lead(&snapshot.connection).await);
    let mut found = Found::default();
    for of_worker in done {
        for (table, part) in of_worker? {
            found.parts.entry(table).or_default().push(part);
        }
    }
    found.refused = std::mem::take(&mut work.refused.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(found)
}

impl<P: Fn(Progress) + Send + Sync> Work<P> {
    /// Reads pieces until none is left, or a worker has failed, on the connection that has all locks.
    async fn lead(&self, connection: &Connection) -> Result<Vec<(String, Part)>> {
        let mut parts = Vec::new();
        self.or_failed(self.read_pieces(connection, None, &mut parts).await)?;
        Ok(parts)
    }

    /// Reads pieces under the leader's snapshot, except of tables that others wait to lock: they wait for the
    /// leader, which alone can read them without waiting in turn.
    async fn follow(&self, mut connection: Connection, exported: &str) -> Result<Vec<(String, Part)>> {
        let mut parts = Vec::new();
        let mut locked = HashSet::new();
        while let Some(table) = self.or_failed(self.read_pieces(&connection, Some(&locked), &mut parts).await)? {
            tracing::debug!(table = %self.tables[table].relation, "others wait to lock it: it is left to the leader");
            locked.insert(table);
            let again = async { connection.rollback().await?.begin_soon(Mode::Adopted(exported)).await };
            connection = match again.await {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::warn!(%error, "a connection is lost: fewer read the tables");
                    break;
                }
            };
        }
        Ok(parts)
    }

    fn or_failed<T>(&self, done: Result<T>) -> Result<T> {
        done.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    /// Waits until there is no piece that nobody has begun: a pooler may keep us waiting longer than the others need.
    async fn all_begun(&self) {
        while !self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads pieces, of all tables or of those that are not `locked`, until there are none; ends with a table whose
    /// lock another session has in the way.
    async fn read_pieces(
        &self,
        connection: &Connection,
        locked: Option<&HashSet<usize>>,
        parts: &mut Vec<(String, Part)>,
    ) -> Result<Option<usize>> {
        while !self.failed.load(Ordering::Relaxed) {
            let Some(piece) = self.next(locked) else { break };
            let table = &self.tables[piece.table];
            if table.as_role {
                connection.set_role_path(true).await?;
            }
            let part = self.read(connection, table, &piece).await;
            // Where another worker has failed, the connection may be in the middle of the rows.
            if table.as_role && part.is_ok() && !self.failed.load(Ordering::Relaxed) {
                connection.set_role_path(false).await?;
            }
            match part {
                Ok(Some(part)) => {
                    self.tell_when_done(piece.table, &part);
                    parts.push((table.name.clone(), part));
                }
                Ok(None) => {}
                Err(Error::Postgres(error)) if locked.is_some() && error.is_lock_in_the_way() => {
                    let of = piece.table;
                    self.queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push_front(piece);
                    return Ok(Some(of));
                }
                Err(error) => return Err(Error::in_table(table.relation.to_string())(error)),
            }
        }
        Ok(None)
    }

    fn next(&self, locked: Option<&HashSet<usize>>) -> Option<Piece> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = |piece: &Piece| locked.is_none_or(|locked| !locked.contains(&piece.table));
        let place = queue.iter().position(is_free)?;
        queue.remove(place)
    }

    fn tell_when_done(&self, table: usize, part: &Part) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (pieces, rows, bytes) = &mut left[table];
        *pieces -= 1;
        *rows += part.file.rows;
        *bytes += part.file.bytes;
        if *pieces == 0 {
            (self.progress)(Progress::TableDone(ExtractedTable {
                name: self.tables[table].name.clone(),
                rows: *rows,
                bytes: *bytes,
            }));
        }
    }
}
