//! Functions of views that name tables plainly, and search paths that would lead our own statements astray.

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;

use crate::{Fixture, chain};

const RATES: &str = "
    set check_function_bodies = off; create schema app; create table app.rates (amount bigint); insert into app.rates values (3);
    create function app.rate() returns bigint language plpgsql stable as
        $$ begin return (select amount from rates); end $$;
    create function app.doubled() returns bigint language sql stable as 'select amount * 2 from rates';
    create view app.rated as select app.rate() + (select amount from app.rates where app.rate() = 3) as amount;
    create view app.doubled as select app.doubled() as amount, 'app.rates'::regclass is not null as known,
        '{\"a\": 1}'::jsonb as document;";

async fn with_path(path: &str) -> Fixture {
    let mut fixture = Fixture::new(RATES).await;
    let set =
        format!("do $$ begin execute format('alter database %I set search_path = {path}', current_database()); end $$");
    fixture.execute(&set).await;
    fixture.source.tables = ["app.rates", "app.rated", "app.doubled"]
        .map(|pattern| pattern.parse().unwrap())
        .into();
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_views_find_what_they_find_in_psql() {
    let fixture = with_path("hostile, app, pg_catalog").await;
    // What would take the place of ours, if ours were not qualified.
    fixture
        .execute("create schema hostile; create domain hostile.jsonb as text check (false); create domain hostile.text as int")
        .await;
    fixture.extract().await.unwrap();
    for (name, amount) in [("rated", 6), ("doubled", 6), ("rates", 3)] {
        let table = fixture.table(name);
        assert_eq!(table.column(0).as_primitive::<Int64Type>().value(0), amount, "{name}");
        if name == "doubled" {
            let document = table.column_by_name("document").unwrap().as_string::<i32>();
            assert_eq!(document.value(0), "{\"a\": 1}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_does_not_find_its_tables_is_named_with_what_mends_it() {
    let mut fixture = with_path("public").await;
    fixture.source.tables.remove(2);
    let error = chain(&fixture.extract().await.unwrap_err());
    for part in [
        "table app.rated: cannot read it; the function app.rate() names it without its schema, and the search_path of the role",
        "`alter function app.rate() set search_path = …`",
        "relation \"rates\" does not exist",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    fixture.execute("alter function app.rate() set search_path = app").await;
    fixture.extract().await.unwrap();
}
