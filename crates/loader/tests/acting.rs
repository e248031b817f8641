//! Triggers and rules of the target's owner: a load leaves exactly the lake's rows, or the old ones.

use lake_loader::{Error, LoadReport, Mismatch, Triggers};

use crate::fixture::{Column, Fixture, chain, connect, monday, table, tuesday};

/// Monday is loaded: 1 to 3 in `a` and `b`. On Tuesday they have 100 to 102.
async fn two_days() -> Fixture {
    let fixture = Fixture::new().await;
    for (date, first) in [(monday(), 1), (tuesday(), 100)] {
        let columns = || {
            let ids: Vec<i32> = (first..first + 3).collect();
            [
                Column::int("id", ids.iter().copied()).key(1),
                Column::text("note", ["x"; 3]),
            ]
        };
        let tables = ["a", "b"].map(|name| table(name, columns()));
        fixture.publish(date, tables).await;
    }
    fixture.load(monday()).await.unwrap();
    fixture
}

async fn assert_holds(fixture: &Fixture, first: i32) {
    let expected = format!("{first},x\n{},x\n{},x", first + 1, first + 2);
    for name in ["a", "b"] {
        let rows = format!("select id || ',' || note from {name} order by 1");
        assert_eq!(fixture.query(&rows).await, expected, "{name}");
    }
    assert_eq!(fixture.leftovers().await, "");
}

/// A trigger `t` on a table, with the function's body.
fn trigger(event: &str, level: &str, body: &str) -> String {
    format!(
        "set search_path = public; create function f() returns trigger language plpgsql set search_path = public as \
             $$begin {body} end$$; create trigger t {event} for each {level} execute function f();"
    )
}

#[tokio::test]
async fn a_load_whose_rows_are_acted_upon_is_rolled_back() {
    let cases = [
        // A row that stays, is kept out, or is changed on its way.
        trigger(
            "before delete on a",
            "row",
            "update a set note = 'gone' where id = old.id; return null;",
        ),
        trigger("before delete on a", "row", "return null;"),
        trigger(
            "before delete on a",
            "row",
            "if old.id = 1 then return null; end if; return old;",
        ),
        trigger(
            "before insert on a",
            "row",
            "if new.id = 101 then return null; end if; return new;",
        ),
        trigger("before insert on a", "row", "new.note = upper(new.note); return new;"),
        // What writes into a table of the load: the same, or another one, filled before it or after.
        trigger(
            "after insert on a",
            "row",
            "update a set note = 'X' where id = new.id; return null;",
        ),
        trigger(
            "after insert on a",
            "row",
            "insert into b values (new.id + 1000, 'x'); return null;",
        ),
        trigger(
            "after insert on b",
            "row",
            "insert into a values (new.id + 1000, 'x'); return null;",
        ),
        trigger(
            "after insert on b",
            "statement",
            "delete from a where id = 102; return null;",
        ),
        trigger(
            "before delete on a",
            "statement",
            "truncate b; insert into b values (7, 'x'); return null;",
        ),
        trigger("after insert on b", "statement", "truncate a; return null;"),
        trigger(
            "after insert on _lake_loads",
            "statement",
            "delete from a where id = 102; return null;",
        ),
        // The commit is too late to look.
        "create function f() returns trigger language plpgsql as \
             $$begin delete from public.a where id = 102; return null; end$$; \
         create constraint trigger t after insert on b deferrable initially deferred \
             for each row execute function f()"
            .into(),
    ];
    let fixture = two_days().await;
    for case in cases {
        fixture.execute(&case).await;
        let error = fixture.load(tuesday()).await.expect_err(&case);
        let text = chain(&error);
        assert!(matches!(error, Error::Acted { .. }), "{case}: {text}");
        assert!(
            text.contains("trigger t on public.") || case.contains("_lake_loads"),
            "{case}: {text}"
        );
        assert_holds(&fixture, 1).await;
        fixture.execute("drop function f cascade").await;
    }
    fixture.load(tuesday()).await.unwrap();
    assert_holds(&fixture, 100).await;
}

#[tokio::test]
async fn what_acts_elsewhere_is_the_owners_own_business() {
    let fixture = two_days().await;
    fixture
        .execute("create table log (n integer); alter table a add column mine text")
        .await;
    for case in [
        trigger(
            "after insert or delete on a",
            "row",
            "insert into log values (1); return null;",
        ),
        trigger("before insert on a", "row", "new.mine = upper(new.note); return new;"),
        trigger(
            "after insert on a",
            "row",
            "update a set mine = 'X' where id = new.id; return null;",
        ),
        trigger("before update on a", "row", "return null;"),
    ] {
        fixture.execute(&case).await;
        fixture.load(tuesday()).await.unwrap();
        assert_holds(&fixture, 100).await;
        fixture.load(monday()).await.unwrap();
        fixture.execute("drop function f cascade").await;
    }
    // 3 rows came and 3 went, twice.
    assert_eq!(fixture.query("select count(*) from log").await, "12");
}

#[tokio::test]
async fn functions_and_event_triggers_are_seen_too() {
    let fixture = two_days().await;
    fixture
        .execute(
            "create function busy(id integer) returns boolean language plpgsql as \
                 $$begin if id > 99 then delete from public.a where a.id = 100; end if; return true; end$$; \
             alter table b add constraint busy check (busy(id))",
        )
        .await;
    let error = fixture.load(tuesday()).await.unwrap_err();
    let Error::Acted { mismatch, .. } = &error else {
        panic!("{}", chain(&error));
    };
    assert_eq!(*mismatch, Mismatch::Rows { lake: 3, target: 2 });
    assert_holds(&fixture, 1).await;
    fixture.execute("alter table b drop constraint busy").await;

    // Every new table gets a trigger, those of the load too.
    fixture
        .execute(
            "create function shout() returns trigger language plpgsql as \
                 $$begin new.note = upper(new.note); return new; end$$; \
             create function watch() returns event_trigger language plpgsql as $$declare made text; begin \
                 for made in select object_identity from pg_event_trigger_ddl_commands() where object_type = 'table' \
                     and object_identity not like '%\\_lake\\_loads' loop \
                     execute format('create trigger shout before insert on %s for each row execute function public.shout()', made); \
                 end loop; end$$; \
             create event trigger watch on ddl_command_end when tag in ('CREATE TABLE') execute function watch()",
        )
        .await;
    for made_anew in ["", "drop table a"] {
        fixture.execute(made_anew).await;
        let text = chain(&fixture.load(tuesday()).await.unwrap_err());
        assert!(
            text.contains("event trigger watch") && text.contains("other values in note"),
            "{text}"
        );
        assert_eq!(fixture.leftovers().await, "");
    }
}

#[tokio::test]
async fn rules_are_refused_with_what_drops_them() {
    let fixture = two_days().await;
    for rule in [
        "on delete to a do instead nothing",
        "on insert to a do instead nothing",
        "on insert to b do also insert into a values (new.id + 7, new.note)",
        "on update to a do instead nothing",
    ] {
        fixture.execute(&format!("create rule \"Own rule\" as {rule}")).await;
        let error = fixture.load(tuesday()).await.unwrap_err().to_string();
        assert_holds(&fixture, 1).await;
        let mend = error
            .lines()
            .find(|line| line.trim().starts_with("drop rule"))
            .unwrap_or_default();
        fixture.execute(mend).await;
    }
    fixture
        .execute("create rule off as on delete to a do instead nothing; alter table a disable rule off")
        .await;
    fixture.load(tuesday()).await.unwrap();
    assert_holds(&fixture, 100).await;
}

const STATES: &str = "select tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text from pg_trigger \
                      where not tgisinternal order by 1";

#[tokio::test]
async fn triggers_that_are_off_are_afterwards_what_they_were() {
    let mut fixture = two_days().await;
    fixture.target.triggers = Triggers::Off;
    fixture
        .execute(
            "drop table b; create table b (id integer, note text) partition by range (id); \
             create table b_low partition of b for values from (0) to (100); \
             create table b_high partition of b for values from (100) to (200); \
             create function f() returns trigger language plpgsql as $$begin return null; end$$; \
             create trigger plain before insert on a for each row execute function f(); \
             create trigger always before insert on a for each row execute function f(); \
             create trigger replica before insert on a for each row execute function f(); \
             create trigger off before insert on a for each row execute function f(); \
             alter table a enable always trigger always, enable replica trigger replica, disable trigger off; \
             create trigger root before insert on b for each row execute function f(); \
             create trigger leaf before delete on b_low for each row execute function f(); \
             alter table b_high disable trigger root; \
             create constraint trigger late after insert on a deferrable for each row execute function f(); \
             alter table a add column boss integer references a deferrable initially deferred",
        )
        .await;
    let before = fixture.query(STATES).await;
    for date in [monday(), tuesday(), monday()] {
        fixture.load(date).await.unwrap();
        assert_eq!(fixture.query(STATES).await, before);
    }
    assert_holds(&fixture, 1).await;
    fixture.target.triggers = Triggers::On;
    fixture.load(tuesday()).await.unwrap_err();
    assert_eq!(fixture.query(STATES).await, before);
    assert_holds(&fixture, 1).await;
}

#[tokio::test]
async fn triggers_are_switched_off_by_the_owner_alone() {
    let mut fixture = two_days().await;
    fixture.target.triggers = Triggers::Off;
    let loader = format!("loader_{}", fixture.database);
    fixture
        .execute(&format!(
            "create role {loader} login superuser; alter role {loader} nosuperuser; \
             grant create on schema public to {loader}; grant all on all tables in schema public to {loader}"
        ))
        .await;
    fixture.target.url = fixture.target.url.replacen("postgres@", &format!("{loader}@"), 1);
    fixture.load(tuesday()).await.unwrap();
    fixture
        .execute(&trigger("after insert on a", "row", "return null;"))
        .await;
    let error = fixture.load(monday()).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("to {loader}")) && error.contains("public.a"),
        "{error}"
    );
    fixture.target.triggers = Triggers::On;
    fixture.load(monday()).await.unwrap();
    assert_holds(&fixture, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_of_others_are_not_taken_for_a_triggers() {
    let fixture = two_days().await;
    fixture
        .execute(&trigger(
            "before insert on a",
            "row",
            "perform pg_sleep(0.1); return new;",
        ))
        .await;
    let writer = connect(&fixture.target.url).await;
    let writes = async {
        for id in 1000..1010 {
            let insert = format!("insert into b values ({id}, 'theirs')");
            writer.batch_execute(&insert).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    };
    let (loaded, ()): (Result<LoadReport, Error>, ()) = tokio::join!(fixture.load(tuesday()), writes);
    loaded.unwrap();
}
