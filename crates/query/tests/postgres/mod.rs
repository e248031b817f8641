//! The same statements on a real PostgreSQL and over the lake that was extracted from it.

mod blanks;
mod carried;
mod everyday;
mod numbers;
mod tpch;

use bytes::Bytes;
use futures::{SinkExt as _, TryStreamExt as _};
use lake_extractor::{Arrays, PostgresSource, Request, Source, extract};
use lake_postgres::Timeouts;
use lake_postgres::tokio_postgres::{Client, NoTls, connect};
use lake_query::Format;
use lake_sandbox::PostgresServer;
use lake_storage::RunId;

use crate::support::{DAY_1, TestLake, date, day, written};

/// A database, and a lake with its tables.
pub struct Twins {
    pub lake: TestLake,
    pub client: Client,
    url: String,
}

impl Twins {
    /// A database without tables, to be filled and then extracted.
    pub async fn begin() -> Self {
        let url = PostgresServer::shared().unwrap().fresh_database().await.unwrap();
        let (client, connection) = connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self {
            lake: TestLake::new(),
            client,
            url,
        }
    }

    pub async fn of(sql: &str) -> Self {
        let twins = Self::begin().await;
        twins.client.batch_execute(sql).await.unwrap();
        twins.extract().await;
        twins
    }

    pub async fn extract(&self) {
        let source = PostgresSource {
            name: "postgres".into(),
            url: self.url.clone(),
            timeouts: Timeouts::default(),
            tables: Vec::new(),
            settings: Vec::new(),
            arrays: Arrays::default(),
        };
        let request = Request {
            date: date(DAY_1),
            run: RunId::new(),
            command: "test".into(),
            tables: Vec::new(),
            jobs: 2,
        };
        let done = extract(&self.lake.lake, &Source::Postgres(source), &request, |_| {}).await;
        done.unwrap();
    }

    pub async fn copy_in(&self, table: &str, rows: String) {
        let statement = format!("copy {table} from stdin (format csv)");
        let mut sink = Box::pin(self.client.copy_in(&statement).await.unwrap());
        sink.send(Bytes::from(rows)).await.unwrap();
        sink.as_mut().finish().await.unwrap();
    }

    /// What the server prints.
    pub async fn server(&self, statement: &str) -> Result<Vec<String>, String> {
        let copy = format!("copy ({statement}) to stdout (format csv)");
        let printed: Vec<Bytes> = match self.client.copy_out(&copy).await {
            Ok(rows) => rows.try_collect().await.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        };
        Ok(lines(&String::from_utf8(printed.concat()).unwrap(), statement))
    }

    /// What is printed of the lake.
    pub async fn lake(&self, statement: &str) -> Result<Vec<String>, String> {
        let engine = self.lake.engine(day(DAY_1));
        let printed = written(&engine, statement, Format::Csv).await;
        let printed = printed.map_err(|error| error.to_string())?;
        Ok(lines(printed.split_once('\n').unwrap().1, statement))
    }

    /// Asserts that both give the same rows of each statement.
    pub async fn agree(&self, statements: &[&str]) {
        let mut differing = String::new();
        for statement in statements {
            let server = self.server(statement).await;
            let server = server.unwrap_or_else(|error| panic!("{statement}\non the server: {error}"));
            match self.lake(statement).await {
                Ok(lake) if lake == server => {}
                lake => differing += &format!("{statement}\n  server {server:?}\n  lake   {lake:?}\n"),
            }
        }
        assert!(differing.is_empty(), "\n{differing}");
    }
}

/// Rows as text, in their order where the statement gives one.
fn lines(csv: &str, statement: &str) -> Vec<String> {
    let mut lines: Vec<String> = csv.lines().map(values).collect();
    if !statement.to_lowercase().contains("order by") {
        lines.sort();
    }
    lines
}

/// A row with the server's booleans, and numbers without the zeros that only show their scale.
fn values(line: &str) -> String {
    let value = |cell: &str| match cell {
        "t" => "true".to_owned(),
        "f" => "false".to_owned(),
        number if number.contains('.') && number.bytes().all(|byte| b"-.0123456789".contains(&byte)) => {
            number.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        other => other.to_owned(),
    };
    line.split(',').map(value).collect::<Vec<_>>().join(",")
}
