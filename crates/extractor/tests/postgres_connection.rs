//! Every way to a server brings the same rows: plain, over TLS, through a socket of the machine.

use std::time::Duration;

use lake_extractor::Error;
use lake_postgres::Error as PgError;
use lake_sandbox::PostgresServer;

use crate::Fixture;

const TABLE: &str = "create table t as select n, repeat('x', n % 900) as text from generate_series(1, 5000) n";

/// Writes a file into the server's data folder, for its user alone.
fn install(name: &str, content: &str) -> String {
    format!(
        "copy (select unnest(string_to_array({}, e'\\n'))) to program 'cat > {name} && chmod 600 {name}';",
        lake_postgres::quote_literal(content)
    )
}

async fn rows(fixture: &Fixture, url: String) -> Result<u64, Error> {
    let mut source = fixture.source.clone();
    source.url = url;
    fixture.extract_source(source, 2, &[]).await.map(|report| report.rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_over_tls() {
    let server = PostgresServer::start().unwrap();
    let fixture = Fixture::on(&server, TABLE).await;
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), certificate.cert.pem()).unwrap();
    let localhost = fixture.source.url.replace("127.0.0.1", "localhost");
    let verified = format!(
        "{localhost}?sslmode=verify-full&sslrootcert={}",
        authority.path().display()
    );

    // The server has no TLS yet: it is left out where it may be, and an error where it may not.
    assert_eq!(
        rows(&fixture, format!("{localhost}?sslmode=prefer")).await.unwrap(),
        5000
    );
    let error = rows(&fixture, verified.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Postgres(PgError::Connect { .. })), "{error:?}");
    assert!(error.to_string().contains("the server has no TLS"), "{error}");

    let key = certificate.signing_key.serialize_pem();
    let cluster = install("server.crt", &certificate.cert.pem()) + &install("server.key", &key);
    server.execute("postgres", &cluster).await.unwrap();
    server.execute("postgres", "alter system set ssl = on").await.unwrap();
    // From here on, nobody is let in without TLS.
    let hba = install("pg_hba.conf", "hostssl all all all trust");
    server.execute("postgres", &hba).await.unwrap();
    server.execute("postgres", "select pg_reload_conf()").await.unwrap();
    let refused = loop {
        // The server takes its new settings a moment later.
        match rows(&fixture, format!("{localhost}?sslmode=disable")).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("no encryption"), "{refused}");
    for mode in ["prefer", "require"] {
        let url = format!("{localhost}?sslmode={mode}");
        assert_eq!(rows(&fixture, url).await.unwrap(), 5000, "sslmode={mode}");
    }
    assert_eq!(rows(&fixture, verified).await.unwrap(), 5000);
    let unknown = rows(&fixture, format!("{localhost}?sslmode=verify-full"))
        .await
        .unwrap_err();
    assert!(unknown.to_string().contains("signed by none of"), "{unknown}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn rows_come_through_a_socket_of_the_machine() {
    let server = PostgresServer::start_with(&[("unix_socket_directories", ".")]).unwrap();
    let fixture = Fixture::on(&server, TABLE).await;
    let client = fixture.connect().await;
    let row = client.query_one(
        "select current_setting('data_directory'), current_database()::text",
        &[],
    );
    let row = row.await.unwrap();
    let (folder, database): (String, String) = (row.get(0), row.get(1));
    let url = |folder: &str| format!("host={folder} port={} user=postgres dbname={database}", server.port());
    assert_eq!(rows(&fixture, url(&folder)).await.unwrap(), 5000);
    let error = rows(&fixture, url("/nowhere")).await.unwrap_err().to_string();
    assert!(error.contains("is the server running"), "{error}");
}
