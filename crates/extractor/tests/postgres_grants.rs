//! What the role may read: what is missing is told of all tables at once, and no more is asked for than
//! is needed.

use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::Int32Type;
use lake_extractor::{Error, PostgresSource, TableSettings};

use crate::{Fixture, chain};

fn read_by(role: &str, fixture: &Fixture) -> PostgresSource {
    PostgresSource {
        url: fixture.source.url.replace("postgres@", &format!("{role}@")),
        ..fixture.source.clone()
    }
}

fn without(columns: &[&str]) -> TableSettings {
    TableSettings {
        exclude: columns.iter().map(ToString::to_string).collect(),
        ..TableSettings::default()
    }
}

fn sum(fixture: &Fixture, table: &str) -> i32 {
    let batch = fixture.table(table);
    let column = batch.column_by_name("x").unwrap().as_primitive::<Int32Type>();
    arrow::compute::sum(column).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_missing_is_said_at_once_with_what_grants_it() {
    let fixture = Fixture::new(
        "create role \"Limited\" login; create schema \"Sales\"; grant usage on schema public to \"Limited\";
         create table open (x int); create table closed (x int); create table part (x int, secret int, \"Y\" int);
         create table filtered (x int); alter table filtered enable row level security;
         create policy mine on filtered using (x = 1); create table \"Sales\".orders (x int);
         create table \"Sales\".none ();
         grant select on open, filtered, \"Sales\".orders to \"Limited\"; grant select (x) on part to \"Limited\"",
    )
    .await;
    let mut source = read_by("Limited", &fixture);
    source.tables = ["*.*", "!\"Sales\".none"]
        .map(|pattern| pattern.parse().unwrap())
        .into();
    source.settings = vec![("public.part".parse().unwrap(), without(&["Y"]))];
    let extract = async |source: &PostgresSource| fixture.extract_source(source.clone(), 2, &[]).await;
    let error = chain(&extract(&source).await.unwrap_err());
    let wanted = "\
the role \"Limited\" may not read \"Sales\".orders (nor use the schema \"Sales\"), public.closed, \
public.filtered (row-level security hides some of its rows), public.part (not its columns secret): \
let their owner, or a superuser, say
      grant usage on schema \"Sales\" to \"Limited\";
      grant select on public.closed, public.part to \"Limited\";
      alter role \"Limited\" bypassrls;
    or leave them out, where `tables` is a map with a line for each pattern, with
      '!\"Sales\".orders':
      '!public.closed':
      '!public.filtered':
      public.part: {select: ['-Y', '-secret']}";
    assert_eq!(error, wanted);
    // Those that are asked for alone need no more.
    fixture.extract_source(source.clone(), 2, &["open"]).await.unwrap();

    // The lines of config do, and so do the statements.
    let mut narrowed = source.clone();
    let left_out = ["!\"Sales\".orders", "!public.closed", "!public.filtered"];
    narrowed.tables.extend(left_out.map(|pattern| pattern.parse().unwrap()));
    narrowed.settings = vec![("public.part".parse().unwrap(), without(&["Y", "secret"]))];
    extract(&narrowed).await.unwrap();
    let statements = wanted.lines().filter(|line| line.ends_with(';'));
    fixture.execute(&statements.collect::<String>()).await;
    extract(&source).await.unwrap();
    fixture.execute("alter role \"Limited\" nobypassrls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_enough_where_the_others_are_left_out() {
    let fixture = Fixture::new(
        "create role by_column login;
         create table t (x int, secret text); insert into t values (1, 's'), (2, 's');
         create view v as select * from t; create materialized view m as select * from t;
         create table p (x int, secret text) partition by list (x); create table p1 partition of p default;
         insert into p values (4, 's'); create table a (x int, secret text); create table b () inherits (a);
         grant select (x) on t, v, m, p, a to by_column",
    )
    .await;
    let mut source = read_by("by_column", &fixture);
    source.tables = ["t", "v", "m", "p"].map(|pattern| pattern.parse().unwrap()).into();
    source.settings = vec![("*".parse().unwrap(), without(&["secret"]))];
    fixture.extract_source(source.clone(), 2, &[]).await.unwrap();
    assert_eq!(["t", "v", "m", "p"].map(|table| sum(&fixture, table)), [3, 3, 3, 4]);
    assert_eq!(fixture.table("t").num_columns(), 1);

    // Whose rows are its own is not among the columns.
    source.tables = vec!["a".parse().unwrap()];
    let error = fixture.extract_source(source.clone(), 2, &[]).await.unwrap_err();
    assert!(matches!(error, Error::NotGranted { .. }), "{error}");
    assert!(
        error.to_string().contains("grant select on public.a to \"by_column\";"),
        "{error}"
    );
}

/// They can't be locked before there is a snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_rewritten_under_way_is_read_as_it_is_then() {
    let fixture = Fixture::new(
        "create role by_column_too login; create table t (x int, secret text); insert into t values (1, 's'), (2, 's');
         create materialized view m as select sum(x)::int as x from t;
         grant select (x) on t, m to by_column_too",
    )
    .await;
    let mut source = read_by("by_column_too", &fixture);
    source.tables = ["t", "m"].map(|pattern| pattern.parse().unwrap()).into();
    source.settings = vec![("t".parse().unwrap(), without(&["secret"]))];
    for (rewrite, sums) in [
        ("truncate t; insert into t values (5)", [5, 3]),
        ("refresh materialized view m", [5, 5]),
    ] {
        let client = fixture.connect().await;
        client.batch_execute(&format!("begin; {rewrite}")).await.unwrap();
        let commit = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.batch_execute("commit").await.unwrap();
        });
        fixture.extract_source(source.clone(), 2, &[]).await.unwrap();
        commit.await.unwrap();
        assert_eq!(["t", "m"].map(|table| sum(&fixture, table)), sums);
    }
}
