//! The PostgreSQL that every program reads from and loads into.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lake_postgres::tokio_postgres::{self, NoTls, SimpleQueryMessage};
use lake_sandbox::PostgresServer;
use tokio::runtime::Runtime;

/// What differs from the installation's own settings, and what differs from those of a throwaway
/// server: this one keeps what it is given.
pub const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "2GB"),
    ("max_wal_size", "8GB"),
    ("wal_level", "replica"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
];

/// How long a session may take to end after its client has.
const SESSION_END_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Server {
    postgres: PostgresServer,
    runtime: Runtime,
    /// The server's first process, the parent of all others.
    postmaster: Option<u32>,
}

impl Server {
    pub fn start() -> anyhow::Result<Self> {
        let mut server = Self {
            postgres: PostgresServer::start_with(SETTINGS)?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            postmaster: None,
        };
        // Any process of the server's would do that stays.
        let checkpointer = "select pid from pg_stat_activity where backend_type = 'checkpointer'";
        let checkpointer = server.value("postgres", checkpointer)?.parse()?;
        server.postmaster = ProcessTimes::of(checkpointer).map(|times| times.parent);
        Ok(server)
    }

    pub fn url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    pub fn port(&self) -> u16 {
        self.postgres.port()
    }

    /// The installation's psql, with the settings of no user.
    pub fn psql(&self, database: &str) -> std::process::Command {
        let mut psql = std::process::Command::new(self.postgres.program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        psql.arg(self.url(database));
        psql
    }

    /// Runs statements as one, in a transaction where they are several.
    pub fn execute(&self, database: &str, sql: &str) -> anyhow::Result<()> {
        self.runtime
            .block_on(self.postgres.execute(database, sql))
            .with_context(|| format!("{sql:.200}"))
    }

    /// The first value of a query's first row.
    pub fn value(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let value = self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
            let connection = tokio::spawn(connection);
            let messages = client.simple_query(sql).await?;
            drop(client);
            let _ = connection.await; // what ended it early has failed the query too
            let row = messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            anyhow::Ok(row.map(str::to_owned))
        });
        value
            .and_then(|value| value.context("it has no row"))
            .with_context(|| format!("{sql:.200}"))
    }

    /// Rows of a table, counted.
    pub fn rows(&self, database: &str, table: &str) -> anyhow::Result<u64> {
        Ok(self
            .value(database, &format!("select count(*) from {table}"))?
            .parse()?)
    }

    /// An empty database in place of the one of this name.
    pub fn new_database(&self, name: &str) -> anyhow::Result<()> {
        self.drop_database(name)?;
        self.execute("postgres", &format!("create database {name}"))
    }

    pub fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.execute("postgres", &format!("drop database if exists {name} with (force)"))
    }

    /// Leaves nothing of the making of a database to whoever reads it first: no hint bits to set, no
    /// statistics to gather, no pages to write.
    pub fn settle(&self, database: &str) -> anyhow::Result<()> {
        self.execute(database, "vacuum (freeze, analyze)")?;
        self.checkpoint()
    }

    pub fn checkpoint(&self) -> anyhow::Result<()> {
        self.execute("postgres", "checkpoint")
    }

    /// Processor time of the server so far, once the sessions of programs have ended; none where the
    /// system does not tell.
    pub fn cpu(&self) -> Option<Duration> {
        self.wait_for_sessions();
        let postmaster = self.postmaster?;
        let mut ticks = ProcessTimes::of(postmaster)?.own_and_waited_for;
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(times) = pid.and_then(ProcessTimes::of)
                && times.parent == postmaster
            {
                ticks += times.own_and_waited_for;
            }
        }
        let per_second = rustix::param::clock_ticks_per_second();
        Some(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Ends what programs have left running.
    pub fn end_sessions(&self) -> anyhow::Result<()> {
        let others = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where backend_type = 'client backend' and pid <> pg_backend_pid()";
        self.value("postgres", others).map(drop)
    }

    fn wait_for_sessions(&self) {
        let others = "select count(*) from pg_stat_activity
            where backend_type in ('client backend', 'parallel worker') and pid <> pg_backend_pid()";
        let deadline = Instant::now() + SESSION_END_TIMEOUT;
        while Instant::now() < deadline && self.value("postgres", others).is_ok_and(|count| count != "0") {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What `/proc/<pid>/stat` tells of a process.
struct ProcessTimes {
    parent: u32,
    /// Clock ticks of the process and of those of its children that have ended.
    own_and_waited_for: u64,
}

impl ProcessTimes {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let times = fields.get(11..15)?; // utime, stime, cutime, cstime
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_and_waited_for: times.iter().filter_map(|field| field.parse::<u64>().ok()).sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_named_to_confuse_is_read() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 50 20 3000 1000 20 0 1 0 55 0 0";
        let times = ProcessTimes::parse(stat).unwrap();
        assert_eq!((times.parent, times.own_and_waited_for), (3, 4070));
    }
}
