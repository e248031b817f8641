//! Foreign keys of the target that have no index on their referencing columns.

use crate::fixture::{Column, Fixture, Table, monday, table, tuesday};

const ROWS: i32 = 6_000;

/// Customers with orders, the orders' details, and employees with a boss.
const SHOP: &str = "\
    create table customers (region int, id int, primary key (region, id), name text); \
    create table orders (id int primary key, region int, customer int, note text, \
        foreign key (customer, region) references customers (id, region)); \
    create table details (\"order\" int references orders on delete cascade, line int, note text); \
    create table employees (id int primary key, boss int references employees deferrable initially deferred, note text);";

fn shop(first: i32) -> [Table; 4] {
    let ids = first..first + ROWS;
    let note = || Column::text("note", (0..ROWS).map(|_| "as it is"));
    [
        table(
            "customers",
            [
                Column::int("region", (0..ROWS).map(|_| 1)),
                Column::int("id", ids.clone()),
                Column::text("name", (0..ROWS).map(|_| "somebody")),
            ],
        ),
        table(
            "orders",
            [
                Column::int("id", ids.clone()),
                Column::int("region", (0..ROWS).map(|_| 1)),
                Column::int("customer", ids.clone()),
                note(),
            ],
        ),
        table(
            "details",
            [
                Column::int("order", ids.clone()),
                Column::int("line", ids.clone()),
                note(),
            ],
        ),
        table(
            "employees",
            [
                Column::int("id", ids.clone()),
                Column::int("boss", ids.map(|id| (id - 1).max(first))),
                note(),
            ],
        ),
    ]
}

/// How often the server has read all of a table.
async fn scans(fixture: &Fixture, tables: &str) -> i64 {
    // The server's sessions report what they did as they end.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let scans = format!("select sum(seq_scan) from pg_stat_user_tables where relname similar to '{tables}'");
    fixture.query(&scans).await.parse().unwrap()
}

async fn indexes(fixture: &Fixture) -> String {
    let indexes = "select indexdef from pg_indexes where schemaname = 'public' and indexdef !~ 'UNIQUE' order by 1";
    fixture.query(indexes).await
}

#[tokio::test]
async fn no_row_is_looked_for_in_all_of_a_table() {
    let fixture = Fixture::new().await;
    fixture.execute(SHOP).await;
    fixture.publish(monday(), shop(1)).await;
    fixture.publish(tuesday(), shop(ROWS)).await;
    fixture.load(monday()).await.unwrap();
    let before = scans(&fixture, "customers|orders|details|employees").await;
    for date in [monday(), tuesday()] {
        fixture.load(date).await.unwrap();
    }
    let after = scans(&fixture, "customers|orders|details|employees").await;
    assert!(after - before < 60, "{before} {after}");
    assert_eq!(
        indexes(&fixture).await,
        "CREATE INDEX details_order_idx ON public.details USING btree (\"order\")\n\
         CREATE INDEX employees_boss_idx ON public.employees USING btree (boss)\n\
         CREATE INDEX orders_customer_region_idx ON public.orders USING btree (customer, region)"
    );
}

#[tokio::test]
async fn partitions_get_their_own() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table place (id int primary key, note text) partition by range (id); \
             create table place_1 partition of place for values from (0) to (3000); \
             create table place_2 partition of place default; \
             create table visit (id int, place int references place) partition by range (id); \
             create table visit_1 partition of visit for values from (0) to (3000); \
             create schema apart; create table apart.visit_2 partition of visit default; \
             create table remark (place int references place_2)",
        )
        .await;
    let day = || {
        [
            table(
                "place",
                [
                    Column::int("id", 0..ROWS),
                    Column::text("note", (0..ROWS).map(|_| "as it is")),
                ],
            ),
            table("visit", [Column::int("id", 0..ROWS), Column::int("place", 0..ROWS)]),
            table("remark", [Column::int("place", 3000..ROWS)]),
        ]
    };
    fixture.publish(monday(), day()).await;
    fixture.publish(tuesday(), day()).await;
    fixture.load(monday()).await.unwrap();
    let before = scans(&fixture, "(place|visit|remark)%").await;
    fixture.load(tuesday()).await.unwrap();
    let after = scans(&fixture, "(place|visit|remark)%").await;
    assert!(after - before < 60, "{before} {after}");
    assert_eq!(
        fixture
            .query("select indexname from pg_indexes where indexdef !~ 'UNIQUE' order by 1")
            .await
            .lines()
            .filter(|name| name.contains("place"))
            .collect::<Vec<_>>(),
        ["remark_place_idx", "visit_1_place_idx", "visit_2_place_idx"]
    );
}

#[tokio::test]
async fn what_an_index_serves_or_is_small_gets_none() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table customers (region int, id int, primary key (region, id), name text); \
             create table orders (id int primary key, region int, customer int, note text, \
                foreign key (customer, region) references customers (id, region)); \
             create index mine on orders (region, customer, id); \
             create table details (\"order\" int references orders, line int, note text); \
             create index mine_too on details using hash (\"order\"); \
             create table employees (id int primary key, boss int references employees, note text)",
        )
        .await;
    let [customers, orders, details, _] = shop(1);
    let few = table(
        "employees",
        [
            Column::int("id", [1, 2]),
            Column::int("boss", [1, 1]),
            Column::text("note", ["a", "b"]),
        ],
    );
    fixture.publish(monday(), [customers, orders, details, few]).await;
    for _ in 0..2 {
        fixture.load(monday()).await.unwrap();
    }
    assert_eq!(
        indexes(&fixture).await,
        "CREATE INDEX mine ON public.orders USING btree (region, customer, id)\n\
         CREATE INDEX mine_too ON public.details USING hash (\"order\")"
    );
}
