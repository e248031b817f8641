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

/// What a source's server says of itself.
struct Answer {
    sees_lock: bool,
    /// Of a standby: its system identifier, its database, and how far it is.
    standby: Option<(String, String, String)>,
}

/// Refuses a target that is one of the sources: in the same database, with a schema of its tables among
/// those that are loaded into. The lock that it tries it with ends with the transaction.
///
/// # Errors
/// [`Error::TargetIsSource`].
pub(crate) async fn refuse(
    connection: &Connection,
    target: &Target,
    origins: &[Origin],
    of_sources: &SourceSchemas,
    schemas: &BTreeSet<&str>,
) -> Result<()> {
    let common = |origin: &Origin| {
        let schema = of_sources.get(&origin.source)?.iter();
        schema.into_iter().find(|schema| schemas.contains(schema.as_str()))
    };
    let possible: Vec<(&Origin, &String)> = origins.iter().filter_map(|o| Some((o, common(o)?))).collect();
    if possible.is_empty() {
        return Ok(());
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
                if is_primary_of(connection, &standby).await? {
                    return Err(error(", of which the source is a standby or can't be told from one"));
                }
            }
            Ok(_) => {}
            Err(reason) => {
                let url = origin.url.as_deref();
                if url.is_ok_and(|url| lake_postgres::same_database(url, &target.url)) {
                    return Err(error(", by its address"));
                }
                tracing::warn!(
                    "source {}: whether it is the target can't be asked, and its address is another: the load goes on \
                     ({reason})",
                    SqlName(&origin.source)
                );
            }
        }
    }
    Ok(())
}

/// Refuses a target that is `origin`, whose tables are in `schemas` there: for a check before any load.
///
/// # Errors
/// [`Error::TargetIsSource`], or the target can't be reached.
pub async fn refuse_source(
    connection: &Connection,
    target: &Target,
    origin: &Origin,
    schemas: BTreeSet<String>,
) -> Result<()> {
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

async fn ask(origin: &Origin, key: i64) -> Result<Answer, String> {
    let url = origin.url.as_ref().map_err(Clone::clone)?;
    let answer = async {
        let connection = Connection::open(url, "lake load", origin.timeouts).await?;
        let connection = connection.begin_soon(Mode::Snapshot).await?;
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
        Ok::<_, lake_postgres::Error>(Answer { sees_lock, standby })
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }),
        Err(_) => Err(format!("it has not answered in {} seconds", PATIENCE.as_secs())),
    }
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
