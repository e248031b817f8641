//! Loads that fail leave the target as it was, and nothing behind.

use std::sync::Mutex;
use std::time::Duration;

use lake_loader::{Error, Progress};
use lake_storage::{Coverage, RESULTS, SchemaChange};

use crate::fixture::{Column, Fixture, SOURCE, chain, connect, monday, table, tuesday};

async fn two_days() -> Fixture {
    let fixture = Fixture::new().await;
    for (date, first) in [(monday(), 1), (tuesday(), 100)] {
        let tables = ["a", "b"].map(|name| table(name, [Column::int("id", first..first + 3).key(1)]));
        fixture.publish(date, tables).await;
    }
    fixture.load(monday()).await.unwrap();
    fixture
}

async fn assert_monday(fixture: &Fixture) {
    for name in ["a", "b"] {
        let ids = fixture.query(&format!("select id from {name} order by 1")).await;
        assert_eq!(ids, "1\n2\n3", "{name}");
    }
    assert_eq!(
        fixture.query("select distinct day from _lake_loads").await,
        "2021-01-04"
    );
    assert_eq!(fixture.leftovers().await, "");
}

#[tokio::test]
async fn a_constraint_of_the_users_own() {
    let fixture = two_days().await;
    fixture
        .execute("alter table b add constraint small check (id < 100)")
        .await;
    let error = fixture.load(tuesday()).await.unwrap_err();
    let text = chain(&error);
    assert!(text.contains("public.b") && text.contains("\"small\""), "{text}");
    assert_monday(&fixture).await;
    fixture.execute("alter table b drop constraint small").await;
    fixture.load(tuesday()).await.unwrap();
}

#[tokio::test]
async fn a_manifest_with_other_rows_than_were_written() {
    let fixture = two_days().await;
    let path = fixture
        .lake
        .root()
        .join("_manifests")
        .join(SOURCE)
        .join("2021-01-05.json");
    let manifest = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, manifest.replacen("\"rows\": 3", "\"rows\": 4", 1)).unwrap();
    let error = fixture.load(tuesday()).await.unwrap_err();
    assert!(
        matches!(error, Error::Storage(lake_storage::Error::Manifest { .. })),
        "{error}"
    );
    assert_monday(&fixture).await;
}

#[tokio::test]
async fn a_file_that_is_gone() {
    let fixture = two_days().await;
    let manifest = fixture.lake.manifest(SOURCE, tuesday()).unwrap().unwrap();
    let files = fixture.lake.files(SOURCE, "b", &manifest.tables["b"]).unwrap();
    std::fs::remove_file(&files[0].path).unwrap();
    let error = fixture.load(tuesday()).await.unwrap_err();
    assert!(matches!(error, Error::Storage(_)), "{error}");
    assert_monday(&fixture).await;
}

#[tokio::test]
async fn other_columns_are_listed_with_what_mends_them() {
    let mut fixture = two_days().await;
    fixture.lake = fixture.lake.clone().with_schema_change(SchemaChange::Freeze);
    fixture
        .execute(
            "alter table a alter column id type smallint, add column must text not null default 'x'; \
             alter table a alter column must drop default; \
             alter table b rename column id to \"Id\"; alter table b drop constraint b_pkey; \
             alter table b alter column \"Id\" drop not null",
        )
        .await;
    let error = fixture.load(tuesday()).await.unwrap_err().to_string();
    for line in [
        "public.a:",
        "id: wanted integer, has smallint",
        "must: not in the lake, has text not null without a default",
        "alter table \"public\".\"a\" alter column \"id\" type integer using \"id\"::integer;",
        "alter table \"public\".\"a\" alter column \"must\" drop not null;",
        "drop table \"public\".\"a\";",
        "id: wanted integer, is not there",
        "alter table \"public\".\"b\" add column \"id\" integer;",
    ] {
        assert!(error.contains(line), "{line} is not in:\n{error}");
    }
    assert_eq!(fixture.query("select count(*) from a").await, "3");
    let mend: String = error
        .lines()
        .filter(|line| line.trim_start().starts_with("alter table"))
        .collect();
    fixture.execute(&mend).await;
    fixture.load(tuesday()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_table_is_refused() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    for (made, kind) in [
        ("create view a as select 1 as id", "a view"),
        ("create materialized view a as select 1 as id", "a materialized view"),
        ("create sequence a", "a sequence"),
    ] {
        fixture.execute(made).await;
        let error = fixture.load(monday()).await.unwrap_err().to_string();
        assert!(error.contains("public.a") && error.contains(kind), "{error}");
        fixture
            .execute(&format!("drop {} a", kind.trim_start_matches("a ")))
            .await;
    }
}

#[tokio::test]
async fn a_type_that_is_more_than_a_type_is_not_run() {
    let fixture = Fixture::new().await;
    let evil = "integer); create table evil (a integer";
    fixture
        .publish(monday(), [table("a", [Column::int("id", [1]).of(evil)])])
        .await;
    fixture.load(monday()).await.unwrap_err();
    assert_eq!(fixture.query("select to_regclass('evil')").await, "NULL");
}

#[tokio::test]
async fn names_that_postgres_would_cut_and_tables_that_would_meet() {
    let fixture = Fixture::new().await;
    let long = "é".repeat(32);
    fixture.publish(monday(), [table("a", [Column::int(&long, [1])])]).await;
    let error = fixture.load(monday()).await.unwrap_err().to_string();
    assert!(error.contains("shop.a") && error.contains(&long), "{error}");
    fixture
        .publish(monday(), [table("_lake_loads", [Column::int("id", [1])])])
        .await;
    let error = fixture.load(monday()).await.unwrap_err().to_string();
    assert!(error.contains("lake keeps the name"), "{error}");

    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    fixture
        .publish_to(
            RESULTS,
            monday(),
            [table("a", [Column::int("id", [1])])],
            Coverage::Whole,
        )
        .await;
    let mut request = fixture.request(monday());
    request.queries = vec!["a".into()];
    let error = lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("results.a") && error.contains("shop.a") && error.contains("public.a"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_killed_in_the_middle_of_a_copy() {
    let fixture = two_days().await;
    let many = |first: i32| table("a", [Column::int("id", first..first + 300_000).key(1)]);
    let tables = [many(100), table("b", [Column::int("id", [100]).key(1)])];
    fixture.publish(tuesday(), tables).await;
    let error = load_interrupted(
        &fixture,
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where application_name = 'lake load 2021-01-05' and datname = current_database()",
    )
    .await;
    assert!(error.to_string().contains("shop.a"), "{}", chain(&error));
    // On one connection all of it was in one transaction.
    assert_eq!(fixture.leftovers().await, "");
    fixture.load(monday()).await.unwrap();
    assert_monday(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_altered_while_its_rows_are_on_their_way() {
    let fixture = two_days().await;
    let error = load_interrupted(&fixture, "alter table b add column late integer").await;
    assert!(matches!(error, Error::Altered { .. }), "{}", chain(&error));
    assert!(error.to_string().contains("public.b"), "{error}");
    assert_monday(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_several_connections() {
    let fixture = Fixture::new().await;
    let tables = ["a", "b", "c"].map(|name| table(name, [Column::int("id", 0..60_000)]));
    fixture.publish(monday(), tables).await;
    let manifest = fixture.lake.manifest(SOURCE, monday()).unwrap().unwrap();
    let path = &fixture.lake.files(SOURCE, "b", &manifest.tables["b"]).unwrap()[0].path;
    let content = std::fs::read(path).unwrap();
    let mut damaged = content.clone();
    damaged[10] ^= 1;
    std::fs::write(path, damaged).unwrap();
    let mut request = fixture.request(monday());
    request.jobs = 3;
    let loaded = lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {}).await;
    assert!(
        matches!(loaded, Err(Error::Storage(lake_storage::Error::Damaged { .. }))),
        "{loaded:?}"
    );
    assert_eq!(fixture.leftovers().await, "");
    std::fs::write(path, content).unwrap();
    lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap();
}

/// Loads Tuesday; when the first rows are on their way, the load is held up while another session
/// runs a statement. Returns the error that the load ends with.
async fn load_interrupted(fixture: &Fixture, sql: &'static str) -> Error {
    let client = connect(&fixture.target.url).await;
    let (ask, asked) = tokio::sync::oneshot::channel();
    let (answer, answered) = std::sync::mpsc::channel();
    let other = tokio::spawn(async move {
        asked.await.unwrap();
        client.batch_execute(sql).await.unwrap();
        answer.send(()).unwrap();
    });
    let (ask, answered) = (Mutex::new(Some(ask)), Mutex::new(answered));
    let request = fixture.request(tuesday());
    let loaded = lake_loader::load(&fixture.lake, &fixture.target, &request, |news| {
        if let Progress::Sent { .. } = news
            && let Some(ask) = ask.lock().unwrap().take()
        {
            ask.send(()).unwrap();
            answered.lock().unwrap().recv_timeout(Duration::from_secs(30)).unwrap();
        }
    });
    let error = loaded.await.unwrap_err();
    other.await.unwrap();
    error
}
