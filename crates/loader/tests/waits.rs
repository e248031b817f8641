//! Others who have the target's tables, or rows of them, in hand: waited for with a word, and not without end.

use crate::fixture::{Column, Fixture, chain, connect, monday, table, tuesday};

#[tokio::test]
async fn a_wait_for_a_table_or_a_row_ends_and_names_who_is_in_the_way() {
    let mut fixture = Fixture::new().await;
    for (date, id) in [(monday(), 1), (tuesday(), 2)] {
        fixture
            .publish(date, [table("orders", [Column::int("id", [id]).key(1)])])
            .await;
    }
    fixture.load(monday()).await.unwrap();
    let other = connect(&fixture.target.url).await;
    let pid: i32 = other.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    fixture.target.timeouts.lock = "400ms".parse().unwrap();
    for (held, action) in [
        ("lock table orders", "cannot lock the target's tables"),
        (
            "update orders set id = 1",
            "cannot finish the deletion of the old rows in public.orders",
        ),
    ] {
        other.batch_execute(&format!("begin; {held}")).await.unwrap();
        let error = chain(&fixture.load(tuesday()).await.unwrap_err());
        let waited = format!("{action}: it has waited 400 ms (`lock_timeout` in the config) for a lock: ");
        let holder = format!("is locked by process {pid} (postgres, idle in transaction: begin; {held})");
        for part in [waited, holder, format!("`select pg_terminate_backend({pid})`")] {
            assert!(error.contains(&part), "{part} in {error}");
        }
        other.batch_execute("commit").await.unwrap();
        assert_eq!(fixture.query("select id from orders").await, "1");
    }
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(fixture.query("select id from orders").await, "2");
}
