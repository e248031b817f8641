//! Names and types of results on their way into the lake.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::support::{DAY_1, TestLake, chain, date, ints, of_files, texts};
use crate::transforms::run;

async fn lake() -> TestLake {
    let lake = TestLake::new();
    let uuid = HashMap::from([("postgres.type".to_owned(), "uuid".to_owned())]);
    let key = HashMap::from([
        ("postgres.type".to_owned(), "bigint".to_owned()),
        ("postgres.primary_key".to_owned(), "1".to_owned()),
        ("postgres.not_null".to_owned(), "true".to_owned()),
    ]);
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false).with_metadata(key),
        Field::new("code", DataType::Utf8, true).with_metadata(uuid),
    ]));
    let batch = RecordBatch::try_new(schema.clone(), vec![ints([1, 2]), texts(["a", "b"])]).unwrap();
    lake.day("postgres", DAY_1, vec![of_files("t", schema, vec![vec![batch]])])
        .await;
    lake
}

#[tokio::test]
async fn names_that_delta_refuses_are_named() {
    let lake = lake().await;
    for (sql, expected) in [
        (
            "select count(*) from t",
            r#"query q (queries/q.sql): its column "count(*)" has a name with a character that Delta refuses: write `count(*) AS …`"#,
        ),
        ("select id as \"my id\" from t", "its column \"my id\""),
        ("select id, id + 0 as \"ID\" from t", "differs from \"id\" only in case"),
        ("select a.id, b.id from t a, t b", "its column \"id\" is there twice"),
        (
            "select id as extract_date from t",
            "is called like the column that every table of the lake has",
        ),
    ] {
        let message = chain(&run(&lake, &[("q", sql)]).await.unwrap_err());
        assert!(message.contains(expected), "{sql}: {message}");
        assert!(lake.lake.manifest_or_partial("results", date(DAY_1)).unwrap().is_none());
    }
}

#[tokio::test]
async fn types_are_converted_exactly_or_refused() {
    let lake = lake().await;
    let sql = "select arrow_cast(id, 'UInt64') as big, arrow_cast(code, 'Utf8View') as view,
                      arrow_cast(code, 'Dictionary(Int32, Utf8)') as dictionary, null as nothing,
                      interval '1 day 2 hours' as span, time '12:30:00' as clock,
                      timestamp '2026-01-01 00:00:00.123456' as stamp, arrow_cast(id, 'UInt8') as small,
                      array_agg(id) over () as list, timestamptz '2026-01-01 00:00:00+00' as instant
               from t where id = 1";
    run(&lake, &[("q", sql)]).await.unwrap();
    let manifest = lake.lake.manifest("results", date(DAY_1)).unwrap().unwrap();
    let schema = manifest.tables["q"].arrow_schema("q").unwrap();
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types[0], DataType::Decimal128(20, 0));
    assert!(
        types[1..6].iter().all(|data_type| *data_type == DataType::Utf8),
        "{types:?}"
    );
    assert_eq!(
        (&types[6], &types[7], &types[9]),
        (&micros(None), &DataType::Int16, &micros(Some("UTC")))
    );
    assert_eq!(
        lake.on(DAY_1, "select * from results.q").await,
        "1,a,a,,1 days 2 hours,12:30:00,2026-01-01 00:00:00.123456,1,{1},2026-01-01 00:00:00+00\n"
    );

    run(
        &lake,
        &[(
            "q",
            "select 10000000000000000000000000000000000000000.50 as huge, 1 / 3.0 as third from t where id = 1",
        )],
    )
    .await
    .unwrap();
    assert_eq!(
        lake.on(DAY_1, "select * from results.q").await,
        "10000000000000000000000000000000000000000.5,0.33333333333333333333\n"
    );
    let manifest = lake.lake.manifest("results", date(DAY_1)).unwrap().unwrap();
    let schema = manifest.tables["q"].arrow_schema("q").unwrap();
    assert!(
        schema
            .fields()
            .iter()
            .all(|field| field.metadata()["postgres.type"] == "numeric")
    );

    for (sql, expected) in [
        (
            "select timestamp '2026-01-01 00:00:00.123456789' as stamp from t",
            "its column \"stamp\" has a value that Timestamp(µs) can't hold exactly",
        ),
        (
            "select struct(id, code) as pair from t",
            "its column \"pair\" is of type Struct",
        ),
    ] {
        let message = chain(&run(&lake, &[("q", sql)]).await.unwrap_err());
        assert!(message.contains(expected), "{sql}: {message}");
    }
}

#[tokio::test]
async fn a_tables_column_keeps_its_postgres_type_and_no_key() {
    let lake = lake().await;
    let sql = "with x as (select * from t where id > 0)
               select x.id, x.code, upper(x.code) as upper, cast(x.id as text) as text, max(x.code) over () as max, y.code as other
               from x left join t y using (id) order by 1 limit 5";
    run(&lake, &[("q", sql)]).await.unwrap();
    let manifest = lake.lake.manifest("results", date(DAY_1)).unwrap().unwrap();
    let schema = manifest.tables["q"].arrow_schema("q").unwrap();
    let types: Vec<Option<&str>> = schema
        .fields()
        .iter()
        .map(|field| field.metadata().get("postgres.type").map(String::as_str))
        .collect();
    assert_eq!(types, [Some("bigint"), Some("uuid"), None, None, None, Some("uuid")]);
    assert!(
        schema
            .fields()
            .iter()
            .all(|field| field.metadata().len() <= 1 && field.is_nullable())
    );
}
