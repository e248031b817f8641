//! Columns that have another name in the lake than in their source.

use lake_loader::SchemaRule;

use crate::fixture::{Column, Fixture, monday, table, tuesday};

const COLUMNS: &str = "select string_agg(attname, ' ' order by attnum) from pg_attribute \
    where attrelid = 't'::regclass and attnum > 0 and not attisdropped";

/// Days of a table whose price has another name in the lake, mirrored.
async fn mirrored() -> Fixture {
    let mut fixture = Fixture::new().await;
    fixture.target.schema = SchemaRule::PerSource;
    for (day, price) in [(monday(), 10), (tuesday(), 20)] {
        let columns = [
            Column::int("id", [1]),
            Column::int("price", [price]).in_source("Unit Price").not_null(),
        ];
        fixture.publish(day, [table("t", columns).called("public", "t")]).await;
    }
    fixture
}

/// Loads both days, and returns the rows as they are then.
async fn load(fixture: &Fixture) -> String {
    for day in [monday(), tuesday()] {
        fixture.load(day).await.unwrap();
        let request = fixture.request(day);
        let report = lake_loader::verify(&fixture.lake, &fixture.target, &request)
            .await
            .unwrap();
        assert_eq!(report.tables[0].mismatch, None);
        assert!(report.tables[0].own_columns.is_empty());
    }
    fixture.query("select row(t.*) from t").await
}

#[tokio::test]
async fn a_column_that_the_target_has_as_the_source_is_filled() {
    let fixture = mirrored().await;
    fixture
        .execute("create table t (id integer, \"Unit Price\" integer not null default 0)")
        .await;
    assert_eq!(load(&fixture).await, "(1,20)");
    assert_eq!(fixture.query(COLUMNS).await, "id Unit Price");
}

#[tokio::test]
async fn a_target_with_the_names_of_the_lake_keeps_them() {
    let fixture = mirrored().await;
    assert_eq!(load(&fixture).await, "(1,20)");
    assert_eq!(fixture.query(COLUMNS).await, "id price");

    let fixture = mirrored().await;
    fixture.execute("create table t (id integer, price integer)").await;
    assert_eq!(load(&fixture).await, "(1,20)");
    assert_eq!(fixture.query(COLUMNS).await, "id price");
    // And goes on to fill them.
    fixture
        .execute("alter table t add column \"Unit Price\" integer default 7")
        .await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query("select row(t.*) from t").await, "(1,10,7)");
    let report = lake_loader::verify(&fixture.lake, &fixture.target, &fixture.request(monday()))
        .await
        .unwrap();
    assert_eq!(report.tables[0].own_columns, ["Unit Price"]);
}

#[tokio::test]
async fn names_that_change_places_are_told_apart() {
    let mut fixture = Fixture::new().await;
    fixture.target.schema = SchemaRule::PerSource;
    let exchanged = || {
        [
            Column::int("b", [1]).in_source("a"),
            Column::int("a", [2]).in_source("b"),
        ]
    };
    let moved = || {
        [
            Column::int("b", [1]).in_source("a"),
            Column::int("c", [2]).in_source("b"),
        ]
    };
    let tables = [
        table("t", exchanged()).called("public", "t"),
        table("u", moved()).called("public", "u"),
    ];
    fixture.publish(monday(), tables).await;
    fixture
        .execute("create table t (a integer, b integer); create table u (b integer, c integer)")
        .await;
    for _ in 0..2 {
        fixture.load(monday()).await.unwrap();
        assert_eq!(fixture.query("select row(a, b) from t").await, "(1,2)");
        assert_eq!(fixture.query("select row(u.*) from u").await, "(1,2)");
    }
}
