//! What each type becomes, and what is refused.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lake_extractor::{Arrays, ColumnAs, TableSettings};

use crate::{Fixture, chain};

/// The one row of a table, as Arrow prints its cells.
fn cells(fixture: &Fixture, table: &str) -> Vec<(String, DataType, String)> {
    let batch = fixture.table(table);
    assert_eq!(batch.num_rows(), 1);
    let options = FormatOptions::default().with_null("NULL");
    batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| {
            let cell = ArrayFormatter::try_new(array, &options).unwrap().value(0).to_string();
            (field.name().clone(), field.data_type().clone(), cell)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn native_types_keep_their_values() {
    let fixture = Fixture::new(
        "create table t (
             a boolean, b smallint, c integer, d bigint, e oid, f real, g double precision,
             h numeric(15,2), i numeric(38,38), j money, k text, l varchar(3), m char(5), n name,
             o bytea, p date, q timestamp, r timestamptz, s json);
         insert into t values (
             true, -32768, 2147483647, -9223372036854775808, 4294967295, 'NaN', '-0',
             -1234567890123.45, 0.00000000000000000000000000000000000001, '-92233720368547758.08', 'é\t', 'abc', 'ab', 'n',
             '\\x00ff', '4713-01-01 BC', '294246-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00', '{\"a\": 1,  \"a\": 1e400}');",
    )
    .await;
    fixture.extract().await.unwrap();

    let batch = fixture.table("t");
    assert!(batch.column(5).as_primitive::<Float32Type>().value(0).is_nan());
    assert!(
        batch
            .column(6)
            .as_primitive::<Float64Type>()
            .value(0)
            .is_sign_negative()
    );
    assert_eq!(batch.column(4).as_primitive::<Int64Type>().value(0), 4_294_967_295);
    assert_eq!(
        batch.column(7).as_primitive::<Decimal128Type>().value(0),
        -123_456_789_012_345
    );
    assert_eq!(batch.column(8).as_primitive::<Decimal128Type>().value(0), 1);
    assert_eq!(
        batch.column(9).as_primitive::<Decimal128Type>().value(0),
        i128::from(i64::MIN)
    );
    assert_eq!(batch.column(12).as_string::<i32>().value(0), "ab");
    assert_eq!(batch.column(14).as_binary::<i32>().value(0), b"\x00\xff");
    let server = fixture.connect().await;
    let row = server
        .query_one(
            "select p - date '1970-01-01', (extract(epoch from q) * 1000000)::bigint from t",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        batch.column(15).as_primitive::<Date32Type>().value(0),
        row.get::<_, i32>(0)
    );
    assert_eq!(
        batch.column(16).as_primitive::<TimestampMicrosecondType>().value(0),
        row.get::<_, i64>(1)
    );
    assert_eq!(batch.column(17).as_primitive::<TimestampMicrosecondType>().value(0), -1);
    assert_eq!(
        batch.column(18).as_string::<i32>().value(0),
        "{\"a\": 1,  \"a\": 1e400}"
    );
    let types: Vec<DataType> = batch.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(types[7], DataType::Decimal128(15, 2));
    assert_eq!(types[9], DataType::Decimal128(19, 2));
    assert_eq!(
        types[17],
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_travel_as_the_servers_text() {
    let fixture = Fixture::new(
        "create type mood as enum ('sad', 'so \"so\"');
         create type pair as (a int, b text);
         create domain positive as numeric(6,2) check (value > 0);
         create domain label as text;
         create table t (
             a numeric, b time, c timetz, d interval, e uuid, f jsonb, g inet, h int4range, i mood, j pair,
             k point, l bit(3), m tsvector, n positive, o int[][], p mood[], q regclass, r xid8, s label);
         insert into t values (
             '1.500', '24:00:00', '12:00:00+05:30', '1 mon -2 days', '00000000-0000-0000-0000-00000000000a', '{\"b\":1,\"a\":2}',
             '10.0.0.1', '[1,5)', 'so \"so\"', '(1,\"a b\")', '(1,2)', '101', 'cat:1 dog', 3.5, '{1,2}', '{sad}',
             'pg_catalog.pg_class', '42', 'x');",
    )
    .await;
    fixture.extract().await.unwrap();
    let text: Vec<String> = cells(&fixture, "t").into_iter().map(|(_, _, cell)| cell).collect();
    assert_eq!(
        text,
        [
            "1.500",
            "24:00:00",
            "12:00:00+05:30",
            "1 mon -2 days",
            "00000000-0000-0000-0000-00000000000a",
            "{\"a\": 2, \"b\": 1}",
            "10.0.0.1",
            "[1,5)",
            "so \"so\"",
            "(1,\"a b\")",
            "(1,2)",
            "101",
            "'cat':1 'dog'",
            "3.50",
            "[1, 2]",
            "{sad}",
            "pg_class",
            "42",
            "x"
        ]
    );
    let manifest = fixture.lake.manifest("postgres", crate::day()).unwrap().unwrap();
    let schema = manifest.tables["t"].arrow_schema("t").unwrap();
    let type_of = |name: &str| schema.field_with_name(name).unwrap().metadata()["postgres.type"].clone();
    assert_eq!(type_of("a"), "numeric");
    assert_eq!(type_of("i"), "public.mood");
    assert_eq!(type_of("n"), "public.positive");
    assert_eq!(
        schema.field_with_name("n").unwrap().data_type(),
        &DataType::Decimal128(6, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_are_lists() {
    let fixture = Fixture::new(
        "create table t (id int primary key, a int[], b text[], c numeric(5,1)[]);
         insert into t values (1, '{1,NULL,3}', '{\"a,b\",\"\"}', '{1.5}'), (2, '{}', NULL, NULL);",
    )
    .await;
    fixture.extract().await.unwrap();
    let batch = fixture.table("t");
    let a = batch.column(1).as_list::<i32>();
    assert_eq!((a.value(0).len(), a.value(0).null_count(), a.value(1).len()), (3, 1, 0));
    assert_eq!(
        batch.column(2).as_list::<i32>().value(0).as_string::<i32>().value(0),
        "a,b"
    );
    assert!(batch.column(2).is_null(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_arrow_lacks_is_named_with_its_mend() {
    for (column_type, value, shown) in [
        ("timestamp", "infinity", "infinity"),
        ("timestamptz", "294276-12-31", "294246"),
        ("date", "-infinity", "-infinity"),
        ("numeric(5,2)", "NaN", "NaN"),
    ] {
        let mut fixture = Fixture::new(&format!(
            "create table t (valid_to {column_type}); insert into t values ('{value}');"
        ))
        .await;
        let error = chain(&fixture.extract().await.unwrap_err());
        assert!(
            error.contains("public.t") && error.contains("column valid_to") && error.contains(shown),
            "{error}"
        );
        let config = "as `tables` of the source postgres in the config they go through:\n    tables:\n      \
                      '*.*':\n      public.t: {columns: {valid_to: text}}";
        assert!(error.contains(config), "{error}");
        assert!(fixture.lake.manifest("postgres", crate::day()).unwrap().is_none());

        // What the message says does mend it.
        let settings = TableSettings {
            columns: [("valid_to".into(), ColumnAs::Text)].into(),
            ..TableSettings::default()
        };
        fixture.source.settings = vec![("public.t".parse().unwrap(), settings)];
        fixture.extract().await.unwrap();
        let expected = match value {
            "294276-12-31" => "294276-12-31 00:00:00+00",
            other => other,
        };
        assert_eq!(cells(&fixture, "t")[0].2, expected);
    }
}

/// Of a table that several connections read, whichever of them meets the array.
#[tokio::test(flavor = "multi_thread")]
async fn an_array_of_another_shape_makes_its_column_text() {
    let mut fixture = Fixture::new(
        "create table t (id int, a int[], b text);
         insert into t select i, array[i, null], repeat('x', 1500) from generate_series(1, 45000) i;
         create table other (a int[]); insert into other values ('{1}')",
    )
    .await;
    fixture.extract().await.unwrap();
    assert!(matches!(fixture.table("t").column(1).data_type(), DataType::List(_)));

    fixture
        .execute("update t set a = '[0:1]={1,2}' where id = 44999; update t set a = '{{1},{2}}' where id = 1")
        .await;
    for _ in 0..2 {
        fixture.extract().await.unwrap();
        let rows = fixture.table("t");
        let ids = rows.column(0).as_primitive::<Int32Type>().values();
        let texts = rows.column(1).as_string::<i32>();
        let text_of = |id: i32| texts.value(ids.iter().position(|of| *of == id).unwrap());
        assert_eq!(rows.num_rows(), 45_000);
        assert_eq!(text_of(1), "{{1},{2}}");
        assert_eq!(text_of(2), "{2,NULL}");
        assert_eq!(text_of(44_999), "[0:1]={1,2}");
        assert_eq!(text_of(45_000), "{45000,NULL}");
    }
    for (arrays, other) in [(Arrays::List, "[1]"), (Arrays::Text, "{1}")] {
        fixture.source.arrays = arrays;
        fixture.extract().await.unwrap();
        assert_eq!(cells(&fixture, "other")[0].2, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numeric_without_precision_can_be_a_decimal_if_it_fits() {
    let mut fixture = Fixture::new("create table t (a numeric); insert into t values (1.25);").await;
    let carried_as = |precision, scale| TableSettings {
        columns: [("a".into(), ColumnAs::Decimal { precision, scale })].into(),
        ..TableSettings::default()
    };
    fixture.source.settings = vec![("public.t".parse().unwrap(), carried_as(10, 2))];
    fixture.extract().await.unwrap();
    assert_eq!(
        fixture.table("t").column(0).as_primitive::<Decimal128Type>().value(0),
        125
    );
    fixture.source.settings = vec![("public.t".parse().unwrap(), carried_as(10, 1))];
    let error = chain(&fixture.extract().await.unwrap_err());
    assert!(error.contains("more digits"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_settings_do_not_show() {
    let fixture = Fixture::new(
        "create table t (a timestamptz, b interval, c money, d double precision, e bytea, f date[]);
         insert into t values ('2026-01-31 12:00+01', '1 year 2 days', 12.34, 0.1::float8 + 0.2, '\\x01', '{2026-01-31}');
         do $$ begin execute format('alter database %I set timezone = ''America/New_York''', current_database());
             execute format('alter database %I set datestyle = ''SQL, DMY''', current_database());
             execute format('alter database %I set intervalstyle = ''sql_standard''', current_database());
             execute format('alter database %I set extra_float_digits = -5', current_database());
             execute format('alter database %I set bytea_output = ''escape''', current_database());
             execute format('alter database %I set statement_timeout = ''1ms''', current_database());
             execute format('alter database %I set search_path = ''nowhere''', current_database()); end $$;",
    )
    .await;
    // The settings hold for new sessions: the first statement would time out if ours did not win.
    fixture.extract().await.unwrap();
    let text: Vec<String> = cells(&fixture, "t").into_iter().map(|(_, _, cell)| cell).collect();
    assert_eq!(
        text[..4],
        ["2026-01-31T11:00:00Z", "1 year 2 days", "12.34", "0.30000000000000004"]
    );
    assert_eq!(text[5], "[2026-01-31]");
}
