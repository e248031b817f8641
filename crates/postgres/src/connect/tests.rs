//! Connections to a real server with real certificates, held against psql's.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lake_sandbox::PostgresServer;
use tempfile::TempDir;

use super::*;
use crate::Mode;

/// What is to come of an attempt.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Tls,
    Plain,
    /// With this in the message.
    Refused(&'static str),
    /// Refused by us alone: psql connects.
    Ours(&'static str),
}

use Outcome::{Ours, Plain, Refused, Tls};

/// A folder of certificates as PostgreSQL's manual makes them ("Creating Certificates").
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let certificates = Self(tempfile::tempdir().unwrap());
        for authority in ["root", "other"] {
            certificates.openssl(&format!(
                "req -new -x509 {NEW} -keyout {authority}.key -out {authority}.crt -subj /CN={authority}"
            ));
        }
        certificates.openssl(&format!(
            "req -new -x509 {NEW} -keyout self.key -out self.crt -subj /CN=localhost"
        ));
        certificates.sign("docs", "localhost", "root", "");
        certificates.sign("client", "certuser", "root", "");
        let names = "subjectAltName=DNS:localhost,DNS:*.wild.example,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n\
                     authorityKeyIdentifier=keyid";
        certificates.sign("names", "nobody", "root", names);
        certificates.sign(
            "middle",
            "middle",
            "root",
            "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash",
        );
        certificates.sign("chained", "localhost", "middle", "");
        let chain = certificates.text("chained.crt") + &certificates.text("middle.crt");
        fs::write(certificates.path("chained.crt"), chain).unwrap();
        certificates.revoke("names", "root");
        certificates
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.0.path())
            .output();
        let run = run.expect("openssl, which scripts/test installs");
        assert!(
            run.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
    }

    fn sign(&self, name: &str, subject: &str, authority: &str, extensions: &str) {
        self.openssl(&format!(
            "req -new {NEW} -keyout {name}.key -out {name}.csr -subj /CN={subject}"
        ));
        let mut arguments = format!(
            "x509 -req -in {name}.csr -days 30 -CA {authority}.crt -CAkey {authority}.key -CAcreateserial -out {name}.crt"
        );
        if !extensions.is_empty() {
            fs::write(self.path("extensions"), extensions).unwrap();
            arguments += " -extfile extensions";
        }
        self.openssl(&arguments);
    }

    /// A list of an authority with one certificate of its own on it, and one without any.
    fn revoke(&self, name: &str, authority: &str) {
        let config = "[ca]\ndefault_ca=a\n[a]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n\
                      default_crl_days=30\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid:always\n";
        for (file, text) in [("ca.conf", config), ("index", ""), ("number", "01\n")] {
            fs::write(self.path(file), text).unwrap();
        }
        let of_authority = format!("ca -config ca.conf -keyfile {authority}.key -cert {authority}.crt");
        self.openssl(&format!("{of_authority} -gencrl -out none.crl"));
        self.openssl(&format!("{of_authority} -revoke {name}.crt"));
        self.openssl(&format!("{of_authority} -gencrl -out revoked.crl"));
    }
}

const NEW: &str = "-nodes -days 30 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";

const HBA: &str = "hostssl all certuser all cert\nhostnossl all plainonly all trust\nhostssl all tlsonly all trust\n\
                   host all scram all scram-sha-256\nhost all clear all password\nhost all postgres,ann all trust";

/// Writes a file into the server's data folder, for its user alone.
async fn install(server: &PostgresServer, name: &str, content: &str) {
    let lines = crate::quote_literal(content.trim_end());
    let sql =
        format!("copy (select unnest(string_to_array({lines}, e'\\n'))) to program 'cat > {name} && chmod 600 {name}'");
    server.execute("postgres", &sql).await.unwrap();
}

async fn present(server: &PostgresServer, certificates: &Certificates, name: &str) {
    install(server, "server.crt", &certificates.text(&format!("{name}.crt"))).await;
    install(server, "server.key", &certificates.text(&format!("{name}.key"))).await;
    reload(server).await;
}

/// Until new connections have the new settings.
async fn reload(server: &PostgresServer) {
    let loaded = async || -> String {
        let connection = Connection::open(&server.url("postgres"), "test", Timeouts::default())
            .await
            .unwrap();
        let connection = connection.begin(Mode::ReadWrite).await.unwrap();
        let row = connection
            .query_one("select pg_conf_load_time()::text", &[])
            .await
            .unwrap();
        row.get(0)
    };
    let before = loaded().await;
    server.execute("postgres", "select pg_reload_conf()").await.unwrap();
    while loaded().await == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn environment(home: Option<&Path>) -> Environment {
    Environment::new(|_| None, home.map(Into::into), "nobody")
}

/// Whether the session has TLS.
async fn ours(target: &str, home: Option<&Path>) -> std::result::Result<bool, String> {
    let connection = Connection::open_in(target, "test", Timeouts::default(), &environment(home)).await;
    let connection = connection.map_err(|error| error.to_string())?;
    let connection = connection.begin(Mode::Snapshot).await.unwrap();
    let statement = "select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()";
    Ok(connection.query_one(statement, &[]).await.unwrap().get(0))
}

fn psqls(server: &PostgresServer, target: &str) -> std::result::Result<bool, String> {
    let statement = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let run = Command::new(server.program("psql"))
        .args(["-XAtw", "-c", statement, target])
        .env_clear()
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    match run.status.success() {
        true => Ok(run.stdout == b"t\n"),
        false => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
    }
}

/// What is wrong with what came of an attempt.
fn check(target: &str, wanted: Outcome, found: &std::result::Result<bool, String>) -> Option<String> {
    let fits = match (wanted, found) {
        (Tls, Ok(tls)) => *tls,
        (Plain, Ok(tls)) => !*tls,
        (Refused(text) | Ours(text), Err(error)) => error.contains(text) && !error.contains("s3cret"),
        _ => false,
    };
    (!fits).then(|| format!("{target}: {wanted:?} was wanted: {found:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_libpqs() {
    let certificates = Certificates::make();
    let server = PostgresServer::start().unwrap();
    for user in ["certuser", "plainonly", "tlsonly", "scram", "clear", "ann"] {
        let sql = format!("create role {user} superuser login password 's3cret'");
        server.execute("postgres", &sql).await.unwrap();
    }
    install(&server, "root.crt", &certificates.text("root.crt")).await;
    install(&server, "pg_hba.conf", HBA).await;
    install(&server, "server.crt", &certificates.text("docs.crt")).await;
    install(&server, "server.key", &certificates.text("docs.key")).await;
    // There is no TLS yet.
    reload(&server).await;
    let port = server.port();
    let root = certificates.path("root.crt").display().to_string();
    let other = certificates.path("other.crt").display().to_string();
    let selfsigned = certificates.path("self.crt").display().to_string();
    let (none, revoked) = (certificates.path("none.crl"), certificates.path("revoked.crl"));
    let (none, revoked) = (none.display(), revoked.display());
    let (client, key) = (certificates.path("client.crt"), certificates.path("client.key"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let open_key = certificates.path("open.key");
    fs::copy(&key, &open_key).unwrap();
    fs::set_permissions(&open_key, fs::Permissions::from_mode(0o644)).unwrap();
    let (client, key, open_key) = (client.display(), key.display(), open_key.display());

    let url = |user: &str, host: &str, parameters: &str| {
        format!("postgres://{user}:s3cret@{host}:{port}/postgres?{parameters}")
    };
    let run = async |cases: Vec<(String, Outcome)>| {
        let mut wrong = Vec::new();
        for (target, wanted) in cases {
            wrong.extend(check(&target, wanted, &ours(&target, None).await));
            let of_psql = match wanted {
                Ours(_) => continue,
                Refused(_) => Refused(""),
                same => same,
            };
            wrong.extend(check(&format!("psql {target}"), of_psql, &psqls(&server, &target)));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    };
    run(vec![
        (url("ann", "localhost", "sslmode=prefer"), Plain),
        (
            url("ann", "localhost", "sslmode=require"),
            Refused("the server has no TLS"),
        ),
        (url("clear", "localhost", "sslmode=disable"), Plain),
        (url("clear", "localhost", "sslmode=prefer"), Ours("password in clear")),
    ])
    .await;

    server
        .execute("postgres", "alter system set ssl_ca_file = 'root.crt'")
        .await
        .unwrap();
    server.execute("postgres", "alter system set ssl = on").await.unwrap();
    present(&server, &certificates, "docs").await;
    run(vec![
        (url("ann", "localhost", ""), Tls),
        (url("ann", "localhost", "sslmode=disable"), Plain),
        (url("ann", "localhost", "sslmode=allow"), Plain),
        (url("ann", "localhost", "sslmode=prefer"), Tls),
        (url("ann", "localhost", "sslmode=require"), Tls),
        (url("ann", "localhost", &format!("sslmode=require&sslrootcert={root}")), Tls),
        (url("ann", "localhost", &format!("sslmode=require&sslrootcert={other}")), Refused("signed by none of")),
        (url("ann", "localhost", &format!("sslrootcert={other}")), Plain),
        (url("tlsonly", "localhost", &format!("sslrootcert={other}")), Refused("signed by none of")),
        (url("ann", "127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={root}")), Tls),
        (url("ann", "127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={other}")), Refused("signed by none of")),
        (url("ann", "localhost", "sslmode=verify-ca"), Refused("~/.postgresql/root.crt")),
        (url("ann", "localhost", &format!("sslmode=verify-full&sslrootcert={root}")), Tls),
        (url("ann", "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}")), Refused("for localhost, not for")),
        (url("ann", "localhost", "sslmode=verify-full"), Refused("the server's certificate is")),
        (url("ann", "localhost", "sslrootcert=system"), Ours("signed by none of the system's authorities")),
        (url("ann", "localhost", "sslmode=require&sslrootcert=/nowhere"), Ours("which `sslrootcert` names")),
        (format!("host=localhost port={port} user=ann dbname=postgres sslmode=verify-full sslrootcert={root}"), Tls),
        (format!("host=localhost port={port} user=ann dbname=postgres sslmode=verify-ca sslrootcert={other}"), Refused("signed")),
        (format!("host=localhost,127.0.0.1 port=1,{port} user=ann dbname=postgres sslmode=verify-ca sslrootcert={root}"), Tls),
        (format!("host=localhost,127.0.0.1 port=1,{port} user=ann dbname=postgres sslmode=verify-full sslrootcert={root}"), Refused("not for \"127.0.0.1\"")),
        (format!("postgres://ann@127.0.0.1:1,localhost:{port}/postgres?sslmode=verify-full&sslrootcert={root}"), Tls),
        (format!("host=localhost hostaddr=127.0.0.1 port={port} user=ann dbname=postgres sslmode=verify-full sslrootcert={root}"), Tls),
        // The server's wishes.
        (url("tlsonly", "localhost", "sslmode=allow"), Tls),
        (url("tlsonly", "localhost", "sslmode=disable"), Refused("no encryption")),
        (url("plainonly", "localhost", "sslmode=prefer"), Plain),
        (url("plainonly", "localhost", "sslmode=require"), Refused("pg_hba.conf")),
        (url("clear", "localhost", "sslmode=prefer"), Tls),
        (url("clear", "localhost", "sslmode=disable"), Plain),
        (url("clear", "localhost", "sslmode=allow"), Ours("password in clear")),
        // Passwords.
        (url("scram", "localhost", ""), Tls),
        (url("scram", "localhost", "sslmode=disable"), Plain),
        (url("scram", "localhost", "channel_binding=require"), Tls),
        (url("scram", "localhost", "channel_binding=require&sslmode=disable"), Refused("channel binding")),
        (url("scram:no", "localhost", ""), Refused("password authentication failed")),
        // Who we are.
        (url("certuser", "localhost", ""), Refused("certificate")),
        (url("certuser", "localhost", &format!("sslcert={client}&sslkey={key}")), Tls),
        (url("certuser", "localhost", &format!("sslmode=verify-full&sslrootcert={root}&sslcert={client}&sslkey={key}")), Tls),
        (url("certuser", "localhost", &format!("sslmode=require&sslcert={client}&sslkey={open_key}")), Refused("chmod 600")),
        (url("certuser", "localhost", &format!("sslmode=require&sslcert={client}&sslkey=/nowhere")), Refused("no key, /nowhere")),
        (url("ann", "localhost", &format!("sslmode=require&sslcert={client}&sslkey={root}")), Refused("key")),
        // Versions and names.
        (url("ann", "localhost", "sslmode=require&ssl_min_protocol_version=TLSv1.3"), Tls),
        (url("ann", "localhost", "sslmode=require&ssl_max_protocol_version=TLSv1.2"), Tls),
        (url("ann", "localhost", "sslmode=require&sslsni=0"), Tls),
    ])
    .await;

    present(&server, &certificates, "self").await;
    run(vec![
        (
            url(
                "ann",
                "localhost",
                &format!("sslmode=verify-full&sslrootcert={selfsigned}"),
            ),
            Tls,
        ),
        (
            url(
                "ann",
                "127.0.0.1",
                &format!("sslmode=verify-full&sslrootcert={selfsigned}"),
            ),
            Refused("not for"),
        ),
        (
            url("ann", "localhost", &format!("sslmode=verify-ca&sslrootcert={root}")),
            Refused("signed by none of"),
        ),
        (url("scram", "localhost", "channel_binding=require"), Tls),
    ])
    .await;

    present(&server, &certificates, "chained").await;
    run(vec![
        (
            url("ann", "localhost", &format!("sslmode=verify-full&sslrootcert={root}")),
            Tls,
        ),
        (
            url("ann", "localhost", &format!("sslmode=verify-full&sslrootcert={other}")),
            Refused("signed by none of"),
        ),
    ])
    .await;

    present(&server, &certificates, "names").await;
    run(vec![
        (url("ann", "localhost", &format!("sslmode=verify-full&sslrootcert={root}")), Tls),
        (url("ann", "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}")), Tls),
        (format!("host=db.wild.example hostaddr=127.0.0.1 port={port} user=ann dbname=postgres sslmode=verify-full sslrootcert={root}"), Tls),
        (format!("host=nobody hostaddr=127.0.0.1 port={port} user=ann dbname=postgres sslmode=verify-full sslrootcert={root}"), Refused("not for \"nobody\"")),
        (url("ann", "localhost", &format!("sslmode=require&sslrootcert={root}&sslcrl={none}")), Tls),
        (url("ann", "localhost", &format!("sslmode=require&sslrootcert={root}&sslcrl={revoked}")), Refused("it is revoked")),
    ])
    .await;

    // The files of the user's folder, which need not be named.
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join(".postgresql");
    fs::create_dir(&own).unwrap();
    fs::copy(certificates.path("other.crt"), own.join("root.crt")).unwrap();
    for (target, wanted) in [
        (url("ann", "localhost", "sslmode=require"), Refused("signed by none of")),
        (url("ann", "localhost", ""), Plain),
        (
            url("ann", "localhost", "sslmode=verify-full"),
            Refused("signed by none of"),
        ),
        (
            url("ann", "localhost", &format!("sslmode=verify-full&sslrootcert={root}")),
            Tls,
        ),
    ] {
        assert_eq!(check(&target, wanted, &ours(&target, Some(home.path())).await), None);
    }
    fs::copy(certificates.path("root.crt"), own.join("root.crt")).unwrap();
    fs::copy(certificates.path("client.crt"), own.join("postgresql.crt")).unwrap();
    fs::copy(certificates.path("client.key"), own.join("postgresql.key")).unwrap();
    for (target, wanted) in [
        (url("ann", "localhost", "sslmode=verify-ca"), Tls),
        (url("certuser", "localhost", "sslmode=verify-full"), Tls),
        (
            url("certuser", "localhost", "sslmode=verify-full&sslcertmode=disable"),
            Refused("certificate"),
        ),
    ] {
        assert_eq!(check(&target, wanted, &ours(&target, Some(home.path())).await), None);
    }
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    // The system takes connections for who listens, and nobody answers.
    for (parameters, wanted) in [
        (
            "sslmode=prefer",
            "asked for TLS: it takes connections, and says nothing",
        ),
        (
            "sslmode=disable",
            "authenticated: it takes connections, and says nothing",
        ),
    ] {
        let variables = |name: &str| (name == "PGCONNECT_TIMEOUT").then(|| "1".to_owned());
        let environment = Environment::new(variables, None, "nobody");
        let url = format!("postgres://{place}/postgres?{parameters}");
        let began = std::time::Instant::now();
        let opened = Connection::open_in(&url, "test", Timeouts::default(), &environment).await;
        let error = opened.err().unwrap().to_string();
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        for part in ["no answer within 1 s", wanted, place.as_str(), "connect_timeout"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
