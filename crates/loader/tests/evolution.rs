//! Columns of the lake that the target has otherwise.

use arrow::array::{Decimal128Array, Float32Array, Int64Array};
use lake_loader::Error;
use lake_storage::SchemaChange;

use crate::fixture::{Column, Fixture, chain, monday, table, tuesday};

async fn columns(fixture: &Fixture, table: &str) -> String {
    fixture
        .query(&format!(
            "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) \
             from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
        ))
        .await
}

async fn assert_verified(fixture: &Fixture) {
    let report = lake_loader::verify(&fixture.lake, &fixture.target, &fixture.request(monday())).await;
    for table in report.unwrap().tables {
        assert_eq!(table.mismatch, None, "{}", table.name);
    }
}

fn amount(units: i128, precision: u8, scale: i8) -> Column {
    let array = Decimal128Array::from(vec![units]);
    let array = array.with_precision_and_scale(precision, scale).unwrap();
    Column::new("amount", array).of(&format!("numeric({precision},{scale})"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_of_other_columns_is_altered_and_takes_earlier_days_again() {
    let fixture = Fixture::new().await;
    let first = [
        Column::int("id", [1]).key(1),
        amount(150, 10, 2),
        Column::text("gone", ["x"]).not_null(),
        Column::text("code", ["a"]).of("character varying(3)"),
        Column::int("became_text", [7]),
        Column::text("padded", ["a  "]).of("character(3)"),
    ];
    fixture.publish(monday(), [table("t", first)]).await;
    fixture.load(monday()).await.unwrap();
    let second = [
        Column::bigint("id", [1 << 40]).key(1),
        amount(1555, 10, 3),
        Column::text("code", ["abcdef"]).of("character varying(9)"),
        Column::text("became_text", ["n/a"]),
        Column::text("padded", ["abcdef"]),
        Column::text("new", ["y"]),
    ];
    fixture.publish(tuesday(), [table("t", second)]).await;
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(
        columns(&fixture, "t").await,
        "id bigint, amount numeric(11,3), gone text, code character varying(9), became_text text, padded text, new text"
    );
    assert_eq!(
        fixture.query("select row(t.*) from t").await,
        "(1099511627776,1.555,,abcdef,n/a,abcdef,y)"
    );
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query("select row(t.*) from t").await, "(1,1.500,x,a,7,a,)");
    assert_verified(&fixture).await;
    assert_eq!(fixture.leftovers().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wider_column_of_the_target_stays_as_it_is() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table t (id bigint, amount numeric, ratio text, padded text, moment text, doc text, day timestamp)",
        )
        .await;
    let before = columns(&fixture, "t").await;
    let day = arrow::array::Date32Array::from(vec![0]);
    let moment = arrow::array::TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC");
    let columns_of_lake = [
        Column::int("id", [1]),
        amount(150, 10, 2),
        Column::new("ratio", Float32Array::from(vec![0.1])).of("real"),
        Column::text("padded", ["a  "]).of("character(3)"),
        Column::new("moment", moment).of("timestamp with time zone"),
        Column::text("doc", ["{\"a\": 1}"]).of("jsonb"),
        Column::new("day", day).of("date"),
    ];
    fixture.publish(monday(), [table("t", columns_of_lake)]).await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(columns(&fixture, "t").await, before);
    assert_eq!(
        fixture.query("select row(t.*) from t").await,
        "(1,1.50,0.1,a,\"1970-01-01 00:00:01.5+00\",\"{\"\"a\"\": 1}\",\"1970-01-01 00:00:00\")"
    );
    assert_verified(&fixture).await;
}

fn moment(zone: Option<&str>) -> Column {
    let moment = arrow::array::TimestampMicrosecondArray::from(vec![1_500_000]);
    let kind = if zone.is_some() { "with" } else { "without" };
    Column::new("moment", moment.with_timezone_opt(zone)).of(&format!("timestamp {kind} time zone"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_somebody_elses_gets_a_wider_type_and_no_other() {
    let fixture = Fixture::new().await;
    let create = "create table t (id integer, day date, code varchar(3), ratio double precision, moment timestamp, \
        total integer, mine text not null)";
    fixture.execute(create).await;
    let before = columns(&fixture, "t").await;
    let day = arrow::array::TimestampMicrosecondArray::from(vec![1_500_000]);
    let of_lake = [
        Column::bigint("id", [1]),
        Column::new("day", day).of("timestamp without time zone"),
        Column::text("code", ["abcd"]).of("character varying(4)"),
        amount(150, 10, 2).called("ratio"),
        moment(Some("UTC")),
        Column::text("total", ["n/a"]),
    ];
    fixture.publish(monday(), [table("t", of_lake)]).await;
    let error = fixture.load(monday()).await.unwrap_err();
    let Error::Unfit { tables } = &error else {
        panic!("{}", chain(&error));
    };
    let listed: Vec<String> = tables[0].columns.iter().map(ToString::to_string).collect();
    assert_eq!(
        listed,
        [
            "ratio: numeric(10,2) in the lake, double precision in the target, and only text holds both",
            "moment: timestamp with time zone in the lake, timestamp without time zone in the target, and only text \
             holds both",
            "total: wanted text, has integer",
            "mine: not in the lake, has text not null without a default"
        ]
    );
    assert_eq!(
        (columns(&fixture, "t").await, fixture.leftovers().await),
        (before, "".into())
    );

    // What the message says, or what fills the column: then the others are widened.
    fixture
        .execute(
            "alter table t alter ratio type text, alter moment type text using moment::text, alter total type text; \
             create function fill() returns trigger language plpgsql as $$ begin new.mine = 'filled'; return new; end $$; \
             create trigger fill before insert on t for each row execute function fill()",
        )
        .await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(
        columns(&fixture, "t").await,
        "id bigint, day timestamp without time zone, code character varying(4), ratio text, moment text, total text, mine \
         text"
    );
    assert_eq!(
        fixture.query("select row(t.*) from t").await,
        "(1,\"1970-01-01 00:00:01.5\",abcd,1.50,\"1970-01-01 00:00:01.5+00\",n/a,filled)"
    );
    assert_verified(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_column_as_a_load_has_left_it_follows_the_lake() {
    let fixture = Fixture::new().await;
    let first = [
        Column::int("id", [1]),
        moment(None),
        Column::text("other", ["00000000-0000-0000-0000-000000000001"])
            .of("uuid")
            .not_null(),
        Column::int("mine", [1]),
    ];
    let first = table("t", first);
    let second = [Column::int("id", [1]), moment(Some("UTC")), Column::text("mine", ["a"])];
    fixture.publish(monday(), [first]).await;
    fixture.load(monday()).await.unwrap();
    fixture.publish(tuesday(), [table("t", second)]).await;
    fixture
        .execute(
            "alter table t alter mine type bigint, add own text; update t set own = 'x'; \
             alter table t alter own set not null",
        )
        .await;
    let error = chain(&fixture.load(tuesday()).await.unwrap_err());
    assert!(error.contains("mine: wanted text, has bigint"), "{error}");
    assert!(error.contains("own: not in the lake, has text not null"), "{error}");
    assert!(!error.contains("moment:") && !error.contains("other:"), "{error}");
    fixture.execute("alter table t alter mine type text, drop own").await;
    fixture.load(tuesday()).await.unwrap();
    assert_eq!(fixture.query("select row(id, other, mine) from t").await, "(1,,a)");
    assert_eq!(
        fixture.query("select columns from _lake_loads").await,
        r#"{"id": "integer", "mine": "text", "other": "uuid", "moment": "text"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notes_of_earlier_versions_are_completed() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), [table("t", [Column::int("id", [1])])]).await;
    fixture.load(monday()).await.unwrap();
    fixture.execute("alter table _lake_loads drop column columns").await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(
        fixture.query("select columns from _lake_loads").await,
        r#"{"id": "integer"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_the_target_lacks_are_text_there() {
    let fixture = Fixture::new().await;
    let tables = || {
        [table(
            "a",
            [
                Column::text("mood", ["it's \"fine\""]).of("public.mood"),
                Column::text("moods", ["{ok}"]).of("public.mood[]"),
                Column::text("p", ["0"]).of("gis.point"),
                Column::int("positive", [7]).of("public.positive").below("integer"),
            ],
        )]
    };
    fixture.publish(monday(), tables()).await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(
        columns(&fixture, "a").await,
        "mood text, moods text, p text, positive integer"
    );
    assert_eq!(
        fixture.query("select row(a.*) from a").await,
        "(\"it's \"\"fine\"\"\",{ok},0,7)"
    );
    assert_verified(&fixture).await;
    // Text holds them still when the types are there, and an integer those of a domain over it.
    fixture
        .execute("create type mood as enum ('it''s \"fine\"', 'ok'); create domain positive as integer")
        .await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(
        columns(&fixture, "a").await,
        "mood text, moods text, p text, positive integer"
    );
    assert_verified(&fixture).await;
    // And a table made anew has them.
    fixture.execute("drop table a").await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(
        columns(&fixture, "a").await,
        "mood mood, moods mood[], p text, positive positive"
    );
    assert_verified(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_target_is_reported_column_by_column() {
    let mut fixture = Fixture::new().await;
    fixture.lake = fixture.lake.clone().with_schema_change(SchemaChange::Freeze);
    fixture
        .execute("create table t (id smallint, note text not null); insert into t values (1, 'kept')")
        .await;
    fixture
        .publish(
            monday(),
            [table("t", [Column::int("id", [1]), Column::text("new", ["x"])])],
        )
        .await;
    let error = fixture.take_over(monday()).await.unwrap_err();
    let Error::Columns { tables } = &error else {
        panic!("{}", chain(&error));
    };
    let listed: Vec<String> = tables[0].columns.iter().map(ToString::to_string).collect();
    assert_eq!(
        listed,
        [
            "id: wanted integer, has smallint",
            "new: wanted text, is not there",
            "note: not in the lake, has text not null without a default"
        ]
    );
    assert!(
        error
            .to_string()
            .contains("alter table \"public\".\"t\" add column \"new\" text;")
    );
    assert_eq!(fixture.query("select row(t.*) from t").await, "(1,kept)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_on_a_column_that_would_change_is_named() {
    let fixture = Fixture::new().await;
    let wider = Column::new("c", Int64Array::from(vec![1])).bare();
    fixture.publish(monday(), [table("t", [wider])]).await;
    fixture
        .execute(
            "create table t (c integer); create view report as select c + 1 as next from t; insert into t values (1)",
        )
        .await;
    let error = chain(&fixture.take_over(monday()).await.unwrap_err());
    assert!(
        error.contains("public.t, column c (to bigint): drop view public.report"),
        "{error}"
    );
    assert_eq!(fixture.query("select next from report").await, "2");
    assert_eq!(fixture.leftovers().await, "");
}
