//! Waits for locks: told while they last, with who holds the lock, and not without end.
//!
//! The session that waits can't ask what for, as it is busy: a second one asks for it. It knows the
//! first by the statement, since behind a pooler nobody knows which process runs it; another session
//! that waits with the same statement waits for the same lock.

use std::fmt;
use std::future::pending;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use crate::stall::Watch;
use crate::{Connection, Error, Mode, Result, TimeLimit};

/// A wait is told when it has lasted this long, or half of what it may last.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked who holds the lock.
const PAUSE: Duration = Duration::from_secs(5);
/// A wait is told again when it has lasted so many times as long.
const AGAIN: u32 = 6;
/// Characters of a query that a message repeats.
const QUERY_CHARS_MAX: usize = 100;
/// Sessions that wait for each other are followed so far.
const CHAIN_MAX: usize = 8;

/// The session that waits, what for, and who is in its way: the first such session, the one in that
/// one's way, and so on. A shared lock is held by several, of whom one is named.
const FIND_HOLDERS: &str = "\
with recursive waiting as materialized (
    select a.pid from pg_catalog.pg_stat_activity a
    where a.datname = pg_catalog.current_database() and a.usename = session_user
      and a.application_name = pg_catalog.current_setting('application_name')
      and a.wait_event_type = 'Lock' and a.query <> '' and pg_catalog.left($1, pg_catalog.length(a.query)) = a.query
    limit 1),
in_the_way(pid, place) as (
    select pid, 0 from waiting
  union all
    select (pg_catalog.pg_blocking_pids(pid))[1], place + 1 from in_the_way where pid <> 0 and place < $2)
select w.pid, coalesce(a.usename::text, a.backend_type, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
       coalesce(a.query, ''), coalesce(a.backend_type, 'prepared transaction'),
       coalesce((select pg_catalog.concat_ws('.', pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname))
                 from pg_catalog.pg_locks l
                 join pg_catalog.pg_class c on c.oid = l.relation
                 join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where l.pid = (select pid from waiting) and (not l.granted or l.locktype = 'tuple')
                   and l.database = (select d.oid from pg_catalog.pg_database d
                                     where d.datname = pg_catalog.current_database())
                 order by l.granted limit 1), '')
from in_the_way w left join pg_catalog.pg_stat_activity a on a.pid = w.pid
where w.place > 0 and w.pid is not null
order by w.place";

/// A session in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    /// 0 for a prepared transaction, which has no session.
    pid: i32,
    user: String,
    application: String,
    state: String,
    query: String,
    kind: String,
}

/// A lock that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// The relation whose lock, or whose row's lock, it is; empty if it is another kind of lock.
    relation: String,
    /// Who is in the way, who is in that one's way, and so on; never empty.
    holders: Vec<Holder>,
}

impl LockWait {
    /// What ends the wait.
    fn mend(&self) -> String {
        match self.holders.last() {
            Some(Holder { pid: 0, .. }) => {
                "wait for it, or see pg_prepared_xacts and end it with `commit prepared` or `rollback prepared`".into()
            }
            Some(Holder { kind, .. }) if kind == "startup" => {
                "the server is a standby that replays it: it ends with the primary's transaction".into()
            }
            Some(Holder { pid, .. }) => format!("wait for it, or end it with `select pg_terminate_backend({pid})`"),
            None => "wait for it".into(),
        }
    }
}

impl fmt::Display for LockWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.relation {
            "" => f.write_str("a lock is held by ")?,
            relation => write!(f, "{relation} is locked by ")?,
        }
        for (place, holder) in self.holders.iter().enumerate() {
            if place > 0 {
                f.write_str(", which itself waits for ")?;
            }
            holder.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            user,
            application,
            state,
            query,
            ..
        } = self;
        if *pid == 0 {
            return f.write_str("a prepared transaction");
        }
        write!(f, "process {pid} ({}", one_line(user))?;
        for detail in [application, state] {
            if !detail.is_empty() {
                write!(f, ", {}", one_line(detail))?;
            }
        }
        // A statement may set one.
        match query.to_lowercase().contains("password") {
            _ if query.is_empty() => f.write_str(")"),
            true => f.write_str(")"),
            false => write!(f, ": {})", one_line(query)),
        }
    }
}

/// The beginning of what may have line ends, and what a terminal would obey.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut shown: String = line
        .chars()
        .take(QUERY_CHARS_MAX)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if line.chars().nth(QUERY_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

impl Connection {
    /// Runs statements of the simple protocol that may have to wait for locks: see
    /// [`watch_locks`](Self::watch_locks).
    ///
    /// # Errors
    /// As there.
    pub async fn execute_watched(&self, statements: &str, action: &str) -> Result<()> {
        self.watch_locks(statements, action, self.client.batch_execute(statements))
            .await
    }

    /// Waits for what `run` does, which is this statement of this connection.
    ///
    /// When it has waited five seconds for a lock, a warning says who holds it. When it has waited for
    /// the connection's timeout, it ends, which is the server's doing.
    ///
    /// # Errors
    /// [`Error::LockTimeout`]; else [`Error::Query`] with this `action`.
    pub async fn watch_locks<T>(
        &self,
        statement: &str,
        action: &str,
        run: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        let run = async { run.await.map_err(Error::query(action)) };
        self.watch.locks(statement, action, run).await
    }
}

impl Watch {
    /// Waits for what `run` does, as [`Connection::watch_locks`] does.
    pub(crate) async fn locks<T>(
        &self,
        statement: &str,
        action: &str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let last = Mutex::new(None);
        let done = tokio::select! {
            biased; // rows that are there need no timer
            done = run => done,
            () = self.tell_waits(statement, action, &last) => unreachable!("it goes on until the statement ends"),
        };
        done.map_err(|error| match error {
            Error::Query { source, .. } if is_lock_timeout(&source) => Error::LockTimeout {
                action: action.into(),
                limit: self.timeouts.lock,
                wait: last.into_inner().unwrap_or_else(PoisonError::into_inner),
            },
            Error::Query { action, source } => self.error(&action, source),
            error => error,
        })
    }

    /// Warns of waits for as long as it is polled, and keeps the last that it saw.
    async fn tell_waits(&self, statement: &str, action: &str, last: &Mutex<Option<LockWait>>) {
        if self.gives_way {
            return pending().await;
        }
        let began = Instant::now();
        let limit = self.timeouts.lock;
        let patience = limit.duration().map_or(PATIENCE, |limit| PATIENCE.min(limit / 2));
        tokio::time::sleep(patience).await;
        // Boxed, as it is seldom come to, and large.
        Box::pin(self.ask_and_tell(statement, action, last, began, patience)).await
    }

    async fn ask_and_tell(
        &self,
        statement: &str,
        action: &str,
        last: &Mutex<Option<LockWait>>,
        began: Instant,
        patience: Duration,
    ) {
        let limit = self.timeouts.lock;
        let mut asking = match Connection::open(&self.url, &self.application_name, self.timeouts).await {
            Ok(asking) => asking,
            Err(error) => {
                crate::say::once(format!(
                    "{action}: still under way, and there is no further connection to ask whether it waits for a lock, and whose: {error}"
                ));
                return pending().await;
            }
        };
        let mut tell_after = Duration::ZERO;
        loop {
            let found = async {
                // None of it stays open: a pooler may have few connections.
                let asked = asking.begin_soon(Mode::Snapshot).await?;
                let wait = find(&asked, statement).await.map_err(Error::query("ask for it"))?;
                Ok::<_, Error>((asked.commit().await?, wait))
            };
            let (next, wait) = match found.await {
                Ok(found) => found,
                Err(error) => {
                    crate::say::once(format!(
                        "{action}: still under way, and who holds a lock can't be asked: {error}"
                    ));
                    return pending().await;
                }
            };
            asking = next;
            if let Some(wait) = wait {
                if began.elapsed() >= tell_after {
                    tracing::warn!(
                        "{}",
                        Waiting {
                            action,
                            wait: &wait,
                            limit
                        }
                    );
                    tell_after = began.elapsed() * AGAIN;
                }
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(wait);
            }
            tokio::time::sleep(PAUSE.min(patience)).await;
        }
    }
}

/// A wait under way, as a message tells it.
struct Waiting<'a> {
    action: &'a str,
    wait: &'a LockWait,
    limit: TimeLimit,
}

impl fmt::Display for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, wait, limit } = self;
        write!(f, "waiting to {action}: {wait}; {}", wait.mend())?;
        match limit.duration() {
            Some(_) => write!(f, "; this gives up after {limit} (`lock_timeout`)"),
            None => Ok(()),
        }
    }
}

/// What the end of a wait says of who was in the way, and what helps.
pub(crate) fn told(wait: Option<&LockWait>) -> String {
    match wait {
        Some(wait) => format!("{wait}; {}", wait.mend()),
        None => "another session holds it; see pg_stat_activity for which, and wait for it or end it".into(),
    }
}

async fn find(asking: &Connection, statement: &str) -> Result<Option<LockWait>, tokio_postgres::Error> {
    let depth = CHAIN_MAX as i32;
    let rows = asking.query(FIND_HOLDERS, &[&statement, &depth]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let holders = rows.iter().map(|row| Holder {
        pid: row.get(0),
        user: row.get(1),
        application: row.get(2),
        state: row.get(3),
        query: row.get(4),
        kind: row.get(5),
    });
    Ok(Some(LockWait {
        relation: first.get(6),
        holders: holders.collect(),
    }))
}

/// `lock_not_available` is also what `nowait` ends with, at once, and its text is another.
fn is_lock_timeout(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|server| {
        *server.code() == SqlState::LOCK_NOT_AVAILABLE && server.routine() == Some("ProcessInterrupts")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(pid: i32, query: &str) -> Holder {
        Holder {
            pid,
            user: "app".into(),
            application: "psql".into(),
            state: "idle in transaction".into(),
            query: query.into(),
            kind: "client backend".into(),
        }
    }

    #[test]
    fn a_wait_is_one_line_that_names_who_is_in_the_way_and_the_mend() {
        let wait = LockWait {
            relation: "public.orders".into(),
            holders: vec![
                holder(7, "alter table orders\n  add x int"),
                holder(8, "select 1\u{1b}[2J"),
            ],
        };
        let waiting = Waiting {
            action: "lock the tables",
            wait: &wait,
            limit: TimeLimit::minutes(5),
        };
        assert_eq!(
            waiting.to_string(),
            "waiting to lock the tables: public.orders is locked by process 7 (app, psql, idle in transaction: \
             alter table orders add x int), which itself waits for process 8 (app, psql, idle in transaction: \
             select 1?[2J); wait for it, or end it with `select pg_terminate_backend(8)`; this gives up after 5 min \
             (`lock_timeout`)"
        );
        let secret = holder(7, "alter role app PASSWORD 's3cret'").to_string();
        assert!(!secret.contains("s3cret"), "{secret}");
        assert_eq!(one_line(&"é".repeat(101)), "é".repeat(100) + "…");
    }
}
