//! What tables are called in the lake: the same today as yesterday.

use lake_extractor::TableSettings;

use crate::postgres_tables::{names, set};
use crate::{Fixture, chain};

fn select(fixture: &mut Fixture, patterns: &[&str]) {
    fixture.source.tables = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_does_not_depend_on_which_other_tables_there_are() {
    let mut fixture = Fixture::new("create schema a; create schema b; create table a.t (x int)").await;
    for patterns in [&[][..], &["*.*"]] {
        select(&mut fixture, patterns);
        fixture.extract().await.unwrap();
        assert_eq!(names(&fixture), set(&["a__t"]));
        fixture.execute("create table b.u (x int)").await;
        fixture.extract().await.unwrap();
        assert_eq!(names(&fixture), set(&["a__t", "b__u"]));
        fixture.execute("drop table b.u").await;
        fixture.extract().await.unwrap();
        assert_eq!(names(&fixture), set(&["a__t"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_keeps_the_name_that_it_has_in_the_lake() {
    let mut fixture =
        Fixture::new("create schema a; create schema b; create table a.t (x int); create table a.u (x int)").await;
    select(&mut fixture, &["a.*"]);
    let on = |day: &str| format!("2026-01-{day}").parse().unwrap();
    fixture.extract_on(on("01"), 1, &[]).await.unwrap();
    // The patterns name no schema alone any more, a.t is left out for two days, and others are new.
    select(&mut fixture, &["?.*", "!a.t"]);
    fixture.extract_on(on("02"), 1, &[]).await.unwrap();
    fixture
        .execute("create table a.v (x int); create table b.w (x int)")
        .await;
    fixture.extract_on(on("03"), 1, &[]).await.unwrap();
    // Nor does a day that can't be read take a name.
    fixture.extract_on(on("04"), 1, &[]).await.unwrap();
    std::fs::write(fixture.lake.root().join("_manifests/postgres/2026-01-04.json"), "{").unwrap();
    select(&mut fixture, &["?.*"]);
    fixture.extract().await.unwrap();
    assert_eq!(names(&fixture), set(&["t", "u", "a__v", "b__w"]));
    // A name that the config gives comes first, on whichever day.
    let named = TableSettings {
        name: Some("tee".into()),
        ..TableSettings::default()
    };
    fixture.source.settings = vec![("a.t".parse().unwrap(), named)];
    fixture.extract().await.unwrap();
    assert_eq!(names(&fixture), set(&["tee", "u", "a__v", "b__w"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_table_takes_no_other_ones_name() {
    let mut fixture = Fixture::new("create schema a; create table a.t (x int)").await;
    select(&mut fixture, &["a.*"]);
    fixture.extract().await.unwrap();
    fixture.execute("create table public.t (y int)").await;
    select(&mut fixture, &["*.*"]);
    let error = chain(&fixture.extract().await.unwrap_err());
    assert!(
        error.starts_with("public.t can't be called t in the lake: a.t has this name")
            && error.ends_with("\n      public.t: {name: public__t}"),
        "{error}"
    );
    // The one that has it can be taken alone; its name means it, and the new one's is written as in SQL.
    fixture.extract_with(1, &["a.t"]).await.unwrap();
    assert_eq!(names(&fixture), set(&["t"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_one_name_are_refused_with_the_one_that_would_do_and_hide_no_other() {
    let mut fixture = Fixture::new(
        "create schema a; create schema a__b; create table a.b__c (x int); create table a__b.c (x int);
         create table \"a__b\".\"Odd.\"\"Name\" (x int); create table a.none ();",
    )
    .await;
    let error = chain(&fixture.extract().await.unwrap_err());
    assert!(
        error.contains("a.b__c can't be called a__b__c in the lake: a__b.c would have this name too")
            && error.ends_with("\n      a.b__c: {name: b__c}"),
        "{error}"
    );
    fixture.extract_with(2, &["a__b.\"Odd.\"\"Name\""]).await.unwrap();
    assert_eq!(names(&fixture), set(&["a__b__Odd.\"Name"]));

    let named = TableSettings {
        name: Some("other".into()),
        ..TableSettings::default()
    };
    fixture.source.settings = vec![
        ("*.*".parse().unwrap(), TableSettings::default()),
        ("a__b.c".parse().unwrap(), named),
    ];
    fixture.extract().await.unwrap();
    assert_eq!(
        names(&fixture),
        set(&["a__b__c", "other", "a__b__Odd.\"Name", "a__none"])
    );
}
