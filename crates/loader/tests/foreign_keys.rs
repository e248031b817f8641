//! Foreign keys that users have put on the target's tables.

use crate::fixture::{Column, Fixture, Table, chain, monday, table, tuesday};

fn shop(first: i32) -> [Table; 3] {
    [
        // In the order of their names, each before the one that it refers to.
        table("a_details", [Column::int("order_id", [first, first + 1])]),
        table(
            "b_orders",
            [
                Column::int("id", [first, first + 1]).key(1),
                Column::int("customer", [first; 2]),
            ],
        ),
        table("c_customers", [Column::int("id", [first]).key(1)]),
    ]
}

#[tokio::test]
async fn loaded_tables_that_refer_to_each_other_are_replaced_in_order() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), shop(1)).await;
    fixture.publish(tuesday(), shop(10)).await;
    fixture.load(monday()).await.unwrap();
    fixture
        .execute(
            "alter table a_details add foreign key (order_id) references b_orders; \
             alter table b_orders add foreign key (customer) references c_customers on delete cascade",
        )
        .await;
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(
        fixture.query("select order_id from a_details order by 1").await,
        "10\n11"
    );
    assert_eq!(fixture.query("select id from c_customers").await, "10");
}

#[tokio::test]
async fn a_table_of_the_users_own_may_refer_to_rows_that_stay() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), shop(1)).await;
    fixture.publish(tuesday(), shop(2)).await;
    fixture.load(monday()).await.unwrap();
    fixture
        .execute(
            "alter table b_orders add foreign key (customer) references c_customers; \
             create table remarks (order_id integer references b_orders); insert into remarks values (2)",
        )
        .await;
    // Order 2 is there on both days; customer 1, which Monday's orders refer to, is not.
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(fixture.query("select id from b_orders order by 1").await, "2\n3");

    let error = fixture
        .load(monday())
        .await
        .map(|_| fixture.execute("delete from remarks"));
    assert!(error.is_ok(), "order 2 is there on both days");
    fixture.execute("insert into remarks values (1)").await;
    let error = fixture.load(tuesday()).await.unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("public.b_orders") && text.contains("remarks_order_id_fkey"),
        "{text}"
    );
    assert_eq!(fixture.query("select id from b_orders order by 1").await, "1\n2");
    assert_eq!(fixture.leftovers().await, "");

    // Checked at the commit, when all is in place, it allows cascades among the tables of the load.
    fixture
        .execute(
            "delete from remarks where order_id = 1; \
             alter table remarks drop constraint remarks_order_id_fkey, \
                 add foreign key (order_id) references b_orders deferrable; \
             alter table b_orders drop constraint b_orders_customer_fkey, \
                 add foreign key (customer) references c_customers on delete cascade",
        )
        .await;
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(fixture.query("select id from b_orders order by 1").await, "2\n3");
    assert_eq!(fixture.query("select order_id from remarks").await, "2");
}

#[tokio::test]
async fn a_cascade_to_a_table_of_the_users_own_is_refused() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), shop(1)).await;
    fixture.load(monday()).await.unwrap();
    fixture
        .execute(
            "create table remarks (order_id integer references b_orders on delete cascade); \
             insert into remarks values (2)",
        )
        .await;
    let error = fixture.load(monday()).await.unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("public.remarks") && text.contains("delete rows there"),
        "{text}"
    );
    assert_eq!(fixture.query("select order_id from remarks").await, "2");
}

#[tokio::test]
async fn circles_are_replaced_in_one_statement() {
    let pair = |first: i32| {
        let ids = || [first, first + 1];
        [
            table("egg", [Column::int("id", ids()).key(1), Column::int("hen", ids())]),
            table("hen", [Column::int("id", ids()).key(1), Column::int("egg", ids())]),
        ]
    };
    let fixture = Fixture::new().await;
    fixture.publish(monday(), pair(1)).await;
    fixture.publish(tuesday(), pair(2)).await;
    fixture.load(monday()).await.unwrap();
    fixture
        .execute(
            "alter table egg add foreign key (hen) references hen on delete cascade; \
             alter table hen add foreign key (egg) references egg",
        )
        .await;
    fixture.load(tuesday()).await.unwrap();
    let ids = "select e.id || ' ' || h.id from egg e join hen h on h.id = e.hen order by 1";
    assert_eq!(fixture.query(ids).await, "2 2\n3 3");

    // Where others refer to it, the deletion that cascades would take new rows with it.
    fixture
        .execute("create table nests (hen integer references hen); insert into nests values (2)")
        .await;
    let text = chain(&fixture.load(monday()).await.unwrap_err());
    assert!(
        text.contains("egg_hen_fkey") && text.contains("delete rows there"),
        "{text}"
    );
    assert_eq!(fixture.query(ids).await, "2 2\n3 3");
    fixture
        .execute("alter table egg drop constraint egg_hen_fkey, add foreign key (hen) references hen")
        .await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query(ids).await, "1 1\n2 2");
}

#[tokio::test]
async fn a_table_that_refers_to_itself_keeps_its_rows() {
    let tree = |first: i32| {
        [table(
            "tree",
            [Column::int("id", [first, 5]).key(1), Column::int("parent", [5, 5])],
        )]
    };
    let fixture = Fixture::new().await;
    fixture.publish(monday(), tree(1)).await;
    fixture.publish(tuesday(), tree(2)).await;
    fixture.load(monday()).await.unwrap();
    let ids = "select id from tree order by 1";
    for action in ["no action", "cascade"] {
        fixture
            .execute(&format!(
                "alter table tree drop constraint if exists self, \
                 add constraint self foreign key (parent) references tree on delete {action}"
            ))
            .await;
        fixture.load(tuesday()).await.unwrap();
        assert_eq!(fixture.query(ids).await, "2\n5", "{action}");
        fixture.load(monday()).await.unwrap();
    }
    fixture
        .execute("create table leaves (tree integer references tree); insert into leaves values (5)")
        .await;
    let text = chain(&fixture.load(tuesday()).await.unwrap_err());
    assert!(text.contains("self") && text.contains("delete rows there"), "{text}");
    assert_eq!(fixture.query(ids).await, "1\n5");
}
