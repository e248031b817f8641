//! A standby that ends reads for what it replays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lake_sandbox::PostgresServer;

use crate::{Fixture, chain};

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_ends_reads_is_named_and_all_is_read_again() {
    let primary = PostgresServer::start().unwrap();
    let mut fixture = Fixture::on(
        &primary,
        "create table t (amount bigint); insert into t values (1); create view slow as select 1 as one from pg_sleep(1)",
    )
    .await;
    let standby = PostgresServer::builder().standby_of(&primary);
    let standby = standby.setting("max_standby_streaming_delay", "0").start().unwrap();
    let writer = fixture.connect().await;
    fixture.source.url = standby.url(fixture.source.url.rsplit('/').next().unwrap());
    fixture.source.tables = ["t", "slow"].map(|pattern| pattern.parse().unwrap()).into();

    // Twice in a row, and then no more; and as often as it reads.
    let left = Arc::new(AtomicU32::new(2));
    let altering = tokio::spawn({
        let (left, reader) = (left.clone(), fixture.connect().await);
        async move {
            let reads = "select from pg_stat_activity where query like 'copy%slow%' and state = 'active'";
            while left.load(Ordering::Relaxed) < u32::MAX {
                if left.load(Ordering::Relaxed) > 0 && !reader.query(reads, &[]).await.unwrap().is_empty() {
                    writer
                        .batch_execute("alter table t alter amount set default 1")
                        .await
                        .unwrap();
                    left.fetch_sub(1, Ordering::Relaxed);
                    while !reader.query(reads, &[]).await.unwrap().is_empty() {}
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    fixture.extract().await.unwrap();
    assert_eq!(left.load(Ordering::Relaxed), 0);
    assert_eq!(fixture.table("t").num_rows(), 1);

    left.store(1000, Ordering::Relaxed);
    let error = chain(&fixture.extract().await.unwrap_err());
    assert_eq!(left.load(Ordering::Relaxed), 997);
    for part in [
        "table public.slow: cannot read it; the server is a standby",
        "hot_standby_feedback",
        "max_standby_streaming_delay",
        "canceling statement due to conflict with recovery",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    left.store(u32::MAX, Ordering::Relaxed);
    altering.await.unwrap();
}
