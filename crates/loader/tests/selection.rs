//! Which tables a load takes, and what it asks for first.

use lake_loader::{Error, LoadReport, LoadRequest};
use lake_storage::{Coverage, RESULTS};

use crate::fixture::{Column, Fixture, Table, monday, table};

fn one(name: &str) -> Table {
    table(name, [Column::int("id", [1])])
}

fn request(fixture: &Fixture, tables: &[&str]) -> LoadRequest {
    let mut request = fixture.request(monday());
    request.sources = vec!["csv".into(), "shop".into()];
    request.queries = vec!["sums".into(), "tops".into()];
    request.tables = tables.iter().map(ToString::to_string).collect();
    request
}

async fn load(fixture: &Fixture, tables: &[&str]) -> Result<LoadReport, Error> {
    lake_loader::load(&fixture.lake, &fixture.target, &request(fixture, tables), |_| {}).await
}

fn missing(error: Error) -> Vec<String> {
    match error {
        Error::Storage(lake_storage::Error::Prerequisite { missing }) => missing.iter().map(|m| m.command()).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn all_missing_steps_are_named_at_once() {
    let fixture = Fixture::new().await;
    fixture
        .publish_to(RESULTS, monday(), [one("tops")], Coverage::Some)
        .await;
    assert_eq!(
        missing(load(&fixture, &[]).await.unwrap_err()),
        [
            "lake extract --date 2021-01-04 --source csv",
            "lake extract --date 2021-01-04 --source shop",
            "lake transform --date 2021-01-04 --query sums",
        ]
    );
    // A part of a source is not the source.
    fixture
        .publish_to("shop", monday(), [one("orders")], Coverage::Some)
        .await;
    fixture
        .publish_to("csv", monday(), [one("prices")], Coverage::Whole)
        .await;
    assert_eq!(missing(load(&fixture, &[]).await.unwrap_err()).len(), 2);
}

#[tokio::test]
async fn a_single_table_needs_no_other() {
    let fixture = Fixture::new().await;
    fixture
        .publish_to("shop", monday(), [one("orders")], Coverage::Some)
        .await;
    let report = load(&fixture, &["orders"]).await.unwrap();
    assert_eq!(report.tables.len(), 1);
    assert_eq!(
        load(&fixture, &["shop.orders", "orders"]).await.unwrap().tables.len(),
        1
    );
    assert_eq!(
        missing(load(&fixture, &["csv.prices", "orders"]).await.unwrap_err()),
        ["lake extract --date 2021-01-04 --source csv"]
    );
    assert_eq!(
        missing(load(&fixture, &["sums"]).await.unwrap_err()),
        ["lake transform --date 2021-01-04 --query sums"]
    );
    fixture
        .publish_to(RESULTS, monday(), [one("sums")], Coverage::Some)
        .await;
    let report = load(&fixture, &["sums"]).await.unwrap();
    assert_eq!(report.tables[0].source, "results");
    assert_eq!(report.inputs.keys().collect::<Vec<_>>(), ["results"]);
}

#[tokio::test]
async fn a_name_that_matches_nothing_or_too_much() {
    let fixture = Fixture::new().await;
    for source in ["shop", "csv"] {
        fixture
            .publish_to(
                source,
                monday(),
                [one("orders"), one(&format!("{source}_items"))],
                Coverage::Whole,
            )
            .await;
    }
    let error = load(&fixture, &["order"]).await.unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }));
    assert!(error.to_string().contains("csv.orders or shop.orders"), "{error}");
    let error = load(&fixture, &["orders"]).await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
    assert_eq!(load(&fixture, &["csv.orders"]).await.unwrap().tables[0].source, "csv");
}
