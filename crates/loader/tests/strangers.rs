//! Tables of the target that no load has filled.

use lake_loader::Error;
use lake_storage::Coverage;

use crate::fixture::{Column, Fixture, chain, monday, table, tuesday};

#[tokio::test]
async fn rows_that_no_load_has_put_there_are_replaced_only_if_that_is_said() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table a (id integer); insert into a values (7), (8); create table empty (id integer); \
             create table p (id integer) partition by range (id); \
             create table p1 partition of p for values from (0) to (10); insert into p values (7); \
             create view unrelated as select 1",
        )
        .await;
    let tables = || ["a", "empty", "new", "p"].map(|name| table(name, [Column::int("id", [1])]));
    fixture.publish(monday(), tables()).await;
    fixture.publish(tuesday(), tables()).await;
    let error = fixture.load(monday()).await.unwrap_err();
    assert!(matches!(error, Error::Strangers { .. }), "{}", chain(&error));
    let text = error.to_string();
    assert!(text.ends_with("\n  public.a: 2 rows\n  public.p: 1 row"), "{text}");
    assert!(
        text.contains("`lake load --date 2021-01-04 --take-over` replaces"),
        "{text}"
    );
    assert_eq!(
        fixture.query("select id from a union all select id from p").await,
        "7\n8\n7"
    );
    assert_eq!(fixture.leftovers().await, "");

    let report = fixture.take_over(monday()).await.unwrap();
    let taken: Vec<&str> = report
        .tables
        .iter()
        .filter(|t| t.taken_over)
        .map(|t| t.name.as_str())
        .collect();
    assert_eq!(taken, ["a", "empty", "p"]);
    let report = fixture.load(tuesday()).await.unwrap();
    assert!(report.tables.iter().all(|table| !table.taken_over));

    // Without its notes a target is as good as somebody else's.
    fixture.execute("drop table _lake_loads").await;
    let error = fixture.load(tuesday()).await.unwrap_err();
    let Error::Strangers { tables, .. } = &error else {
        panic!("{}", chain(&error));
    };
    assert_eq!(tables.len(), 4);
}

#[tokio::test]
async fn rows_of_a_source_that_the_config_lacks_are_somebody_elses() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    fixture.load(monday()).await.unwrap();
    fixture.execute("update _lake_loads set source = 'other'").await;
    let error = fixture.load(monday()).await.unwrap_err().to_string();
    assert!(
        error.ends_with("\n  public.a: 1 row (loaded from a source other, which the config does not have)"),
        "{error}"
    );
    let mut request = fixture.request(monday());
    request.sources.push("other".into());
    fixture.publish_to("other", monday(), [], Coverage::Whole).await;
    lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap();
}

#[tokio::test]
async fn a_table_that_only_seems_empty_keeps_its_rows() {
    let fixture = Fixture::new().await;
    let role = format!("{}_writer", fixture.database);
    fixture
        .execute(&format!(
            "create table a (id integer); insert into a values (7); create role {role} login; \
             grant create, usage on schema public to {role}; grant insert, delete on a to {role}"
        ))
        .await;
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    let mut target = fixture.target.clone();
    target.url = target.url.replacen("postgres@", &format!("{role}@"), 1);
    assert!(target.url.contains(&role), "{}", target.url);
    let load = async || lake_loader::load(&fixture.lake, &target, &fixture.request(monday()), |_| {}).await;
    let error = load().await.unwrap_err().to_string();
    assert!(error.contains("rows that the role may not read"), "{error}");

    // Rows that a policy hides.
    fixture
        .execute(&format!(
            "grant select on a to {role}; alter table a enable row level security"
        ))
        .await;
    let error = load().await.unwrap_err().to_string();
    assert!(error.contains("rows that the role may not read"), "{error}");
    assert_eq!(fixture.query("select id from a").await, "7");

    // Rows that come between the look at the table and the end of the load: of a session that writes into it.
    fixture
        .execute(&format!(
            "alter table a disable row level security; truncate a; grant all on a to {role}"
        ))
        .await;
    fixture.execute("begin; insert into a values (8)").await;
    let (loaded, ()) = futures::join!(load(), async {
        let waits = "select count(*) from pg_locks where not granted and relation = 'a'::regclass";
        for _ in 0..500 {
            if fixture.query(waits).await == "1" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        fixture.execute("commit").await;
    });
    assert!(matches!(loaded, Err(Error::Strangers { .. })));
    assert_eq!(fixture.query("select id from a").await, "8");
}

#[tokio::test]
async fn all_that_is_no_table_is_named() {
    let fixture = Fixture::new().await;
    fixture
        .execute("create view a as select 1; create materialized view b as select 1; create table c (id integer)")
        .await;
    let tables = ["a", "b", "c"].map(|name| table(name, [Column::int("id", [1])]));
    fixture.publish(monday(), tables).await;
    let error = fixture.take_over(monday()).await.unwrap_err().to_string();
    assert!(
        error.ends_with("\n  the target's public.a is a view\n  the target's public.b is a materialized view"),
        "{error}"
    );
}
