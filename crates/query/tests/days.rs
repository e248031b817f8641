//! What a query sees of one day and of all days.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, BinaryArray, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use lake_storage::{Coverage, RunLog, StepStatus};
use serde_json::{Value, json};

use crate::support::{DAY_1, DAY_2, DAY_3, TestLake, chain, csv, date, day, error, ints, of_files, rows, table, texts};

#[tokio::test]
async fn one_day_is_the_table_as_it_is_in_its_source() {
    let lake = TestLake::new();
    lake.day("postgres", DAY_1, vec![table("orders", vec![("id", ints([3, 1, 2]))])])
        .await;
    lake.day("postgres", DAY_2, vec![table("orders", vec![("id", ints([4]))])])
        .await;
    assert_eq!(
        csv(&lake.engine(day(DAY_1)), "select * from orders").await.unwrap(),
        "id\n3\n1\n2\n"
    );
    assert_eq!(lake.on(DAY_2, "select id from postgres.orders").await, "4\n");
    let message = error(&lake.engine(day(DAY_1)), "select extract_date from orders").await;
    assert!(message.contains("only a query over all days"), "{message}");
}

#[tokio::test]
async fn all_days_have_their_date_as_the_last_column() {
    let lake = TestLake::new();
    for (date, id) in [(DAY_1, 1), (DAY_2, 2)] {
        lake.day("postgres", date, vec![table("orders", vec![("id", ints([id]))])])
            .await;
    }
    let engine = lake.engine(lake_query::Scope::AllDays);
    let all = csv(&engine, "select * from orders order by id").await.unwrap();
    assert_eq!(all, "id,extract_date\n1,2026-01-01\n2,2026-01-02\n");
    // A day written while the engine lives is seen by its next query.
    lake.day("postgres", DAY_3, vec![table("orders", vec![("id", ints([3]))])])
        .await;
    assert_eq!(
        rows(&engine, "select count(*), max(extract_date) from orders").await,
        "3,2026-01-03\n"
    );
}

#[tokio::test]
async fn columns_that_come_and_go_are_null_on_the_other_days() {
    let lake = TestLake::new();
    let old: ArrayRef = Arc::new(Int32Array::from(vec![10]));
    lake.day(
        "postgres",
        DAY_1,
        vec![table("t", vec![("id", ints([1])), ("gone", old)])],
    )
    .await;
    lake.day(
        "postgres",
        DAY_2,
        vec![table("t", vec![("id", ints([2])), ("new", texts(["b"]))])],
    )
    .await;
    assert_eq!(
        lake.all("select * from t order by id").await,
        "1,10,,2026-01-01\n2,,b,2026-01-02\n"
    );
    assert_eq!(lake.all("select id from t where new is null").await, "1\n");
    assert_eq!(
        lake.all("select id from t where gone = 10 or new = 'b' order by 1")
            .await,
        "1\n2\n"
    );
    assert_eq!(lake.on(DAY_2, "select * from t").await, "2,b\n");
}

#[tokio::test]
async fn a_type_that_changed_is_widened_or_refused() {
    let lake = TestLake::new();
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    lake.day(
        "postgres",
        DAY_1,
        vec![table("t", vec![("n", narrow), ("c", ints([1]))])],
    )
    .await;
    // Storage refuses this in place: only a table moved away in between can change its types so.
    move_away(&lake, "t");
    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"a"]));
    lake.day(
        "postgres",
        DAY_2,
        vec![table("t", vec![("n", ints([1 << 40])), ("c", bytes)])],
    )
    .await;
    move_back(&lake, "t", DAY_1);

    let message = error(&lake.engine(lake_query::Scope::AllDays), "select n from t").await;
    assert!(
        message.contains("table t, column c: it is Int64 on 2026-01-01 and Binary on 2026-01-02"),
        "{message}"
    );
    assert_eq!(lake.on(DAY_2, "select n from t").await, "1099511627776\n");
}

#[tokio::test]
async fn widened_columns_read_and_filter() {
    let lake = TestLake::new();
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    lake.day("postgres", DAY_1, vec![table("t", vec![("n", narrow)])]).await;
    move_away(&lake, "t");
    lake.day("postgres", DAY_2, vec![table("t", vec![("n", ints([1 << 40]))])])
        .await;
    move_back(&lake, "t", DAY_1);
    assert_eq!(lake.all("select n from t order by n").await, "1\n1099511627776\n");
    assert_eq!(lake.all("select n from t where n > 5").await, "1099511627776\n");
    assert_eq!(lake.all("select n from t where n < 5").await, "1\n");
}

fn move_away(lake: &TestLake, table: &str) {
    let folder = lake.lake.table_dir("postgres", table).unwrap();
    fs::rename(&folder, folder.with_extension("old")).unwrap();
}

fn move_back(lake: &TestLake, table: &str, date: &str) {
    let folder = lake.lake.table_dir("postgres", table).unwrap();
    let partition = format!("extract_date={date}");
    fs::rename(folder.with_extension("old").join(&partition), folder.join(&partition)).unwrap();
}

#[tokio::test]
async fn empty_tables_have_their_columns() {
    let lake = TestLake::new();
    lake.day(
        "postgres",
        DAY_1,
        vec![table("t", vec![("id", ints([])), ("name", texts([]))])],
    )
    .await;
    lake.day(
        "postgres",
        DAY_2,
        vec![table("t", vec![("id", ints([7])), ("name", texts(["x"]))])],
    )
    .await;
    assert_eq!(
        csv(&lake.engine(day(DAY_1)), "select * from t").await.unwrap(),
        "id,name\n"
    );
    assert_eq!(lake.on(DAY_1, "select count(*), sum(id) from t").await, "0,\n");
    assert_eq!(lake.all("select id, extract_date from t").await, "7,2026-01-02\n");
}

#[tokio::test]
async fn rows_come_in_the_order_of_the_manifest() {
    let lake = TestLake::new();
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let batch = |from: i64| RecordBatch::try_new(schema.clone(), vec![ints(from..from + 20_000)]).unwrap();
    let files = [60_000, 0, 40_000, 20_000].map(|from| vec![batch(from)]).to_vec();
    lake.day("postgres", DAY_1, vec![of_files("t", schema.clone(), files)])
        .await;
    let read = lake.on(DAY_1, "select id from t").await;
    let expected: Vec<i64> = [60_000, 0, 40_000, 20_000]
        .into_iter()
        .flat_map(|from| from..from + 20_000)
        .collect();
    let read: Vec<i64> = read.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(read, expected);
    assert_eq!(lake.on(DAY_1, "select id from t limit 2").await, "60000\n60001\n");
}

#[tokio::test]
async fn a_day_that_is_missing_names_the_step() {
    let lake = TestLake::new();
    let engine = lake.engine(day(DAY_2));
    // Nothing is there at all: any of the configured sources may have it.
    let message = error(&engine, "select * from orders").await;
    assert!(
        message.contains("`lake extract --date 2026-01-02 --source csv`"),
        "{message}"
    );
    assert!(
        message.contains("`lake extract --date 2026-01-02 --source postgres`"),
        "{message}"
    );

    lake.day("postgres", DAY_1, vec![table("orders", vec![("id", ints([1]))])])
        .await;
    for sql in ["select * from orders", "select * from postgres.orders"] {
        let failure = csv(&engine, sql).await.unwrap_err();
        let lake_query::Error::Lake(lake_storage::Error::Prerequisite { missing }) = &failure else {
            panic!("{}", chain(&failure));
        };
        assert_eq!(missing[0].command(), "lake extract --date 2026-01-02 --source postgres");
    }
    let failure = error(&engine, "select * from results.totals").await;
    assert!(
        failure.contains("`lake transform --date 2026-01-02 --query totals`"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_partial_day_shows_the_tables_that_it_has() {
    let lake = TestLake::new();
    let tables = vec![table("orders", vec![("id", ints([1]))])];
    lake.write("postgres", DAY_1, tables, Coverage::Some).await;
    assert_eq!(lake.on(DAY_1, "select * from orders").await, "1\n");
    let message = error(&lake.engine(day(DAY_1)), "select * from postgres.customers").await;
    assert!(
        message.contains("lake extract --date 2026-01-01 --source postgres"),
        "{message}"
    );
    // All days are the complete ones.
    let message = error(&lake.engine(lake_query::Scope::AllDays), "select * from orders").await;
    assert!(message.contains("there is no table orders"), "{message}");
}

#[tokio::test]
async fn runs_are_a_table() {
    let lake = TestLake::new();
    assert_eq!(lake.all("select count(*) from lake.runs").await, "0\n");
    let mut log = RunLog::begin(&lake.lake, "lake run", DAY_1.parse().unwrap()).unwrap();
    log.step_started("extract", Some("postgres")).unwrap();
    log.step_ended(|step| step.rows = 12).unwrap();
    log.step_started("load", None).unwrap();
    log.step_ended(|step| {
        step.status = StepStatus::Failed;
        step.error = Some("no server".into());
    })
    .unwrap();
    let sql = "select command, date, step, source, status, rows, error from lake.runs where ended_at >= started_at";
    assert_eq!(
        lake.on(DAY_2, sql).await,
        "lake run,2026-01-01,extract,postgres,done,12,\nlake run,2026-01-01,load,,failed,0,no server\n"
    );
}

#[tokio::test]
async fn days_from_before_char_was_trimmed_are_read_as_the_others() {
    let lake = TestLake::new();
    let column = |values: [&str; 2]| {
        let metadata = [("postgres.type".to_owned(), "character(8)".to_owned())].into();
        let field = Field::new("name", DataType::Utf8, true).with_metadata(metadata);
        let schema = Arc::new(Schema::new(vec![field, Field::new("id", DataType::Int64, true)]));
        let batch = RecordBatch::try_new(schema.clone(), vec![texts(values), ints([1, 2])]).unwrap();
        of_files("nations", schema, vec![vec![batch]])
    };
    lake.day("postgres", DAY_1, vec![column(["FRANCE  ", "GERMANY "])])
        .await;
    lake.day("postgres", DAY_2, vec![column(["FRANCE", "GERMANY"])]).await;

    let path = lake
        .lake
        .root()
        .join("_manifests/postgres")
        .join(format!("{DAY_1}.json"));
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["format"] = json!(1);
    manifest.as_object_mut().unwrap().remove("hash");
    let entry = manifest["tables"]["nations"].as_object_mut().unwrap();
    assert_eq!(entry.remove("trimmed"), Some(json!(true)));
    fs::write(&path, manifest.to_string()).unwrap();

    let sql = "select id, extract_date from nations where name = 'FRANCE' order by extract_date";
    assert_eq!(lake.all(sql).await, format!("1,{DAY_1}\n1,{DAY_2}\n"));
    assert_eq!(
        lake.all("select name, count(*) from nations where name in ('FRANCE', 'ITALY') group by name")
            .await,
        "FRANCE  ,2\n"
    );
    assert_eq!(
        lake.on(DAY_1, "select name || '|', length(name) from nations where id = 2")
            .await,
        "GERMANY|,7\n"
    );
    let manifest = lake.lake.manifest("postgres", date(DAY_1)).unwrap().unwrap();
    let batches = lake
        .lake
        .batches("postgres", "nations", &manifest.tables["nations"])
        .unwrap();
    for batch in batches {
        let batch = batch.unwrap();
        let names: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(names, ["FRANCE", "GERMANY"]);
    }
}
