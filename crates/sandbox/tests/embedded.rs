//! The embedded server behind its relay.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt, pin_mut};
use lake_sandbox::{EmbeddedPostgres, Error};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::client::{connect, rows, rows_at};

#[tokio::test]
async fn instances_have_data_of_their_own() {
    let source = EmbeddedPostgres::start().await.unwrap();
    let target = EmbeddedPostgres::start().await.unwrap();
    source
        .execute("create table t as select 'source' as name")
        .await
        .unwrap();
    target
        .execute("create table t as select 'target' as name")
        .await
        .unwrap();
    assert_eq!(rows_at(&source.url(), "select name from t").await, ["source"]);
    assert_eq!(rows_at(&target.url(), "select name from t").await, ["target"]);
    let error = source.execute("select nonsense").await.unwrap_err();
    assert!(matches!(error, Error::Execute { .. }), "{error:?}");
}

#[tokio::test]
async fn a_second_connection_is_refused_and_a_later_one_served() {
    let server = EmbeddedPostgres::start().await.unwrap();
    let (first, connection) = connect(&server.url()).await.unwrap();
    let started = Instant::now();
    let error = connect(&server.url()).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(rows(&first, "select 1").await, ["1"]);

    // The second one waits while the first is still closing.
    drop(first);
    let (second, _connection) = connect(&server.url()).await.unwrap();
    assert_eq!(rows(&second, "select 2").await, ["2"]);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_cancel_request_is_ignored() {
    let server = EmbeddedPostgres::start().await.unwrap();
    let (client, _connection) = connect(&server.url()).await.unwrap();
    let token = client.cancel_token();
    let cancelled = token.cancel_query(NoTls);
    tokio::time::timeout(Duration::from_secs(5), cancelled)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rows(&client, "select 1").await, ["1"]);
}

#[tokio::test]
async fn snapshots_locks_and_binary_copies_work() {
    let server = EmbeddedPostgres::start().await.unwrap();
    server
        .execute("create table a as select generate_series(1, 1000) as n")
        .await
        .unwrap();
    server.execute("create table b (n int)").await.unwrap();
    let (client, _connection) = connect(&server.url()).await.unwrap();

    rows(&client, "begin isolation level repeatable read, read only").await;
    rows(&client, "lock table a in access share mode").await;
    assert_eq!(rows(&client, "select pg_export_snapshot() <> ''").await, ["t"]);
    let stream = client.copy_out("copy a to stdout (format binary)").await.unwrap();
    pin_mut!(stream);
    let mut chunks: Vec<Bytes> = Vec::new();
    while let Some(chunk) = stream.next().await {
        chunks.push(chunk.unwrap());
    }
    rows(&client, "commit").await;

    let sink = client.copy_in("copy b from stdin (format binary)").await.unwrap();
    pin_mut!(sink);
    sink.send(Bytes::from(chunks.concat())).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1000);
    let sql = "select count(*), sum(n) from b join a using (n)";
    assert_eq!(rows(&client, sql).await, ["1000|500500"]);
}

/// A client that breaks off at each of the points that would end the bare server, or hold it.
#[tokio::test]
async fn a_client_that_breaks_off_leaves_the_server_in_order() {
    let server = EmbeddedPostgres::start().await.unwrap();
    let many = "create table t as select generate_series(1, 200000) as n";
    server.execute(many).await.unwrap();

    // In a COPY out,
    let (client, connection) = connect(&server.url()).await.unwrap();
    let stream = client.copy_out("copy t to stdout (format binary)").await.unwrap();
    pin_mut!(stream);
    stream.next().await.unwrap().unwrap();
    connection.abort();
    assert_eq!(rows_at(&server.url(), "select count(*) from t").await, ["200000"]);

    // in a COPY in,
    let (client, connection) = connect(&server.url()).await.unwrap();
    let sink = client.copy_in("copy t from stdin").await.unwrap();
    pin_mut!(sink);
    sink.send(Bytes::from_static(b"1\n")).await.unwrap();
    connection.abort();
    assert_eq!(rows_at(&server.url(), "select count(*) from t").await, ["200000"]);

    // in a transaction with a lock.
    let (client, connection) = connect(&server.url()).await.unwrap();
    rows(&client, "begin; lock table t; delete from t").await;
    connection.abort();
    assert_eq!(rows_at(&server.url(), "select count(*) from t").await, ["200000"]);
}

#[tokio::test]
async fn a_drop_cuts_the_client_off() {
    let server = EmbeddedPostgres::start().await.unwrap();
    let url = server.url();
    let (client, connection) = connect(&url).await.unwrap();
    rows(&client, "select 1").await;
    tokio::time::timeout(Duration::from_secs(20), tokio::task::spawn_blocking(|| drop(server)))
        .await
        .unwrap()
        .unwrap();
    let _ = connection.await.unwrap();
    assert!(client.simple_query("select 1").await.is_err());
    assert!(connect(&url).await.is_err());
}
