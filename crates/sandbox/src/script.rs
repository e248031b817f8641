//! Runs a script of SQL statements on a connection of its own.

use tokio_postgres::{Config, NoTls};

use crate::Error;

/// Connects, runs every statement of `sql`, and closes the connection before it returns, so that
/// a server with a single connection is free again.
pub(crate) async fn execute(config: &Config, sql: &str) -> Result<(), Error> {
    let database = config.get_dbname().unwrap_or_default();
    let (client, connection) = config.connect(NoTls).await.map_err(|source| Error::Connect {
        database: database.to_owned(),
        source,
    })?;
    let connection = tokio::spawn(connection);
    let outcome = client.batch_execute(sql).await;
    drop(client);
    // What ended the connection early has failed the script too.
    let _ = connection.await;
    outcome.map_err(|source| Error::Execute {
        database: database.to_owned(),
        source,
    })
}
