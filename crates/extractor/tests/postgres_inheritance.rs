//! Tables that inherit from others: each row once, with the nearest table that is selected.

use std::collections::BTreeMap;

use arrow::array::AsArray as _;
use arrow::datatypes::Int32Type;
use lake_postgres::{METADATA_NOT_NULL, METADATA_PRIMARY_KEY};

use crate::{Fixture, day};

type Rows = &'static [(&'static str, &'static [i32])];

/// The values of `x` in each table of the day.
fn values(fixture: &Fixture) -> BTreeMap<String, Vec<i32>> {
    let manifest = fixture.lake.manifest("postgres", day()).unwrap().unwrap();
    let of_table = |name: &String| {
        let batch = fixture.table(name);
        let column = batch.column_by_name("x").unwrap().as_primitive::<Int32Type>();
        let mut values: Vec<i32> = column.values().to_vec();
        values.sort();
        values
    };
    manifest
        .tables
        .keys()
        .map(|name| (name.clone(), of_table(name)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_comes_with_the_rows_of_heirs_that_are_no_tables_of_their_own() {
    // a ← b ← d, a ← c ← d: d has two parents, and additional columns; elsewhere.e is far away.
    let mut fixture = Fixture::new(
        "create schema elsewhere;
         create table a (x int primary key, y text not null);
         create table b (more int) inherits (a); create table c (y text, x int) inherits (a);
         create table d (extra text) inherits (b, c); create table elsewhere.e () inherits (d);
         create table p (x int) partition by list (x); create table p1 partition of p default;
         create table lone (x int);
         insert into a values (1, 'a'); insert into b values (2, 'b', 2), (20, 'b', 2); insert into c values (3, 'c');
         insert into d values (4, 'd', 4, 'extra'), (1, 'same', 4, 'key'); insert into elsewhere.e values (5, 'e', 5, 'e');
         insert into p values (6); insert into lone values (7)",
    )
    .await;
    let cases: [(&[&str], Rows); 6] = [
        (&["a"], &[("a", &[1, 1, 2, 3, 4, 5, 20])]),
        (&["a", "b"], &[("a", &[1, 3]), ("b", &[1, 2, 4, 5, 20])]),
        (&["a", "d"], &[("a", &[1, 2, 3, 20]), ("d", &[1, 4, 5])]),
        // `!` means the table, not its rows in another.
        (&["?", "!b", "!c", "!p"], &[("a", &[1, 2, 3, 20]), ("d", &[1, 4, 5])]),
        (&["c"], &[("c", &[1, 3, 4, 5])]),
        (&["p", "lone"], &[("p", &[6]), ("lone", &[7])]),
    ];
    for (patterns, wanted) in cases {
        fixture.source.tables = patterns.iter().map(|p| p.parse().unwrap()).collect();
        fixture.extract().await.unwrap();
        let wanted = wanted.iter().map(|(name, values)| (name.to_string(), values.to_vec()));
        assert_eq!(values(&fixture), wanted.collect(), "{patterns:?}");
    }
    // All are selected, so each has its own; taken alone too.
    fixture.source.tables.clear();
    for tables in [&[][..], &["a"]] {
        fixture.extract_with(2, tables).await.unwrap();
        let all = values(&fixture);
        assert_eq!((&all["a"], &all["c"], &all["d"]), (&vec![1], &vec![3], &vec![1, 4]));
        assert_eq!(all["elsewhere__e"], [5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_for_the_parent_alone_is_not_said_of_all_rows() {
    let mut fixture = Fixture::new(
        "create table a (x int primary key); create table b () inherits (a);
         insert into a values (1); insert into b values (1)",
    )
    .await;
    for (pattern, constrained) in [("?", true), ("a", false)] {
        fixture.source.tables = vec![pattern.parse().unwrap()];
        fixture.extract().await.unwrap();
        let manifest = fixture.lake.manifest("postgres", day()).unwrap().unwrap();
        let schema = manifest.tables["a"].arrow_schema("a").unwrap();
        let metadata = schema.field(0).metadata();
        for key in [METADATA_PRIMARY_KEY, METADATA_NOT_NULL] {
            assert_eq!(metadata.contains_key(key), constrained, "{pattern} {key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_several_heaps_are_all_their_rows() {
    let mut fixture = Fixture::new(
        "create table a (x int, filler text); alter table a alter filler set storage plain;
         create table b () inherits (a); create table c () inherits (b); create table d () inherits (a);
         insert into a select i, repeat('x', 7000) from generate_series(1, 2000) i;
         insert into b select i, repeat('x', 7000) from generate_series(2001, 9000) i;
         insert into c select i, repeat('x', 7000) from generate_series(9001, 12000) i;
         insert into d select i, repeat('x', 7000) from generate_series(12001, 12010) i",
    )
    .await;
    for (patterns, last) in [(&["a"][..], 12_010), (&["a", "d"], 12_000)] {
        fixture.source.tables = patterns.iter().map(|p| p.parse().unwrap()).collect();
        fixture.extract().await.unwrap();
        assert_eq!(values(&fixture)["a"], (1..=last).collect::<Vec<i32>>());
        let manifest = fixture.lake.manifest("postgres", day()).unwrap().unwrap();
        assert!(
            manifest.tables["a"].files.len() > 1,
            "the table was not cut into pieces"
        );
    }
}
