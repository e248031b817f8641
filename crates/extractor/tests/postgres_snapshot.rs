//! One snapshot, whatever goes on in the database meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;

use crate::{Fixture, chain, day};

fn sum(fixture: &Fixture, table: &str) -> i64 {
    let batch = fixture.table(table);
    let column = batch.column_by_name("amount").unwrap();
    arrow::compute::sum(column.as_primitive::<Int64Type>()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_of_one_moment_while_others_write() {
    // Large enough for several pieces of one table and two connections.
    let fixture = Fixture::new(
        "create table accounts (id int primary key, amount bigint, filler text);
         insert into accounts select i, 100, repeat('x', 400) from generate_series(1, 200000) i;
         create table moved (id serial primary key, amount bigint); analyze;",
    )
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (client, stop) = (fixture.connect().await, stop.clone());
        tokio::spawn(async move {
            let mut round = 0i32;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                // What leaves one table comes to the other in the same transaction.
                client
                    .batch_execute(&format!(
                        "begin; update accounts set amount = amount - 1 where id = {};
                         insert into moved (amount) values (1); commit",
                        round % 200_000 + 1
                    ))
                    .await
                    .unwrap();
            }
            round
        })
    };
    for _ in 0..3 {
        fixture.extract().await.unwrap();
        assert_eq!(fixture.table("accounts").num_rows(), 200_000);
        assert_eq!(sum(&fixture, "accounts") + sum(&fixture, "moved"), 200_000 * 100);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 0);
    let manifest = fixture.lake.manifest("postgres", day()).unwrap().unwrap();
    assert!(
        manifest.tables["accounts"].files.len() > 1,
        "the table was not cut into pieces"
    );
    assert_eq!(manifest.tables["accounts"].snapshot, manifest.tables["moved"].snapshot);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_under_way_is_waited_for() {
    let fixture = Fixture::new("create table t (amount bigint); insert into t values (1), (2);").await;
    let client = fixture.connect().await;
    client
        .batch_execute("begin; truncate t; insert into t values (3)")
        .await
        .unwrap();
    let commit = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        client.batch_execute("commit").await.unwrap();
    });
    fixture.extract().await.unwrap();
    commit.await.unwrap();
    // Neither the rows before it nor, under a snapshot that is older than the lock, none at all.
    assert_eq!(sum(&fixture, "t"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_leaves_the_day_as_it_was() {
    let fixture = Fixture::new(
        "create table t (amount bigint, filler text); insert into t select 1, repeat('x', 1000) from generate_series(1, 50000);",
    )
    .await;
    fixture.extract().await.unwrap();
    let before = std::fs::read(fixture.lake.root().join("_manifests/postgres/2026-01-31.json")).unwrap();
    let killer = {
        let client = fixture.connect().await;
        tokio::spawn(async move {
            loop {
                let killed = client
                    .query(
                        "select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = current_database() and application_name = 'lake extract' and query like 'copy%'",
                        &[],
                    )
                    .await
                    .unwrap();
                if !killed.is_empty() {
                    return;
                }
            }
        })
    };
    let error = chain(&fixture.extract().await.unwrap_err());
    killer.await.unwrap();
    assert!(error.contains("public.t"), "{error}");
    let after = std::fs::read(fixture.lake.root().join("_manifests/postgres/2026-01-31.json")).unwrap();
    assert_eq!(before, after);
    assert_eq!(sum(&fixture, "t"), 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_gives_one_connection_is_enough() {
    let mut fixture = Fixture::new(
        "create table t (amount bigint, filler text); insert into t select 1, repeat('x', 400) from generate_series(1, 200000);
         do $$ begin if not exists (select from pg_roles where rolname = 'single') then create role single login connection limit 1; end if; end $$;
         grant select on t to single;",
    )
    .await;
    fixture.source.url = fixture.source.url.replace("postgres@", "single@");
    fixture.extract().await.unwrap();
    assert_eq!(sum(&fixture, "t"), 200_000);
}

/// A large table's scan joins another's where that is, unless it is told not to; and the network cuts the
/// stream as it likes.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_make_the_same_files() {
    let fixture = Fixture::new(
        "create table pages (id int primary key, body text, note text);
         insert into pages select i, repeat(md5(i::text), 12), case when i % 7 > 0 then md5(i::text) end
         from generate_series(1, 100000) i;",
    )
    .await;
    let scanning = fixture.connect().await;
    let mut first = None;
    for begun in [false, true, true] {
        if begun {
            let scan = "begin; declare c no scroll cursor for select * from pages; fetch 30000 from c";
            scanning.batch_execute(scan).await.unwrap();
        }
        fixture.extract_with(1, &[]).await.unwrap();
        scanning.batch_execute("rollback").await.unwrap();
        let manifest = fixture.lake.manifest("postgres", day()).unwrap().unwrap();
        let files = fixture
            .lake
            .files("postgres", "pages", &manifest.tables["pages"])
            .unwrap();
        let files: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        assert!(*first.get_or_insert_with(|| files.clone()) == files);
    }
}
