//! A target that is one of the sources.

use lake_loader::{Error, LoadReport, Origin};
use lake_sandbox::PostgresServer;

use crate::fixture::{Column, Fixture, chain, monday, table};

/// A load of `public.orders` with the source at `url`.
async fn load(fixture: &Fixture, url: Result<String, String>) -> Result<LoadReport, Error> {
    let orders = table("orders", [Column::int("id", [1])]).called("public", "orders");
    fixture.publish(monday(), [orders]).await;
    let mut request = fixture.request(monday());
    request.origins.push(Origin {
        source: "shop".into(),
        url,
        timeouts: fixture.target.timeouts,
    });
    lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {}).await
}

#[tokio::test]
async fn the_sources_own_rows_are_not_replaced() {
    let mut fixture = Fixture::new().await;
    let url = fixture.target.url.clone();
    fixture
        .execute("create table orders (id int); insert into orders values (1), (2)")
        .await;
    // By another name, and with another role's password for the same address.
    let other_name = url.replace("127.0.0.1", "localhost");
    assert_ne!(other_name, url);
    let unknown_role = url.replacen("postgres@", "nobody_at_all@", 1);
    assert_ne!(unknown_role, url);
    for rule in ["public", "{schema}"] {
        fixture.target.schema = rule.parse().unwrap();
        for url in [&url, &other_name, &unknown_role] {
            let error = load(&fixture, Ok(url.clone())).await.unwrap_err();
            assert!(
                matches!(&error, Error::TargetIsSource { schema, .. } if schema == "public"),
                "{}",
                chain(&error)
            );
        }
    }
    assert_eq!(fixture.query("select id from orders").await, "1\n2");
}

#[tokio::test]
async fn another_schema_another_database_and_a_source_that_is_off_are_loaded_into() {
    let mut fixture = Fixture::new().await;
    let own = fixture.target.url.clone();
    let other = PostgresServer::shared().unwrap().fresh_database().await.unwrap();
    let off = "postgres://u@127.0.0.1:1/shop".to_owned();
    for url in [Ok(other), Ok(off), Err("no variable".into())] {
        load(&fixture, url).await.unwrap();
    }
    fixture.target.schema = "analytics".parse().unwrap();
    load(&fixture, Ok(own)).await.unwrap();
    assert_eq!(fixture.query("select id from analytics.orders").await, "1");
}
