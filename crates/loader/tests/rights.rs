//! What the target's role may not do is told at once, with the statements that allow it.

use lake_sandbox::PostgresServer;

use crate::fixture::{Column, Fixture, chain, monday, table, tuesday};

#[tokio::test]
async fn all_that_is_missing_is_told_at_once() {
    let mut fixture = Fixture::new().await;
    let role = format!("{}_loader", fixture.database);
    let tables = |id: i64| {
        [
            table("a", [Column::int("id", [id as i32])]),
            table("B", [Column::bigint("id", [id])]),
        ]
    };
    fixture.publish(monday(), tables(1)).await;
    fixture.publish(tuesday(), tables(1 << 40)).await;
    fixture.load(monday()).await.unwrap();
    fixture
        .execute(&format!(
            "create role {role} login; alter table a enable row level security; revoke all on schema public from public"
        ))
        .await;
    fixture.target.url = fixture.target.url.replacen("postgres@", &format!("{role}@"), 1);
    let error = chain(&fixture.load(monday()).await.unwrap_err());
    let statements = |error: &str| {
        let lines: Vec<String> = error.lines().skip(1).map(|line| line.trim().to_owned()).collect();
        lines
    };
    assert_eq!(
        statements(&error),
        [
            format!("grant usage, create on schema public to {role};"),
            format!("grant insert, delete on public.\"B\" to {role};"),
            format!("grant select, insert, update on public._lake_loads to {role};"),
            format!("grant insert, delete on public.a to {role};"),
            format!("alter role {role} bypassrls;"),
        ]
    );
    fixture.execute(&statements(&error).concat()).await;
    fixture.load(monday()).await.unwrap();

    // To give a column another type takes the owner.
    let one = "alter table \"B\" alter id type int";
    fixture.execute(one).await;
    let error = chain(&fixture.load(tuesday()).await.unwrap_err());
    assert_eq!(statements(&error), [format!("grant postgres to {role};")]);
    fixture.execute(&format!("alter table \"B\" owner to {role}")).await;
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(fixture.query("select id from \"B\"").await, (1_i64 << 40).to_string());
}

#[tokio::test]
async fn a_standby_takes_no_load() {
    let primary = PostgresServer::start().unwrap();
    let standby = PostgresServer::builder().standby_of(&primary).start().unwrap();
    let mut fixture = Fixture::new().await;
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    fixture.target.url = standby.url("postgres");
    let error = chain(&fixture.load(monday()).await.unwrap_err());
    for part in ["it is a standby, which takes no changes", "load into its primary"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn a_role_whose_constraints_are_off_is_told_what_puts_them_on() {
    let mut fixture = Fixture::new().await;
    let (database, role) = (fixture.database.clone(), format!("{}_loader", fixture.database));
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    fixture
        .execute(&format!(
            "create role {role} login; grant create on schema public to {role}; \
             alter database {database} set session_replication_role = replica"
        ))
        .await;
    fixture.target.url = fixture.target.url.replacen("postgres@", &format!("{role}@"), 1);
    let error = chain(&fixture.load(monday()).await.unwrap_err());
    let mend = format!("alter role {role} in database {database} set session_replication_role = origin;");
    assert!(error.contains(&mend), "{error}");
    fixture.execute(&mend).await;
    fixture.load(monday()).await.unwrap();
}
