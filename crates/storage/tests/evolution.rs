//! Columns that come, go and change between days.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, Int32Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use lake_storage::{Coverage, DayWriter, Error, Lake, Manifest, SchemaChange, TableWrite};

use crate::{begin, day, delta_files, lake, parquet_files, table_of};

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

/// A table of one column `x` with one row.
fn one(lake: &Lake, date: &str, column: ArrayRef) -> (DayWriter, TableWrite) {
    let writer = begin(lake, date);
    let field = Field::new("x", column.data_type().clone(), true);
    let write = table_of(&writer, "t", schema(vec![field]), vec![column]);
    (writer, write)
}

async fn publish_one(lake: &Lake, date: &str, column: ArrayRef) -> Result<Manifest, Error> {
    let (writer, write) = one(lake, date, column);
    writer.publish(vec![write], Coverage::Whole).await
}

fn decimal(units: i128, precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(vec![units]);
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

/// The type of `x` and its value as text, by each day's manifest; and the file that each has, which
/// has to be the only one in its folder.
fn contents(lake: &Lake) -> (Vec<String>, Vec<String>) {
    let (mut contents, mut files) = (Vec::new(), Vec::new());
    for date in lake.days("shop").unwrap() {
        let manifest = lake.manifest("shop", date).unwrap().unwrap();
        let entry = &manifest.tables["t"];
        let declared = entry.arrow_schema("t").unwrap().field(0).data_type().clone();
        for batch in lake.batches("shop", "t", entry).unwrap() {
            let batch = batch.unwrap();
            assert_eq!(batch.column(0).data_type(), &declared);
            let value = arrow::util::display::array_value_to_string(batch.column(0), 0).unwrap();
            contents.push(format!("{declared} {value}"));
        }
        let of_day: Vec<String> = entry
            .files
            .iter()
            .map(|file| file.path.strip_prefix("extract_date=").unwrap().to_owned())
            .collect();
        let in_folder: Vec<String> = parquet_files(lake, "t", &date.to_string())
            .iter()
            .map(|name| format!("{date}/{name}"))
            .collect();
        assert_eq!(of_day, in_folder);
        files.extend(of_day);
    }
    (contents, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_grows_and_the_other_days_with_it() {
    let (_folder, lake) = lake();
    let steps: [(&str, ArrayRef, &[&str]); 4] = [
        ("2026-01-01", Arc::new(Int64Array::from(vec![7])), &["Int64 7"]),
        (
            "2026-01-03",
            decimal(150, 18, 2),
            &["Decimal128(21, 2) 7.00", "Decimal128(21, 2) 1.50"],
        ),
        // A day between, of a narrower type.
        (
            "2026-01-02",
            Arc::new(Int64Array::from(vec![8])),
            &[
                "Decimal128(21, 2) 7.00",
                "Decimal128(21, 2) 8.00",
                "Decimal128(21, 2) 1.50",
            ],
        ),
        (
            "2026-01-04",
            Arc::new(StringArray::from(vec!["n/a"])),
            &["Utf8 7.00", "Utf8 8.00", "Utf8 1.50", "Utf8 n/a"],
        ),
    ];
    for (date, column, expected) in steps {
        publish_one(&lake, date, column).await.unwrap();
        let (contents, files) = contents(&lake);
        assert_eq!(contents, expected);
        assert_eq!(delta_files(&lake, "t").await, files);
    }
    let folder = lake.table_dir("shop", "t").unwrap();
    assert!(!folder.join("_retyping").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_that_was_broken_off_is_completed_by_the_next_run() {
    let (_folder, lake) = lake();
    for (date, value) in [("2026-01-01", 1), ("2026-01-02", 2)] {
        publish_one(&lake, date, Arc::new(Int32Array::from(vec![value])))
            .await
            .unwrap();
    }
    let wide = || Arc::new(Int64Array::from(vec![1 << 40])) as ArrayRef;
    // The first day is rewritten, then the second turns out to be in another run's hands.
    let other_run = begin(&lake, "2026-01-02");
    let error = publish_one(&lake, "2026-01-03", wide()).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(other_run);
    let types = |lake: &Lake, date: &str| {
        let manifest = lake.manifest("shop", day(date)).unwrap().unwrap();
        manifest.tables["t"]
            .arrow_schema("t")
            .unwrap()
            .field(0)
            .data_type()
            .clone()
    };
    assert_eq!(types(&lake, "2026-01-01"), DataType::Int64);
    assert_eq!(types(&lake, "2026-01-02"), DataType::Int32);

    // Another day, and of the old type at that: what was begun is completed all the same.
    publish_one(&lake, "2026-01-04", Arc::new(Int32Array::from(vec![4])))
        .await
        .unwrap();
    let (contents, files) = contents(&lake);
    assert_eq!(contents, ["Int64 1", "Int64 2", "Int64 4"]);
    assert_eq!(delta_files(&lake, "t").await, files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_common_type_changes_nothing() {
    let (_folder, lake) = lake();
    publish_one(&lake, "2026-01-01", Arc::new(Int64Array::from(vec![1])))
        .await
        .unwrap();
    let bytes = || Arc::new(BinaryArray::from_vec(vec![b"x"])) as ArrayRef;
    let error = publish_one(&lake, "2026-01-02", bytes()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "table t, column x: binary now, long on 2026-01-01; no type holds both: leave the column out, or rename \
         it so that it is a new one"
    );
    assert_eq!(contents(&lake).0, ["Int64 1"]);
    assert_eq!(delta_files(&lake, "t").await.len(), 1);
    // With no other day there is nothing to fit.
    publish_one(&lake, "2026-01-01", bytes()).await.unwrap();
    assert_eq!(contents(&lake).0, ["Binary 78"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_wider_type_lacks_is_an_error_and_every_day_stays() {
    let (_folder, lake) = lake();
    let far = Arc::new(Date32Array::from(vec![2_000_000_000])) as ArrayRef;
    publish_one(&lake, "2026-01-01", far).await.unwrap();
    let moments = Arc::new(TimestampMicrosecondArray::from(vec![5])) as ArrayRef;
    let error = publish_one(&lake, "2026-01-02", moments).await.unwrap_err();
    assert!(matches!(error, Error::Retype { .. }), "{error}");
    assert!(
        error.to_string().contains("column x: it is timestamp_ntz now"),
        "{error}"
    );
    // Dates go on as before.
    let near = Arc::new(Date32Array::from(vec![0])) as ArrayRef;
    publish_one(&lake, "2026-01-02", near).await.unwrap();
    let days = lake.days("shop").unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!(delta_files(&lake, "t").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_lake_refuses_every_change_at_once() {
    let (_folder, lake) = lake();
    let lake = lake.with_schema_change(SchemaChange::Freeze);
    for date in ["2026-01-01", "2026-01-02"] {
        publish_one(&lake, date, Arc::new(Int32Array::from(vec![1])))
            .await
            .unwrap();
    }
    let writer = begin(&lake, "2026-01-03");
    let schema = schema(vec![
        Field::new("x", DataType::Int64, true),
        Field::new("note", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1])),
        Arc::new(StringArray::from(vec!["a"])),
    ];
    let write = table_of(&writer, "t", schema, columns);
    let error = writer.publish(vec![write], Coverage::Whole).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("column x: long now, integer on 2 days from 2026-01-01 to 2026-01-02"),
        "{text}"
    );
    assert!(text.contains("column note: string now, not there on 2 days"), "{text}");
    assert!(lake.manifest("shop", day("2026-01-03")).unwrap().is_none());
    // As it was, it goes on.
    publish_one(&lake, "2026-01-03", Arc::new(Int32Array::from(vec![1])))
        .await
        .unwrap();
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
