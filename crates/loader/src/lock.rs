//! One load at a time for each schema of a target.

use std::fmt;
use std::time::Duration;

use lake_postgres::Connection;

use crate::{Error, Result};

/// The first key of our advisory locks, "lake" in ASCII; the second is the schema's hash.
const LOCK_CLASS: i32 = 0x6c61_6b65;

/// The server notices within a second that the client of a load was killed, and ends its transaction.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

const FIND_HOLDER: &str = "\
    select a.pid, coalesce(a.application_name, ''), \
        to_char(coalesce(a.xact_start, a.backend_start), 'YYYY-MM-DD HH24:MI:SS TZ') \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid \
    where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid::bigint = $1 \
        and l.objid::bigint = hashtext($2)::bigint & 4294967295 \
        and l.database = (select oid from pg_database where datname = current_database())";

/// Who holds the lock of a target schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process of the target's server; 0 if it was gone before it could be asked for.
    pub pid: i32,
    /// What it calls itself, e.g. `lake load 2021-01-01`.
    pub application_name: String,
    /// Since when it is at work, by the server's clock.
    pub since: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            application_name,
            since,
        } = self;
        write!(
            f,
            "the server's process {pid} ({application_name}, at work since {since})"
        )
    }
}

/// Takes the locks of `schemas` until the transaction ends, or says who has one of them.
pub(crate) async fn acquire(connection: &Connection, schemas: &[&str]) -> Result<()> {
    for schema in schemas {
        let mut attempt = 1;
        while !try_acquire(connection, schema).await? {
            if attempt == ATTEMPTS {
                return Err(Error::Locked {
                    schema: (*schema).into(),
                    holder: holder(connection, schema).await?,
                });
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Takes the lock of one of them, if nobody has it.
pub(crate) async fn try_acquire(connection: &Connection, schema: &str) -> Result<bool> {
    let row = connection
        .query_one(
            "select pg_try_advisory_xact_lock($1, hashtext($2))",
            &[&LOCK_CLASS, &schema],
        )
        .await
        .map_err(lake_postgres::Error::query(format!(
            "lock the target schema {schema:?}"
        )))?;
    Ok(row.get(0))
}

async fn holder(connection: &Connection, schema: &str) -> Result<Holder> {
    let row = connection
        .query_opt(FIND_HOLDER, &[&i64::from(LOCK_CLASS), &schema])
        .await
        .map_err(lake_postgres::Error::query("find the other load"))?;
    Ok(row.map_or_else(
        || Holder {
            pid: 0,
            application_name: "just ended".into(),
            since: "unknown".into(),
        },
        |row| Holder {
            pid: row.get(0),
            application_name: row.get(1),
            since: row.get(2),
        },
    ))
}
