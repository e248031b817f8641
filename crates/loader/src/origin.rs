//! Is the target a source? A load of an earlier day would delete the source's newer rows.
//!
//! Addresses tell little: `localhost`, `127.0.0.1`, a socket and a host's other names are one server, and
//! clones of a server share its system identifier. So it is tried: a lock that the target's session has
//! taken is seen in the source's `pg_locks` if, and only if, both are in the same database.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use lake_postgres::{Connection, Mode, Timeouts};
use lake_storage::SqlName;

use crate::{Error, Result, Target};

/// A source that is off keeps no load waiting for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A Postgres that tables of the lake come from.
#[derive(Clone)]
pub struct Origin {
    /// The source's name.
    pub source: String,
    /// Its connection URL, or why there is none; not shown by Debug.
    pub url: Result<String, String>,
    /// How long its connections wait.
    pub timeouts: Timeouts,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// The schemas that the tables of each source have in its database.
pub(crate) type SourceSchemas = BTreeMap<String, BTreeSet<String>>;

/// Why a source has not said anything.
struct Unasked {
    reason: String,
    /// A pooler has no connection for us; it may be we who have its last one.
    in_queue: bool,
}

impl From<String> for Unasked {
    fn from(reason: String) -> Self {
        let in_queue = false;
        Self { reason, in_queue }
    }
}

/// What a source's server says of itself.
struct Answer {
    sees_lock: bool,
    /// Of a standby: its system identifier, its database, and how far it is.
    standby: Option<(String, String, String)>,
}

/// Refuses a target that is one of the sources: in the same database, with a schema of its tables among
/// those that are loaded into. The lock that it tries it with ends with the transaction, the one that is returned
/// or an earlier one: nothing may have been done in it yet.
///
/// # Errors
/// [`Error::TargetIsSource`].
pub(crate) async fn refuse(
    mut connection: Connection,
    target: &Target,
    origins: &[Origin],
    of_sources: &SourceSchemas,
    schemas: &BTreeSet<&str>,
) -> Result<Connection> {
    let common = |origin: &Origin| {
        let schema = of_sources.get(&origin.source)?.iter();
        schema.into_iter().find(|schema| schemas.contains(schema.as_str()))
    };
    let possible: Vec<(&Origin, &String)> = origins.iter().filter_map(|o| Some((o, common(o)?))).collect();
    if possible.is_empty() {
        return Ok(connection);
    }
    let key = RandomState::new().hash_one(()).cast_signed();
    let locked = connection
        .batch_execute(&format!("select pg_catalog.pg_advisory_xact_lock({key})"))
        .await;
    locked.map_err(lake_postgres::Error::query("mark the target's session"))?;
    let asked = possible.iter().map(|(origin, _)| ask(origin, key));
    let answers = futures::future::join_all(asked).await;
    for ((origin, schema), answer) in possible.into_iter().zip(answers) {
        let error = |how| Error::TargetIsSource {
            source_name: origin.source.clone(),
            schema: schema.clone(),
            how,
        };
        match answer {
            Ok(answer) if answer.sees_lock => return Err(error("")),
            Ok(Answer {
                standby: Some(standby), ..
            }) => {
                if is_primary_of(&connection, &standby).await? {
                    return Err(error(", of which the source is a standby or can't be told from one"));
                }
            }
            Ok(_) => {}
            Err(Unasked { reason, in_queue }) => {
                let url = origin.url.as_deref();
                if url.is_ok_and(|url| lake_postgres::same_database(url, &target.url)) {
                    return Err(error(", by its address"));
                }
                if in_queue {
                    let idle = connection.rollback().await?;
                    let there = ask_instance(origin).await;
                    connection = idle.begin(Mode::ReadWrite).await?;
                    let here = instance(&connection).await?;
                    match there {
                        Ok(there) if there == here => return Err(error("")),
                        Ok(_) => continue,
                        Err(error) => tracing::debug!(%error, "the source can't be asked without the lock either"),
                    }
                }
                tracing::warn!(
                    "source {}: whether it is the target can't be asked, and its address is another: the load goes on \
                     ({reason})",
                    SqlName(&origin.source)
                );
            }
        }
    }
    Ok(connection)
}

/// Refuses a target that is `origin`, whose tables are in `schemas` there: for a check before any load.
///
/// # Errors
/// [`Error::TargetIsSource`], or the target can't be reached.
pub async fn refuse_source(
    connection: Connection,
    target: &Target,
    origin: &Origin,
    schemas: BTreeSet<String>,
) -> Result<Connection> {
    let of_sources = SourceSchemas::from([(origin.source.clone(), schemas.clone())]);
    let of_target = match &target.schema {
        crate::SchemaRule::Fixed(schema) => BTreeSet::from([schema.as_str()]),
        crate::SchemaRule::PerSource => schemas.iter().map(String::as_str).collect(),
    };
    refuse(
        connection,
        target,
        std::slice::from_ref(origin),
        &of_sources,
        &of_target,
    )
    .await
}

async fn ask(origin: &Origin, key: i64) -> Result<Answer, Unasked> {
    let url = origin.url.as_ref().map_err(Clone::clone)?;
    let idle = in_time(Connection::open(url, "lake load", origin.timeouts)).await?;
    let begun = idle.begin_soon(Mode::Snapshot).await;
    let connection = begun.map_err(|error| Unasked {
        in_queue: matches!(error, lake_postgres::Error::Begin { .. }),
        reason: told(&error),
    })?;
    let answer = async {
        let sql = format!(
            "select exists (select from pg_catalog.pg_locks where locktype = 'advisory' and granted and objsubid = 1 \
                 and ((classid::bigint << 32) | objid::bigint) = {key} \
                 and database = (select oid from pg_catalog.pg_database \
                    where datname = pg_catalog.current_database())), pg_catalog.pg_is_in_recovery()"
        );
        let failed = || lake_postgres::Error::query("look for the target's lock");
        let row = connection.query_one(&sql, &[]).await.map_err(failed())?;
        let standby = match row.get(1) {
            false => None,
            true => {
                let sql = "select system_identifier::text, pg_catalog.current_database()::text, \
                    pg_catalog.pg_last_wal_replay_lsn()::text from pg_catalog.pg_control_system()";
                let row = connection.query_one(sql, &[]).await.map_err(failed())?;
                Some((row.get(0), row.get(1), row.get(2)))
            }
        };
        connection.commit().await?;
        let sees_lock = row.get(0);
        Ok(Answer { sees_lock, standby })
    };
    Ok(in_time(answer).await?)
}

async fn in_time<T>(answer: impl Future<Output = lake_postgres::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| told(&error)),
        Err(_) => Err(format!("it has not answered in {} seconds", PATIENCE.as_secs())),
    }
}

fn told(error: &lake_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Asks a source which instance it is, while the target's connection waits for nothing and holds none of a pool.
async fn ask_instance(origin: &Origin) -> Result<String, String> {
    let url = origin.url.as_ref().map_err(Clone::clone)?;
    let answer = async {
        let idle = Connection::open(url, "lake load", origin.timeouts).await?;
        let connection = idle.begin_soon(Mode::Snapshot).await?;
        let instance = instance(&connection).await?;
        connection.commit().await?;
        Ok(instance)
    };
    in_time(answer).await
}

/// What tells an instance from its clones, without two connections at once: the microsecond in which it started.
async fn instance(connection: &Connection) -> lake_postgres::Result<String> {
    let sql = "select concat_ws(' ', c.system_identifier, d.oid, pg_catalog.pg_postmaster_start_time()) \
        from pg_catalog.pg_control_system() c, pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";
    let row = connection.query_one(sql, &[]).await;
    Ok(row
        .map_err(lake_postgres::Error::query("ask which instance it is"))?
        .get(0))
}

/// Locks are not seen on a standby. It has its primary's identifier and is never ahead of it; a clone of
/// the primary that has gone on by itself may be behind.
async fn is_primary_of(connection: &Connection, standby: &(String, String, String)) -> Result<bool> {
    let (system, database, replayed) = standby;
    let sql = "select case when pg_catalog.pg_is_in_recovery() then false else system_identifier::text = $1 \
            and pg_catalog.current_database()::text = $2 \
            and pg_catalog.pg_current_wal_lsn() >= ($3::text)::pg_catalog.pg_lsn end \
        from pg_catalog.pg_control_system()";
    let row = connection.query_one(sql, &[system, database, replayed]).await;
    let row = row.map_err(lake_postgres::Error::query("compare the target with the source"))?;
    Ok(row.get(0))
}
