//! Tables of the target that are partitioned, or parts of others.

use crate::fixture::{Column, Fixture, Table, chain, monday, table, tuesday};

/// A rental shop: payments by month, each month with foreign keys of its own.
const RENTALS: &str = "\
    create table customer (id integer primary key); \
    create table rental (id integer primary key, customer integer references customer on delete restrict); \
    create table payment (id integer, month integer not null, customer integer, rental integer) partition by list (month); \
    create table payment_1 partition of payment (primary key (id), \
        foreign key (customer) references customer, foreign key (rental) references rental on delete set null) for values in (1); \
    create table payment_2 partition of payment (foreign key (rental) references rental on delete cascade) for values in (2); \
    alter table payment add foreign key (customer) references customer on delete restrict";

fn rentals(first: i32) -> [Table; 3] {
    [
        table("customer", [Column::int("id", [first])]),
        table(
            "payment",
            [
                Column::int("id", 1..=4),
                Column::int("month", [1, 1, 2, 2]),
                Column::int("customer", [first; 4]),
                Column::int("rental", [first, first + 1, first, first + 1]),
            ],
        ),
        table(
            "rental",
            [
                Column::int("id", [first, first + 1]),
                Column::int("customer", [first; 2]),
            ],
        ),
    ]
}

#[tokio::test]
async fn partitions_with_foreign_keys_of_their_own_belong_to_their_table() {
    let fixture = Fixture::new().await;
    fixture.execute(RENTALS).await;
    fixture.publish(monday(), rentals(1)).await;
    fixture.publish(tuesday(), rentals(10)).await;
    let keys = "select string_agg(pg_get_constraintdef(oid), ' ' order by oid) from pg_constraint where contype = 'f'";
    let before = fixture.query(keys).await;
    for (date, rows) in [(monday(), "1 1\n2 2\n3 1\n4 2"), (tuesday(), "1 10\n2 11\n3 10\n4 11")] {
        fixture.load(date).await.unwrap();
        fixture.load(date).await.unwrap();
        assert_eq!(
            fixture
                .query("select concat_ws(' ', id, rental) from payment order by id")
                .await,
            rows
        );
    }
    assert_eq!(fixture.query(keys).await, before);
}

#[tokio::test]
async fn foreign_keys_to_partitions_and_between_them() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table place (id integer primary key, above integer) partition by range (id); \
             create table place_low partition of place for values from (0) to (100) partition by list (id); \
             create table place_low_all partition of place_low default; \
             create table place_high partition of place for values from (100) to (200); \
             alter table place add foreign key (above) references place; \
             create table visit (place integer references place on delete cascade, low integer references place_low_all); \
             alter table place_high add constraint across foreign key (above) references place_low on delete cascade",
        )
        .await;
    let days = |high: i32| {
        [
            table(
                "place",
                [Column::int("id", [1, 2, high, 150]), Column::int("above", [1, 1, 1, 2])],
            ),
            table("visit", [Column::int("place", [1, high]), Column::int("low", [2, 1])]),
        ]
    };
    fixture.publish(monday(), days(101)).await;
    fixture.publish(tuesday(), days(102)).await;
    let places = "select concat_ws(' ', p.tableoid::regclass, id, above) from place p order by id";
    fixture.load(monday()).await.unwrap();
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(
        fixture.query(places).await,
        "place_low_all 1 1\nplace_low_all 2 1\nplace_high 102 1\nplace_high 150 2"
    );
    assert_eq!(
        fixture
            .query("select concat_ws(' ', place, low) from visit order by place")
            .await,
        "1 2\n102 1"
    );
    // A row of the user's own that refers to a partition stays, as long as its key does.
    fixture
        .execute("create table remark (place integer references place_high); insert into remark values (150)")
        .await;
    let text = chain(&fixture.load(monday()).await.unwrap_err());
    assert!(text.contains("across") && text.contains("delete rows there"), "{text}");
    fixture
        .execute(
            "alter table place_high drop constraint across, \
             add constraint across foreign key (above) references place_low",
        )
        .await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query("select place from remark").await, "150");
    fixture.execute("insert into remark values (101)").await;
    let text = chain(&fixture.load(tuesday()).await.unwrap_err());
    assert!(text.contains("remark_place_fkey"), "{text}");
}

#[tokio::test]
async fn a_partition_is_a_table_by_itself_or_a_part_of_its_root() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table event (id integer primary key) partition by range (id); \
             create table event_low partition of event for values from (0) to (100); \
             create table event_high partition of event for values from (100) to (200); \
             insert into event values (150); \
             create table note (event integer references event); insert into note values (150)",
        )
        .await;
    let low = |ids: [i32; 2]| table("event_low", [Column::int("id", ids)]);
    fixture.publish(monday(), [low([1, 2])]).await;
    fixture.load(monday()).await.unwrap();
    fixture.execute("insert into note values (2)").await;
    fixture.publish(tuesday(), [low([2, 3])]).await;
    fixture.load(tuesday()).await.unwrap();
    let ids = "select id from event order by 1";
    assert_eq!(fixture.query(ids).await, "2\n3\n150");

    let both = [low([2, 3]), table("event", [Column::int("id", [2, 3])])];
    fixture.publish(tuesday(), both).await;
    let text = fixture.load(tuesday()).await.unwrap_err().to_string();
    assert!(
        text.contains("public.event_low is a partition of public.event"),
        "{text}"
    );
    assert_eq!(fixture.query(ids).await, "2\n3\n150");
}
