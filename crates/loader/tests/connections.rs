//! How many connections a load takes.

use std::time::Duration;

use lake_loader::{LoadReport, Target};
use lake_sandbox::EmbeddedPostgres;

use crate::fixture::{Column, Fixture, Table, monday, table};

fn large() -> [Table; 3] {
    ["a", "b", "c"].map(|name| table(name, [Column::bigint("id", 0..60_000)]))
}

async fn load(fixture: &Fixture, target: &Target, jobs: usize) -> LoadReport {
    let mut request = fixture.request(monday());
    request.jobs = jobs;
    lake_loader::load(&fixture.lake, target, &request, |_| {})
        .await
        .unwrap()
}

#[tokio::test]
async fn one_job_makes_do_with_one_connection() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), large()).await;
    let role = format!("lonely_{}", fixture.database);
    fixture
        .execute(&format!(
            "create role {role} login connection limit 1; grant create on schema public to {role}"
        ))
        .await;
    let mut target = fixture.target.clone();
    target.url = target.url.replace("postgres@", &format!("{role}@"));
    assert_eq!(load(&fixture, &target, 1).await.connections, 1);
    let sessions = format!("select count(*) from pg_stat_activity where usename = '{role}'");
    while fixture.query(&sessions).await != "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // With more jobs than the server has connections, it goes on with those that there are.
    assert_eq!(load(&fixture, &target, 4).await.connections, 1);
    assert_eq!(fixture.query("select count(*) from c").await, "60000");
}

#[tokio::test]
async fn many_rows_are_worth_several_connections_and_few_are_not() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), large()).await;
    assert_eq!(load(&fixture, &fixture.target, 4).await.connections, 3);
    assert_eq!(load(&fixture, &fixture.target, 2).await.connections, 2);
    let sums = "select concat_ws(' ', (select sum(id) from a), (select sum(id) from b), (select count(*) from c))";
    assert_eq!(fixture.query(sums).await, "1799970000 1799970000 60000");
    fixture
        .publish(
            monday(),
            ["a", "b", "c"].map(|name| table(name, [Column::bigint("id", [1])])),
        )
        .await;
    assert_eq!(load(&fixture, &fixture.target, 4).await.connections, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_takes_a_load() {
    let fixture = Fixture::new().await;
    let mood = Column::text("mood", ["ok", "bad"]).of("public.mood");
    let tables = [
        table("a", [Column::int("id", [1, 2]).key(1), mood]),
        table("b", [Column::int("id", [7])]),
    ];
    fixture.publish(monday(), tables).await;
    let server = EmbeddedPostgres::start().await.unwrap();
    server
        .execute("create type public.mood as enum ('ok', 'bad')")
        .await
        .unwrap();
    let mut target = fixture.target.clone();
    target.url = server.url();
    for _ in 0..2 {
        assert_eq!(load(&fixture, &target, 1).await.rows, 3);
    }
    let report = lake_loader::verify(&fixture.lake, &target, &fixture.request(monday()))
        .await
        .unwrap();
    assert!(report.tables.iter().all(|table| table.mismatch.is_none()), "{report:?}");
}
