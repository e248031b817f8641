//! What users have made on the target's tables stays.

use crate::fixture::{Column, Fixture, monday, table, tuesday};

#[tokio::test]
async fn what_users_made_survives_a_reload() {
    let fixture = Fixture::new().await;
    let orders = |note| {
        table(
            "orders",
            [Column::int("id", 1..=3).key(1), Column::text("note", [note; 3])],
        )
    };
    fixture.publish(monday(), [orders("monday")]).await;
    fixture.publish(tuesday(), [orders("tuesday")]).await;
    fixture.load(monday()).await.unwrap();
    let reader = format!("reader_{}", fixture.database);
    fixture
        .execute(&format!(
            "create role {reader}; grant select on orders to {reader}; \
             comment on table orders is 'ours'; comment on column orders.note is 'a note'; \
             create index on orders (note); create view notes as select note, count(*) from orders group by 1; \
             create materialized view kept as select * from orders; \
             alter table orders enable row level security; create policy all_rows on orders using (id > 1); \
             alter table orders add column seen boolean default false, add column remark text; \
             alter table orders add column twice integer generated always as (id * 2) stored"
        ))
        .await;
    let state = "select concat_ws(' ', oid, relacl, obj_description(oid), col_description(oid, 2), relrowsecurity, \
                 (select array_agg(indexname order by 1) from pg_indexes where tablename = 'orders'), \
                 (select array_agg(polname) from pg_policy where polrelid = c.oid)) \
                 from pg_class c where relname = 'orders'";
    let before = fixture.query(state).await;

    fixture.load(tuesday()).await.unwrap();

    assert_eq!(fixture.query(state).await, before);
    assert_eq!(fixture.query("select note || count from notes").await, "tuesday3");
    let rows = "select concat_ws(' ', id, note, seen, coalesce(remark, '-'), twice) from orders order by 1";
    assert_eq!(
        fixture.query(rows).await,
        "1 tuesday f - 2\n2 tuesday f - 4\n3 tuesday f - 6"
    );
    fixture.execute(&format!("set role {reader}")).await;
    assert_eq!(fixture.query("select id from orders order by 1").await, "2\n3");
}

#[tokio::test]
async fn generated_and_identity_columns_of_the_target_take_what_they_may() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table orders (total integer generated always as (id * 10) stored, \
                 id integer generated always as identity, line serial, price numeric(10,2), more text)",
        )
        .await;
    let price = arrow::array::Decimal128Array::from(vec![123, 456])
        .with_precision_and_scale(10, 2)
        .unwrap();
    let orders = table(
        "orders",
        [
            Column::int("id", [7, 8]),
            Column::new("price", price).of("numeric(10,2)"),
            Column::int("line", [40, 41]),
            Column::int("total", [1, 2]),
        ],
    );
    fixture.publish(monday(), [orders]).await;
    fixture.load(monday()).await.unwrap();
    fixture.execute("insert into orders (price) values (9)").await;
    assert_eq!(
        fixture
            .query("select concat_ws(' ', id, line, price, total) from orders order by id")
            .await,
        "7 40 1.23 70\n8 41 4.56 80\n9 42 9.00 90"
    );
}

#[tokio::test]
async fn partitioned_and_inherited_tables_keep_their_kin() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table events (id integer) partition by range (id); \
             create table events_low partition of events for values from (0) to (100); \
             create table events_high partition of events for values from (100) to (200); \
             create table parent (id integer); create table child (mine text) inherits (parent); \
             insert into events values (1), (101); insert into child values (5, 'keep')",
        )
        .await;
    let tables = [
        table("events", [Column::int("id", [2, 102, 103])]),
        table("parent", [Column::int("id", [1])]),
    ];
    fixture.publish(monday(), tables).await;
    fixture.take_over(monday()).await.unwrap();
    fixture.load(monday()).await.unwrap();
    let counts = "select concat_ws(' ', (select count(*) from events_low), (select count(*) from events_high))";
    assert_eq!(fixture.query(counts).await, "1 2");
    assert_eq!(fixture.query("select id from parent order by 1").await, "1\n5");
    assert_eq!(fixture.query("select mine from child").await, "keep");
}
