//! The throwaway server, and that nothing of it is left behind.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lake_sandbox::{Error, Pgbouncer, PostgresServer};

use crate::client::rows_at;

const VANISH_TIMEOUT: Duration = Duration::from_secs(15);

/// A running server's traces: its process and its folder.
#[derive(Debug)]
struct Traces {
    pid: String,
    folder: PathBuf,
}

impl Traces {
    async fn of(server: &PostgresServer) -> Self {
        let sql = "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1), \
                   current_setting('data_directory')";
        let row = rows_at(&server.url("postgres"), sql).await.remove(0);
        Self::parse(&row)
    }

    fn parse(row: &str) -> Self {
        let (pid, data) = row.split_once('|').unwrap();
        Self {
            pid: pid.to_owned(),
            folder: Path::new(data).parent().unwrap().to_owned(),
        }
    }

    fn is_running(&self) -> bool {
        let mut kill = Command::new("kill");
        kill.args(["-0", &self.pid])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    fn assert_there(&self) {
        assert!(self.is_running() && self.folder.is_dir(), "{self:?}");
    }

    fn assert_vanish(&self) {
        let deadline = Instant::now() + VANISH_TIMEOUT;
        while self.is_running() || self.folder.exists() {
            assert!(Instant::now() < deadline, "left behind: {self:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[tokio::test]
async fn a_drop_stops_the_server_and_removes_its_folder() {
    let server = PostgresServer::start().unwrap();
    let traces = Traces::of(&server).await;
    traces.assert_there();
    drop(server);
    assert!(!traces.is_running() && !traces.folder.exists(), "{traces:?}");
}

#[tokio::test]
async fn a_pgbouncer_goes_with_a_drop() {
    let server = PostgresServer::shared().unwrap();
    let pooler = Pgbouncer::start(server, &[("pool_mode", "transaction"), ("default_pool_size", "1")]).unwrap();
    let url = pooler.url("postgres");
    assert_eq!(rows_at(&url, "select 'through it'").await, ["through it"]);
    drop(pooler);
    assert!(tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_err());
}

#[tokio::test]
async fn settings_and_encoding_hold() {
    let server = PostgresServer::builder()
        .encoding("LATIN1")
        .setting("wal_level", "minimal")
        .setting("max_wal_senders", "0")
        .setting("application_name", "it's \"quoted\", with spaces")
        .start()
        .unwrap();
    let sql = "select current_setting('server_encoding'), current_setting('wal_level'), \
               current_setting('fsync')";
    assert_eq!(rows_at(&server.url("postgres"), sql).await, ["LATIN1|minimal|off"]);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let error = PostgresServer::start_with(&[("wal_level", "enormous")]).unwrap_err();
    let Error::ServerStart { log, .. } = error else {
        panic!("{error:?}");
    };
    assert!(log.contains("wal_level"), "{log}");
}

#[tokio::test]
async fn databases_are_made_by_any_name() {
    let server = PostgresServer::shared().unwrap();
    let names = ["plain", "Mixed Case", "with \"quotes\" / and %", "żółw"];
    for name in names {
        let url = server.create_database(name).await.unwrap();
        assert_eq!(rows_at(&url, "select current_database()").await, [name]);
    }
    let (first, second) = (
        server.fresh_database().await.unwrap(),
        server.fresh_database().await.unwrap(),
    );
    assert_ne!(first, second);

    server
        .execute("plain", "create table t (a int); insert into t values (1), (2)")
        .await
        .unwrap();
    assert_eq!(rows_at(&server.url("plain"), "select count(*) from t").await, ["2"]);
    let error = server.execute("plain", "select nonsense").await.unwrap_err();
    assert!(matches!(error, Error::Execute { .. }), "{error:?}");
    let error = server.execute("missing", "select 1").await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[test]
fn the_shared_server_is_one() {
    let servers: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| PostgresServer::shared().unwrap().port()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(servers.iter().all(|port| *port == servers[0]), "{servers:?}");
}

/// How the process of [`hold_a_server`] ends.
const END: &str = "LAKE_SANDBOX_TEST_END";

/// Runs in a process of its own, with the shared server, and ends as [`END`] says.
#[tokio::test]
#[ignore = "a part of the tests below, which run it in a process of its own"]
async fn hold_a_server() {
    let end = std::env::var(END).expect("only the tests of this file run this");
    let server = PostgresServer::shared().unwrap();
    let traces = Traces::of(server).await;
    println!("\nholding {}|{}/data", traces.pid, traces.folder.display());
    match end.as_str() {
        "return" => {}
        "panic" => panic!("as told"),
        "wait" => std::thread::sleep(Duration::from_secs(600)),
        other => panic!("unknown end {other}"),
    }
}

/// Another test process that holds a server, and the server's traces.
fn holder(end: &str) -> (Child, Traces) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["server::hold_a_server", "--exact", "--ignored", "--nocapture"])
        .env(END, end)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let row = lines
        .find_map(|line| line.strip_prefix("holding ").map(str::to_owned))
        .expect("the other process holds a server");
    // The rest of its output must have somewhere to go.
    std::thread::spawn(move || lines.count());
    (child, Traces::parse(&row))
}

#[test]
fn the_shared_server_goes_with_a_process_that_ends() {
    let (mut child, traces) = holder("return");
    assert!(child.wait().unwrap().success());
    traces.assert_vanish();
}

#[test]
fn the_shared_server_goes_with_a_process_that_panics() {
    let (mut child, traces) = holder("panic");
    assert_eq!(child.wait().unwrap().code(), Some(101));
    traces.assert_vanish();
}

#[test]
fn the_shared_server_goes_with_a_process_that_is_killed() {
    let (mut child, traces) = holder("wait");
    traces.assert_there();
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    traces.assert_vanish();
}

#[test]
fn a_process_killed_during_the_start_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The server's user must get in.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    for wait_ms in [50, 150, 400] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["server::hold_a_server", "--exact", "--ignored"])
            .env(END, "wait")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + VANISH_TIMEOUT;
        let entries = || std::fs::read_dir(folder.path()).unwrap().count();
        while entries() == 0 {
            assert!(Instant::now() < deadline, "no server was started");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        while entries() > 0 {
            assert!(Instant::now() < deadline, "left behind after {wait_ms} ms");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_missing_server_is_an_error_that_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["server::hold_a_server", "--exact", "--ignored", "--nocapture"])
        .env(END, "return")
        .env("PG_BIN", folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(101), "{stderr}");
    assert!(
        stderr.contains("ServerMissing") && stderr.contains("PG_BIN="),
        "{stderr}"
    );
}
