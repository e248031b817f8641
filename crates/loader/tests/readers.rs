//! Readers of the target during loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio_postgres::Client;

use crate::fixture::{Column, Fixture, connect, monday, table, tuesday};

const ROWS: usize = 2000;

/// The days that a statement sees in both tables, with the rows of each.
const BOTH: &str = "\
    select array(select format('%s %s', marker, count(*)) from a group by marker) \
        || array(select format('%s %s', marker, count(*)) from b group by marker)";

async fn read_committed(client: &Client) -> Vec<String> {
    client.query_one(BOTH, &[]).await.unwrap().get(0)
}

/// Two statements in one snapshot, with time for a load to commit in between.
async fn repeatable_read(client: &Client) -> Vec<String> {
    client
        .batch_execute("begin isolation level repeatable read read only")
        .await
        .unwrap();
    let mut seen = Vec::new();
    for name in ["a", "b"] {
        let sql = format!("select format('%s %s', marker, count(*)) from {name} group by marker");
        seen.extend(
            client
                .query(&sql, &[])
                .await
                .unwrap()
                .iter()
                .map(|row| row.get::<_, String>(0)),
        );
        client.batch_execute("select pg_sleep(0.02)").await.unwrap();
    }
    client.batch_execute("commit").await.unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_the_old_day_or_the_new_of_both_tables() {
    let fixture = Fixture::new().await;
    for date in [monday(), tuesday()] {
        let marker = date.to_string();
        let column = || Column::text("marker", vec![marker.as_str(); ROWS]);
        fixture
            .publish(date, [table("a", [column()]), table("b", [column()])])
            .await;
    }
    fixture.load(monday()).await.unwrap();

    let ended = Arc::new(AtomicBool::new(false));
    let reads = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let mut readers = tokio::task::JoinSet::new();
    for repeatable in [false, true] {
        let (ended, reads) = (ended.clone(), reads.clone());
        let client = connect(&fixture.target.url).await;
        readers.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let seen = if repeatable {
                    repeatable_read(&client).await
                } else {
                    read_committed(&client).await
                };
                assert_eq!(seen.len(), 2, "{seen:?}");
                assert_eq!(seen[0], seen[1]);
                let day = seen[0].strip_suffix(&format!(" {ROWS}"));
                assert!(matches!(day, Some("2021-01-04" | "2021-01-05")), "{seen:?}");
                reads[usize::from(repeatable)].fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..6 {
        fixture.load(tuesday()).await.unwrap();
        fixture.load(monday()).await.unwrap();
    }
    ended.store(true, Ordering::Relaxed);
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
    assert!(reads.iter().all(|reads| reads.load(Ordering::Relaxed) > 5), "{reads:?}");
}

#[tokio::test]
async fn a_load_does_not_wait_for_readers() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    fixture.publish(tuesday(), [table("a", [Column::int("id", [2])])]).await;
    fixture.load(monday()).await.unwrap();
    let reader = connect(&fixture.target.url).await;
    reader
        .batch_execute("begin isolation level repeatable read; table a")
        .await
        .unwrap();
    fixture.load(tuesday()).await.unwrap();
    let old: i32 = reader.query_one("table a", &[]).await.unwrap().get(0);
    assert_eq!(old, 1);
    assert_eq!(fixture.query("table a").await, "2");
}
