//! How SQL's names lead to tables.

use lake_query::{Engine, Scope, Settings};
use lake_storage::Lake;

use crate::support::{DAY_1, TestLake, day, error, ints, rows, table, texts};

#[tokio::test]
async fn names_that_folders_encode_are_read() {
    let lake = TestLake::new();
    let names = ["Order Details", "naïve", "a/b", "100%", "a.b", "ORDERS"];
    let tables = names
        .iter()
        .enumerate()
        .map(|(i, name)| table(name, vec![("Id", ints([i as i64]))]));
    lake.day("My Source", DAY_1, tables.collect()).await;
    for (i, name) in names.iter().enumerate() {
        let plain = lake.on(DAY_1, &format!(r#"select "Id" from "{name}""#)).await;
        let qualified = lake.all(&format!(r#"select "Id" from "My Source"."{name}""#)).await;
        assert_eq!((plain, qualified), (format!("{i}\n"), format!("{i}\n")), "{name}");
    }
    // Unquoted names are in small letters, as in Postgres.
    let message = error(&lake.engine(day(DAY_1)), "select * from \"My Source\".ORDERS").await;
    assert!(message.contains(r#"the lake has "My Source"."ORDERS""#), "{message}");
}

#[tokio::test]
async fn a_folder_with_percent_signs_is_read_as_it_is_called() {
    let lake = TestLake::new();
    lake.day("postgres", DAY_1, vec![table("Orders", vec![("id", ints([7]))])])
        .await;
    let moved = lake.folder.path().join("%41 %2f 100%25");
    std::fs::rename(lake.lake.root(), &moved).unwrap();
    let moved = Lake::at(&moved).unwrap();
    let engine = Engine::new(&moved, day(DAY_1), &[], &Settings::default()).unwrap();
    assert_eq!(rows(&engine, "select id from \"Orders\" where id > 1").await, "7\n");
}

#[tokio::test]
async fn a_plain_name_is_of_the_one_source_that_has_it() {
    let lake = TestLake::new();
    lake.day(
        "postgres",
        DAY_1,
        vec![
            table("orders", vec![("id", ints([1]))]),
            table("both", vec![("id", ints([2]))]),
        ],
    )
    .await;
    lake.day(
        "csv",
        DAY_1,
        vec![
            table("rates", vec![("id", ints([3]))]),
            table("both", vec![("id", ints([4]))]),
        ],
    )
    .await;
    for scope in [day(DAY_1), Scope::AllDays] {
        let engine = lake.engine(scope);
        let sql = "select o.id, r.id from orders o cross join rates r";
        assert_eq!(rows(&engine, sql).await, "1,3\n");
        assert_eq!(rows(&engine, "select id from csv.both").await, "4\n");
        let message = error(&engine, "select * from both").await;
        assert_eq!(
            message,
            "several sources have a table both: write csv.both or postgres.both"
        );
    }
}

#[tokio::test]
async fn a_name_keeps_its_meaning_while_a_day_is_missing() {
    let lake = TestLake::new();
    for source in ["postgres", "csv"] {
        lake.day(source, DAY_1, vec![table("orders", vec![("id", ints([1]))])])
            .await;
    }
    lake.day("csv", "2026-01-02", vec![table("orders", vec![("id", ints([2]))])])
        .await;
    let message = error(&lake.engine(day("2026-01-02")), "select * from orders").await;
    assert!(message.contains("several sources"), "{message}");
    // A source that is no longer configured does not hold the name back.
    let engine = lake.engine_of(day("2026-01-02"), &["csv"], 1);
    assert_eq!(rows(&engine, "select id from orders").await, "2\n");
}

#[tokio::test]
async fn results_come_after_sources() {
    let lake = TestLake::new();
    lake.day("postgres", DAY_1, vec![table("orders", vec![("id", ints([1]))])])
        .await;
    let results = vec![
        table("orders", vec![("id", ints([8]))]),
        table("totals", vec![("id", ints([9]))]),
    ];
    lake.day("results", DAY_1, results).await;
    let sql = "select o.id, t.id, r.id from orders o, totals t, results.orders r";
    assert_eq!(lake.on(DAY_1, sql).await, "1,9,8\n");
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_is() {
    let lake = TestLake::new();
    let message = error(&lake.engine(Scope::AllDays), "select * from orders").await;
    assert_eq!(
        message,
        "there is no table orders: no day is complete yet: run `lake extract`"
    );
    let orders = table("orders", vec![("order_id", ints([1])), ("customer", texts(["a"]))]);
    lake.day(
        "postgres",
        DAY_1,
        vec![orders, table("customers", vec![("id", ints([]))])],
    )
    .await;
    lake.day("csv", DAY_1, vec![table("rates", vec![("id", ints([]))])])
        .await;

    let engine = lake.engine(day(DAY_1));
    let message = error(&engine, "select * from ordesr").await;
    assert!(
        message.starts_with("there is no table ordesr: the lake has postgres.orders"),
        "{message}"
    );
    let message = error(&engine, "select * from postgers.orders").await;
    assert_eq!(
        message,
        "there is no table postgers.orders: the sources are csv, postgres"
    );
    let message = error(&engine, "select 1,\n  orderid from orders").await;
    assert!(
        message.starts_with("there is no column orderid at line 2, column 3: there is orders.order_id"),
        "{message}"
    );
    let message = error(&engine, "select o.nope from orders o where o.customer = 'a'").await;
    assert!(
        message.starts_with("there is no column o.nope at line 1, column 8"),
        "{message}"
    );
}

#[tokio::test]
async fn tables_are_listed_and_described() {
    let lake = TestLake::new();
    lake.day(
        "postgres",
        DAY_1,
        vec![table("orders", vec![("id", ints([1, 2])), ("note", texts(["", ""]))])],
    )
    .await;
    let listed = lake.engine(Scope::AllDays).tables().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].schema.as_str(), listed[0].name.as_str(), listed[0].rows),
        ("postgres", "orders", 2)
    );
    assert_eq!(listed[0].columns, ["id", "note", "extract_date"]);

    let shown = lake.all("show tables").await;
    assert!(shown.contains("lake,postgres,orders,BASE TABLE\n"), "{shown}");
    assert!(shown.contains("lake,lake,runs,BASE TABLE\n"), "{shown}");
    let described = lake.on(DAY_1, "describe orders").await;
    assert_eq!(described, "id,Int64,YES\nnote,Utf8,YES\n");
    let columns = "select column_name from information_schema.columns where table_name = 'orders' order by 1";
    assert_eq!(lake.all(columns).await, "extract_date\nid\nnote\n");
    let shown = lake.on(DAY_1, "show columns from postgres.orders").await;
    assert_eq!(shown.lines().count(), 2, "{shown}");
}
