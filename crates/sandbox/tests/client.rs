//! A connection for the tests.

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

/// A client and its connection's task, which ends with the client.
pub(crate) async fn connect(url: &str) -> Result<(Client, JoinHandle<Result<(), Error>>), Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    Ok((client, tokio::spawn(connection)))
}

/// The rows of a query as text, values joined by `|`.
pub(crate) async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client
        .simple_query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|index| row.get(index).unwrap_or("null"));
                Some(values.collect::<Vec<_>>().join("|"))
            }
            _ => None,
        })
        .collect()
}

/// The rows of one query on a connection of its own, which is closed on return.
pub(crate) async fn rows_at(url: &str, sql: &str) -> Vec<String> {
    let (client, connection) = connect(url).await.unwrap();
    let rows = rows(&client, sql).await;
    drop(client);
    connection.await.unwrap().unwrap();
    rows
}
