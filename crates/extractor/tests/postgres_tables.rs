//! Which tables are read.

use std::collections::BTreeSet;

use arrow::util::display::array_value_to_string;
use lake_extractor::{ColumnAs, Error, TableSettings};

use crate::{Fixture, chain, day};

pub(crate) fn names(fixture: &Fixture) -> BTreeSet<String> {
    let manifest = fixture.lake.manifest_or_partial("postgres", day()).unwrap().unwrap();
    manifest.tables.into_keys().collect()
}

pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_of_every_schema_once() {
    let fixture = Fixture::new(
        "create schema sales; create schema empty_one;
         create table a (x int); create table sales.a (x int); create table sales.\"Odd / Name\" (x int);
         create view v as select * from a; create materialized view m as select * from a;
         create table p (x int) partition by range (x);
         create table p1 partition of p for values from (0) to (10);
         create table p2 partition of p for values from (10) to (20);
         insert into p select generate_series(0, 19);
         create table parent (x int); create table child (y int) inherits (parent);
         insert into parent values (1); insert into child values (2, 3);",
    )
    .await;
    fixture.extract().await.unwrap();
    assert_eq!(
        names(&fixture),
        set(&["a", "sales__a", "sales__Odd / Name", "p", "parent", "child"])
    );
    assert_eq!(fixture.table("p").num_rows(), 20);
    assert_eq!(fixture.table("parent").num_rows(), 1);
    assert_eq!(fixture.table("child").num_rows(), 1);
    assert_eq!(fixture.table("sales__Odd / Name").num_rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_select_and_leave_out() {
    let mut fixture = Fixture::new(
        "create schema sales; create table a (x int); create table tmp_b (x int); create table sales.c (x int);
         create view v as select 1 as x;",
    )
    .await;
    fixture.source.tables = ["public.*", "!public.tmp_*", "public.v"]
        .map(|p| p.parse().unwrap())
        .into();
    fixture.extract().await.unwrap();
    assert_eq!(names(&fixture), set(&["a", "v"]));

    // Only one schema asked for: its tables go by their own names.
    fixture.source.tables = vec!["sales.*".parse().unwrap()];
    fixture.extract().await.unwrap();
    assert_eq!(names(&fixture), set(&["c"]));

    fixture.source.tables = vec!["public.aa".parse().unwrap()];
    let error = fixture.extract().await.unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }), "{error}");
    assert!(error.to_string().contains("did you mean public.a?"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_alone_leaves_the_others_and_makes_no_day_complete() {
    let fixture = Fixture::new("create table a (x int); create table b (x int); insert into a values (1);").await;
    fixture.extract_with(2, &["a"]).await.unwrap();
    assert!(fixture.lake.manifest("postgres", day()).unwrap().is_none());
    assert_eq!(names(&fixture), set(&["a"]));
    fixture.extract().await.unwrap();
    fixture
        .execute("insert into a values (2); insert into b values (1);")
        .await;
    fixture.extract_with(2, &["public.a"]).await.unwrap();
    assert!(fixture.lake.manifest("postgres", day()).unwrap().unwrap().complete);
    assert_eq!((fixture.table("a").num_rows(), fixture.table("b").num_rows()), (2, 0));
    assert!(matches!(
        fixture.extract_with(2, &["c"]).await.unwrap_err(),
        Error::NoMatch { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_taken_again_is_the_day_as_it_is_now() {
    let fixture = Fixture::new("create table a (x int); create table b (x int); insert into a values (1);").await;
    fixture.extract().await.unwrap();
    fixture
        .execute("drop table b; alter table a add y text; insert into a values (2, 'two');")
        .await;
    fixture.extract().await.unwrap();
    assert_eq!(names(&fixture), set(&["a"]));
    let batch = fixture.table("a");
    assert_eq!((batch.num_rows(), batch.num_columns()), (2, 2));
    // A plain reader of the folders sees that and nothing else.
    let parquet_files = |table: &str| {
        let dir = fixture
            .lake
            .table_dir("postgres", table)
            .unwrap()
            .join("extract_date=2026-01-31");
        std::fs::read_dir(dir).map_or(0, Iterator::count)
    };
    assert_eq!((parquet_files("a"), parquet_files("b")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_the_lake_cannot_hold_are_refused_with_the_rename_that_mends_it() {
    let mut fixture = Fixture::new(
        "create table t (extract_date date, \"a b\" int, \"a,b\" int, x int, \"X\" int, \"fine-ü\" int);
         insert into t values ('2020-01-01', 1, 2, 3, 4, 5);",
    )
    .await;
    let error = chain(&fixture.extract().await.unwrap_err());
    for reason in [
        "table public.t: column \"extract_date\": the lake has a column of this name",
        "column \"a b\": Delta refuses",
        "column \"X\": Delta can't hold it beside one whose name differs only in case",
    ] {
        assert!(error.contains(reason), "{error}");
    }
    let printed = "rename: {extract_date: extract_date_2, 'a b': a_b, 'a,b': a_b_2, 'X': x_2}";
    assert!(error.contains(printed), "{error}");

    let rename = [
        ("extract_date", "extract_date_2"),
        ("a b", "a_b"),
        ("a,b", "a_b_2"),
        ("X", "x_2"),
    ]
    .map(|(from, to)| (from.to_owned(), to.to_owned()));
    let settings = TableSettings {
        rename: rename.into(),
        // Either name will do.
        columns: [("a b".into(), ColumnAs::Text), ("x_2".into(), ColumnAs::Text)].into(),
        ..TableSettings::default()
    };
    fixture.source.settings = vec![("public.t".parse().unwrap(), settings)];
    fixture.extract().await.unwrap();
    let batch = fixture.table("t");
    let names: Vec<&str> = batch.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["extract_date_2", "a_b", "a_b_2", "x", "x_2", "fine-ü"]);
    let text = |i| array_value_to_string(batch.column(i), 0).unwrap();
    assert_eq!([1, 2, 3, 4, 5].map(text), ["1", "2", "3", "4", "5"]);
    assert_eq!(batch.column(4).data_type(), &arrow::datatypes::DataType::Utf8);

    let of_nothing = TableSettings {
        rename: [("y".to_owned(), "z".to_owned())].into(),
        ..TableSettings::default()
    };
    fixture.source.settings = vec![("public.t".parse().unwrap(), of_nothing)];
    let error = fixture.extract().await.unwrap_err();
    assert!(matches!(error, Error::NoSuchColumn { .. }), "{error}");
}
