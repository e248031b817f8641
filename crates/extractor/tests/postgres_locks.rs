//! Other sessions' locks: waited for with a word, and not without end.

use lake_postgres::{TimeLimit, Timeouts};
use tokio_postgres::Client;

use crate::{Fixture, chain};

async fn pid(client: &Client) -> i32 {
    client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_lock_ends_and_names_who_is_in_the_way() {
    let mut fixture = Fixture::new("create table \"T\" (amount bigint)").await;
    fixture.source.timeouts = Timeouts {
        lock: "800ms".parse::<TimeLimit>().unwrap(),
        ..Timeouts::default()
    };
    // One reads and forgets to commit, another waits for it, and all that come later wait for both.
    let (reader, owner) = (fixture.connect().await, fixture.connect().await);
    reader.batch_execute("begin; select from \"T\"").await.unwrap();
    let pids = (pid(&reader).await, pid(&owner).await);
    let alter = tokio::spawn(async move { owner.batch_execute("alter table \"T\"\n  add more int").await });
    while fixture.rows("select from pg_locks where not granted").await == 0 {}
    let error = chain(&fixture.extract().await.unwrap_err());
    let wanted = format!(
        "cannot lock the tables for reading: it has waited 800 ms (`lock_timeout` in the config) for a lock: \
         public.\"T\" is locked by process {} (postgres, active: alter table \"T\" add more int), which itself waits \
         for process {reader} (postgres, idle in transaction: select pg_backend_pid()); wait for it, or end it with \
         `select pg_terminate_backend({reader})`",
        pids.1,
        reader = pids.0,
    );
    assert_eq!(error, wanted);
    reader.batch_execute("commit").await.unwrap();
    alter.await.unwrap().unwrap();
    fixture.extract().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_a_table_that_is_not_asked_for_is_no_concern() {
    let mut fixture = Fixture::new(
        "create table t (amount bigint); create table busy (amount bigint);
         create table part (amount bigint) partition by list (amount); create table part_1 partition of part default;
         create materialized view seen as select 1 as one; create view v as select * from busy",
    )
    .await;
    fixture.source.timeouts.lock = "200ms".parse().unwrap();
    let owner = fixture.connect().await;
    let locks = "begin; lock table busy, part, v; refresh materialized view seen; create index on busy (amount)";
    owner.batch_execute(locks).await.unwrap();
    fixture.extract_with(2, &["t"]).await.unwrap();
    fixture.source.tables = ["public.*", "!busy", "!part"]
        .map(|pattern| pattern.parse().unwrap())
        .into();
    fixture.extract().await.unwrap();
    // Whatever it is: its columns, its types, its size are read once it is locked.
    for pattern in ["busy", "part", "v", "seen"] {
        fixture.source.tables = vec![pattern.parse().unwrap()];
        let error = chain(&fixture.extract().await.unwrap_err());
        assert!(error.contains("is locked by process"), "{pattern}: {error}");
    }
}

/// Neither connection knows of the lock before it reads: one leaves it to the other, which waits as for any.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_a_function_needs_is_waited_for_and_told() {
    let mut fixture = Fixture::new(
        "create table rates (amount bigint); insert into rates values (3);
         create function rate() returns bigint language plpgsql as
             $$ begin return (select amount from public.rates); end $$;
         create view rated as select rate() as amount;
         do $$ begin for i in 1..60 loop execute format('create table t_%s (amount bigint)', i); end loop; end $$",
    )
    .await;
    fixture.source.tables = ["*.*", "rated", "!rates"]
        .map(|pattern| pattern.parse().unwrap())
        .into();
    fixture.source.timeouts.lock = "1s".parse().unwrap();
    let owner = fixture.connect().await;
    owner.batch_execute("begin; lock table rates").await.unwrap();
    let error = chain(&fixture.extract().await.unwrap_err());
    for part in [
        "table public.rated: cannot read it: it has waited 1 s",
        "public.rates is locked by process",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let extracted = async {
        fixture.source.timeouts = Timeouts::default();
        fixture.extract().await.unwrap();
        assert_eq!(fixture.table("rated").num_rows(), 1);
    };
    let commit = async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        owner.batch_execute("commit").await.unwrap();
    };
    tokio::join!(extracted, commit);
}
