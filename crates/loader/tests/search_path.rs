//! Functions of the target's owner that name tables plainly: triggers, checks, domains, indexes, event triggers.

use crate::fixture::{Column, Fixture, chain, monday, table, tuesday};

/// Each of them reads or writes a table of the schema `app`; `once` is created by the load.
const OWN: &str = "
    create schema app; create table app.log (what text); create table app.allowed (least int); insert into app.allowed values (0);
    create function app.audited() returns trigger language plpgsql as
        $$ begin insert into log values (tg_op); return null; end $$;
    create function app.is_allowed(id int) returns boolean language sql as 'select id > (select least from allowed)';
    create function app.place(id int) returns int language plpgsql immutable as
        $$ begin return id - (select least from allowed); end $$;
    create function app.logged() returns event_trigger language plpgsql as
        $$ begin insert into log values (tg_tag); end $$;
    create domain app.number as int check (app.is_allowed(value));
    create table public.orders (id int check (app.is_allowed(id)), number app.number);
    create index on public.orders (app.place(id));
    create trigger audited after insert or delete on public.orders for each statement execute function app.audited();
    create constraint trigger late after insert on public.orders deferrable initially deferred
        for each row execute function app.audited();
    create event trigger logged on ddl_command_end execute function app.logged();";

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    for (date, first) in [(monday(), 1), (tuesday(), 5)] {
        let ids = first..first + 3;
        let orders = table(
            "orders",
            [
                Column::int("id", ids.clone()),
                Column::int("number", ids).of("app.number").below("integer"),
            ],
        );
        let once = table("once", [Column::int("id", [1])]);
        fixture.publish(date, [orders, once]).await;
    }
    fixture
}

#[tokio::test]
async fn functions_of_the_target_find_what_they_find_in_psql() {
    let fixture = fixture().await;
    let database = &fixture.database;
    fixture
        .execute(&format!(
            "alter database {database} set search_path = app, public; set search_path = app, public; {OWN}"
        ))
        .await;
    for date in [monday(), tuesday()] {
        fixture.load(date).await.unwrap();
    }
    assert_eq!(
        fixture
            .query("select id || ',' || number from public.orders order by id")
            .await,
        "5,5\n6,6\n7,7"
    );
    let counts = "select what || ' ' || count(*) from log where what in ('INSERT', 'DELETE', 'CREATE TABLE') group by what order by 1";
    let counted = fixture.query(counts).await;
    // A staging table is created beside each table, at each load; the constraint trigger runs for each row.
    assert!(counted.contains("DELETE 2\nINSERT 8"), "{counted}");
}

#[tokio::test]
async fn a_function_that_does_not_find_its_tables_is_named_with_what_mends_it() {
    let fixture = fixture().await;
    fixture.execute(&format!("set search_path = app, public; {OWN} drop event trigger logged; alter domain app.number drop constraint number_check")).await;
    let error = chain(&fixture.load(monday()).await.unwrap_err());
    for part in [
        "public.orders: ",
        "does not exist",
        "set search_path = …`",
        "as in psql",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let mend =
        "alter function app.audited() set search_path = app; alter function app.is_allowed set search_path = app;
                alter function app.place set search_path = app";
    fixture.execute(mend).await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query("select count(*) from public.orders").await, "3");
}
