//! Columns that come, go and change between days.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use lake_storage::{Coverage, Error};

use crate::{begin, day, lake, table_of};

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_may_come_and_go() {
    let (_folder, lake) = lake();
    let x = || Field::new("x", DataType::Int64, true);
    let values = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let note = Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    let days: [(&str, SchemaRef, Vec<ArrayRef>); 3] = [
        ("2026-01-01", schema(vec![x()]), vec![values()]),
        (
            "2026-01-02",
            schema(vec![x(), note.clone()]),
            vec![values(), Arc::new(TimestampMicrosecondArray::from(vec![5]))],
        ),
        (
            "2026-01-03",
            schema(vec![note]),
            vec![Arc::new(TimestampMicrosecondArray::from(vec![6]))],
        ),
    ];
    for (date, schema, columns) in days {
        let writer = begin(&lake, date);
        let write = table_of(&writer, "t", schema.clone(), columns);
        let manifest = writer.publish(vec![write], Coverage::Whole).await.unwrap();
        // A day's own columns are those that it came with.
        assert_eq!(
            manifest.tables["t"].arrow_schema("t").unwrap().fields().len(),
            schema.fields().len()
        );
    }
    let url = url::Url::from_directory_path(lake.table_dir("shop", "t").unwrap()).unwrap();
    let table = deltalake::open_table(url).await.unwrap();
    let names: Vec<String> = table
        .snapshot()
        .unwrap()
        .schema()
        .fields()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, ["x", "at", "extract_date"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_type_is_refused_with_both_types() {
    let (_folder, lake) = lake();
    for (date, field, column) in [
        (
            "2026-01-01",
            Field::new("x", DataType::Int64, true),
            Arc::new(Int64Array::from(vec![1])) as ArrayRef,
        ),
        (
            "2026-01-02",
            Field::new("x", DataType::Utf8, true),
            Arc::new(StringArray::from(vec!["a"])) as ArrayRef,
        ),
    ] {
        let writer = begin(&lake, date);
        let write = table_of(&writer, "t", schema(vec![field]), vec![column]);
        let published = writer.publish(vec![write], Coverage::Whole).await;
        if date == "2026-01-02" {
            let error = published.unwrap_err();
            assert!(matches!(error, Error::ColumnType { .. }), "{error}");
            let text = error.to_string();
            assert!(
                text.contains("Int64") && text.contains("Utf8") && text.contains("shop/t away"),
                "{text}"
            );
        }
    }
    assert!(lake.manifest("shop", day("2026-01-02")).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_keep_their_metadata_and_types() {
    let (_folder, lake) = lake();
    let metadata = HashMap::from([
        ("postgres.type".to_owned(), "numeric(15,2)".to_owned()),
        ("postgres.primary_key".to_owned(), "1".to_owned()),
    ]);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
    let list_type = DataType::List(Arc::new(Field::new("element", DataType::Int32, true)));
    let (offsets, values) = (list.offsets().clone(), list.values().clone());
    let list = ListArray::new(
        Arc::new(Field::new("element", DataType::Int32, true)),
        offsets,
        values,
        None,
    );
    let schema = schema(vec![
        Field::new("price", DataType::Decimal128(15, 2), true).with_metadata(metadata.clone()),
        Field::new("tags", list_type, true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ]);
    let price = Decimal128Array::from(vec![125])
        .with_precision_and_scale(15, 2)
        .unwrap();
    let at = TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC");
    let writer = begin(&lake, "2026-01-01");
    let write = table_of(
        &writer,
        "t",
        schema.clone(),
        vec![Arc::new(price), Arc::new(list), Arc::new(at)],
    );
    let manifest = writer.publish(vec![write], Coverage::Whole).await.unwrap();
    let read = manifest.tables["t"].arrow_schema("t").unwrap();
    assert_eq!(read.field(0).metadata()["postgres.type"], "numeric(15,2)");
    assert_eq!(read.field(0).metadata()["postgres.primary_key"], "1");
    let types = |schema: &Schema| {
        schema
            .fields()
            .iter()
            .map(|f| f.data_type().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(types(&read), types(&schema));
}
