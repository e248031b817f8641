//! A folder with a config, a source database and a target: all that a command needs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Once};
use std::thread;
use std::time::{Duration, Instant};

use lake_postgres::tokio_postgres::{self, SimpleQueryMessage};
use lake_sandbox::PostgresServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::outcome::Outcome;

pub(crate) const DAY: &str = "2026-01-31";

/// In every URL that a command gets, and nowhere else: see [`Workshop::drop`].
pub(crate) const PASSWORD: &str = "s3cr3t-0f-the-h0use";

/// How long anything that has to happen may take to happen.
const PATIENCE: Duration = Duration::from_secs(60);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
});

/// A database of the test process's server.
pub(crate) struct Database {
    /// For a superuser, with a password that the server does not ask for.
    pub(crate) url: String,
    client: tokio_postgres::Client,
}

impl Database {
    pub(crate) fn new(sql: &str) -> Self {
        let fresh = PostgresServer::shared().unwrap().fresh_database();
        Self::at(&RUNTIME.block_on(fresh).unwrap(), sql)
    }

    /// With options of `create database`, such as an encoding.
    pub(crate) fn with_options(options: &str, sql: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("special_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let server = PostgresServer::shared().unwrap();
        let create = format!("create database {name} {options}");
        RUNTIME.block_on(server.execute("postgres", &create)).unwrap();
        Self::at(&server.url(&name), sql)
    }

    fn at(plain: &str, sql: &str) -> Self {
        let database = Self {
            client: connect(plain),
            url: plain.replacen('@', &format!(":{PASSWORD}@"), 1),
        };
        database.execute(sql);
        database
    }

    pub(crate) fn execute(&self, sql: &str) {
        RUNTIME.block_on(self.client.batch_execute(sql)).unwrap();
    }

    /// Runs SQL that may fail; the error is the server's.
    pub(crate) fn attempt(&self, sql: &str) -> Result<(), String> {
        let done = RUNTIME.block_on(self.client.batch_execute(sql));
        done.map_err(|error| match error.as_db_error() {
            Some(server) => server.to_string(),
            None => error.to_string(),
        })
    }

    /// A query's rows.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<tokio_postgres::Row> {
        match RUNTIME.block_on(self.client.query(sql, &[])) {
            Ok(rows) => rows,
            Err(error) => panic!("{error:?}: {sql:.2000}"),
        }
    }

    /// The first column of a query, as text, a line a row.
    pub(crate) fn query(&self, sql: &str) -> String {
        let sql = format!("select q.q::text from ({sql}) as q(q)");
        let rows = RUNTIME.block_on(self.client.query(&sql, &[])).unwrap();
        let lines: Vec<String> = rows
            .iter()
            .map(|row| row.get::<_, Option<String>>(0).unwrap_or("NULL".into()))
            .collect();
        lines.join("\n")
    }

    /// Waits until a session waits for another's lock.
    #[track_caller]
    pub(crate) fn wait_for_lock(&self) {
        let sql = "select count(*) from pg_locks where not granted
            and pid in (select pid from pg_stat_activity where datname = current_database())";
        wait_for("a session to wait for a lock", || self.query(sql) != "0");
    }

    /// Another session, which lets go of its locks as it is dropped.
    pub(crate) fn session(&self) -> Session {
        Session::at(&self.url)
    }
}

/// A session of a test's own.
pub(crate) struct Session(tokio_postgres::Client);

impl Session {
    pub(crate) fn at(url: &str) -> Self {
        Self(connect(url))
    }

    pub(crate) fn execute(&self, sql: &str) {
        RUNTIME.block_on(self.0.batch_execute(sql)).unwrap();
    }

    /// The first column of a query, as the server prints it; without a prepared statement.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        let messages = RUNTIME.block_on(self.0.simple_query(sql)).unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        rows.map(str::to_owned).collect()
    }
}

fn connect(url: &str) -> tokio_postgres::Client {
    RUNTIME.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    })
}

const CONFIG: &str = r#"lake: ./lake
output: ./output
exports: [csv, json]

sources:
  shop:
    type: postgres
    url: ${SOURCE_URL}
    tables: ["public.*"]
  files:
    type: csv
    files:
      rates: ./rates.csv

target:
  type: postgres
  url: ${TARGET_URL}

queries:
  report: ./report.sql
"#;

const REPORT: &str = "\
select i.id, i.name, i.price, r.rate
from shop.items i join files.rates r on r.kind = i.kind
order by i.id
";

const SOURCE: &str = "
    create table items (id int primary key, kind text not null, name varchar(40) not null, price numeric(12, 2));
    insert into items select g, 'k' || g % 3, 'item ' || g, g * 1.25 from generate_series(1, 100) g;
    create table labels (id int primary key, label text not null);
    insert into labels select g, 'label ' || g from generate_series(1, 7) g;
    create table notes (id int, note text);
";

/// The rows of the source's three tables and of the CSV file.
pub(crate) const ROWS_OF_DAY: u64 = 100 + 7 + 3;

pub(crate) struct Workshop {
    pub(crate) source: Database,
    pub(crate) target: Database,
    variables: BTreeMap<String, String>,
    folder: TempDir,
}

impl Workshop {
    /// Three tables of a shop, one of them empty, a CSV file, a saved query over both, and a target.
    pub(crate) fn new() -> Self {
        let workshop = Self::with(CONFIG, SOURCE);
        workshop.write("rates.csv", "kind,rate\nk0,0.5\nk1,1.5\nk2,2.5\n");
        workshop.write("report.sql", REPORT);
        workshop
    }

    pub(crate) fn with(config: &str, source: &str) -> Self {
        let (source, target) = (Database::new(source), Database::new(""));
        let variables = BTreeMap::from([
            ("SOURCE_URL".to_owned(), source.url.clone()),
            ("TARGET_URL".to_owned(), target.url.clone()),
        ]);
        let workshop = Self {
            source,
            target,
            variables,
            folder: tempfile::tempdir().unwrap(),
        };
        workshop.write("lake.yaml", config);
        workshop
    }

    /// With the day done, from extract to export.
    pub(crate) fn with_day() -> Self {
        let workshop = Self::new();
        workshop.lake(&format!("run --date {DAY}")).done();
        workshop
    }

    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.variables.insert(variable.into(), value.into());
    }

    pub(crate) fn unset(&mut self, variable: &str) {
        self.variables.remove(variable);
    }

    /// The source's URL for a role whose password, [`PASSWORD`], the server does ask for.
    pub(crate) fn source_for_role_with_password(&self, password: &str) -> String {
        static ROLE: Once = Once::new();
        ROLE.call_once(|| {
            self.source.execute(&format!(
                "create role guarded superuser login password '{PASSWORD}';
                 do $$ begin execute format(
                    'copy (values (''host all guarded 127.0.0.1/32 scram-sha-256''), (''host all all 127.0.0.1/32 trust'')) to %L',
                    current_setting('hba_file'));
                 end $$;
                 select pg_reload_conf()",
            ));
            // The server reads its file again in a while.
            let rules = "select count(*) from pg_hba_file_rules where 'guarded' = any (user_name) and error is null";
            wait_for("the rule", || self.source.query(rules) == "1");
            let url = self.source.url.replacen("//postgres:", "//guarded:", 1).replacen(PASSWORD, "wrong", 1);
            let refused = async || tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_err();
            wait_for("the server to ask for the password", || RUNTIME.block_on(refused()));
        });
        self.source
            .url
            .replacen("//postgres:", "//guarded:", 1)
            .replacen(PASSWORD, password, 1)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Changes the config.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let config = self.read("lake.yaml");
        assert_eq!(config.matches(from).count(), 1, "{from} in {config}");
        self.write("lake.yaml", &config.replace(from, to));
    }

    /// A command of arguments without spaces, e.g. `extract --date 2026-01-31`.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lake"));
        command.args(line.split_whitespace());
        command.current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LAKE_") || name == "SOURCE_URL" || name == "TARGET_URL" {
                command.env_remove(name);
            }
        }
        // Whoever has it set for other programs shall get no backtrace for a wrong name.
        command.env("RUST_BACKTRACE", "1").envs(&self.variables);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn lake(&self, line: &str) -> Outcome {
        outcome(&mut self.command(line), "")
    }

    /// `lake query`, among others, with the last argument that one of `line` can't be.
    pub(crate) fn lake_sql(&self, line: &str, sql: &str) -> Outcome {
        outcome(self.command(line).arg(sql), "")
    }

    pub(crate) fn lake_with_stdin(&self, line: &str, stdin: &str) -> Outcome {
        outcome(&mut self.command(line), stdin)
    }

    /// A query's rows as CSV.
    #[track_caller]
    pub(crate) fn sql(&self, flags: &str, sql: &str) -> String {
        self.lake_sql(&format!("query --format csv {flags}"), sql).done().stdout
    }

    /// Starts a command whose output is of no interest.
    pub(crate) fn start(&self, line: &str) -> Running {
        let mut command = self.command(line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// Every file below a folder with its content, `_locks` left out.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let root = self.path(folder);
        walk(&root, &mut |path| {
            if !path.components().any(|part| part.as_os_str() == "_locks") {
                files.insert(path.strip_prefix(&root).unwrap().to_owned(), fs::read(path).unwrap());
            }
        });
        files
    }

    /// What a reader of the lake goes by: no records of runs, no staging.
    pub(crate) fn lake_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = self.files("lake");
        // What a step leaves in staging nobody reads, and the next one clears away.
        files.retain(|path, _| !path.starts_with("_runs") && !path.starts_with("_staging"));
        files
    }

    /// The password is in no file that a command wrote.
    #[track_caller]
    pub(crate) fn assert_no_password(&self) {
        for folder in ["lake", "output"] {
            for (path, content) in self.files(folder) {
                let found = content
                    .windows(PASSWORD.len())
                    .any(|bytes| bytes == PASSWORD.as_bytes());
                assert!(!found, "the password is in {folder}/{}", path.display());
            }
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.assert_no_password();
        }
    }
}

/// A command under way, which does not outlive its test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its exit status, once it has ended; none if a signal killed it.
    pub(crate) fn status(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Kills it with SIGKILL; tells whether it was still running.
    pub(crate) fn kill(&mut self) -> bool {
        if self.has_ended() {
            return false;
        }
        self.0.kill().unwrap();
        self.0.wait().unwrap().code().is_none()
    }

    /// Writes to its standard input, which stays open.
    pub(crate) fn write(&mut self, text: &str) {
        self.0.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Sends `TERM`, `INT` …
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it has ended, most often
        let _ = self.0.wait();
    }
}

#[track_caller]
fn outcome(command: &mut Command, stdin: &str) -> Outcome {
    let words: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !stdin.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(stdin.as_bytes()).unwrap();
    }
    let outcome = Outcome::of(format!("lake {}", words.join(" ")), child.wait_with_output().unwrap());
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains(PASSWORD), "the password is shown: {outcome}");
    }
    outcome
}

/// Calls `visit` for every file below a folder; one that goes meanwhile is left out.
pub(crate) fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}

/// Waits for something that has to happen.
#[track_caller]
pub(crate) fn wait_for(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
