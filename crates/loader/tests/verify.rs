//! The comparison of the lake with the target.

use lake_loader::{Mismatch, VerifyReport};

use crate::fixture::{Column, Fixture, monday, table, tuesday};

async fn verify(fixture: &Fixture) -> VerifyReport {
    lake_loader::verify(&fixture.lake, &fixture.target, &fixture.request(monday()))
        .await
        .unwrap()
}

async fn mismatch(fixture: &Fixture) -> Option<Mismatch> {
    verify(fixture).await.tables.swap_remove(0).mismatch
}

#[tokio::test]
async fn differences_are_found_and_named() {
    let fixture = Fixture::new().await;
    let orders = |first| {
        table(
            "orders",
            [
                Column::int("id", first..first + 3).key(1),
                Column::text("code", ["a  ", "b  ", "c  "]).of("character(3)"),
                Column::text("extra", ["{\"a\": 1}", "{}", "[]"]).of("jsonb"),
            ],
        )
    };
    fixture.publish(monday(), [orders(1)]).await;
    fixture.publish(tuesday(), [orders(2)]).await;
    assert_eq!(mismatch(&fixture).await, Some(Mismatch::MissingTable));

    fixture.load(monday()).await.unwrap();
    let report = verify(&fixture).await;
    assert_eq!((report.tables[0].rows, &report.tables[0].mismatch), (3, &None));
    assert_eq!(report.tables[0].loaded_day.as_deref(), Some("2021-01-04"));

    // The order of rows and of columns, and columns of the users' own, make no difference.
    fixture
        .execute(
            "alter table orders add column mine text; update orders set id = id where id = 1; \
             alter table orders alter column mine set default 'x'",
        )
        .await;
    assert_eq!(mismatch(&fixture).await, None);

    let content = |columns: &[&str]| {
        Some(Mismatch::Content {
            columns: columns.iter().map(ToString::to_string).collect(),
        })
    };
    fixture
        .execute("update orders set extra = '{\"a\": 2}' where id = 1")
        .await;
    assert_eq!(mismatch(&fixture).await, content(&["extra"]));
    fixture.load(monday()).await.unwrap();
    fixture
        .execute("update orders set code = case id when 1 then 'b' else 'a' end where id < 3")
        .await;
    assert_eq!(mismatch(&fixture).await, content(&[]));
    fixture.execute("delete from orders where id = 1").await;
    assert_eq!(mismatch(&fixture).await, Some(Mismatch::Rows { lake: 3, target: 2 }));
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(mismatch(&fixture).await, content(&["id"]));
    assert_eq!(
        verify(&fixture).await.tables[0].loaded_day.as_deref(),
        Some("2021-01-05")
    );
    fixture
        .execute("alter table orders alter column id type bigint, drop column extra")
        .await;
    let differences = vec!["extra: wanted jsonb, is not there".to_owned()];
    assert_eq!(mismatch(&fixture).await, Some(Mismatch::Columns { differences }));
    // A wider type is as good, as long as its values are the lake's.
    fixture.execute("alter table orders add column extra text").await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(mismatch(&fixture).await, None);
    fixture
        .execute("update orders set id = 5000000000, extra = 'none' where id = 1")
        .await;
    assert_eq!(mismatch(&fixture).await, content(&["id", "extra"]));
}
