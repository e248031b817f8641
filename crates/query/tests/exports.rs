//! Results as files.

use std::fs;
use std::path::Path;

use lake_query::{Error, Export, ExportReport, Format, export};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{DAY_1, TestLake, date, ints, table, texts};
use crate::transforms::run;

fn export_to(lake: &TestLake, output: &Path, queries: &[&str], formats: &[Format]) -> Result<ExportReport, Error> {
    let queries: Vec<String> = queries.iter().map(|&query| query.to_owned()).collect();
    let request = Export {
        queries: &queries,
        date: date(DAY_1),
        formats,
        output,
        jobs: 2,
    };
    export(&lake.lake, &request, |_| {})
}

async fn lake() -> TestLake {
    let lake = TestLake::new();
    let columns = vec![("id", ints([2, 1])), ("note", texts(["x", "a,b"]))];
    lake.day("postgres", DAY_1, vec![table("t", columns)]).await;
    lake
}

#[tokio::test]
async fn each_query_is_a_file_in_each_format() {
    let lake = lake().await;
    run(
        &lake,
        &[("q", "select * from t"), ("Odd/name", "select id from t where id > 9")],
    )
    .await
    .unwrap();
    let output = tempfile::tempdir().unwrap();
    let report = export_to(&lake, output.path(), &["q", "Odd/name"], &Format::ALL).unwrap();
    assert_eq!((report.files.len(), report.rows), (12, 12));

    let folder = output.path().join(DAY_1);
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(text("q.csv"), "id,note\n2,x\n1,\"a,b\"\n");
    assert_eq!(text("q.tsv"), "id\tnote\n2\tx\n1\ta,b\n");
    assert_eq!(
        text("q.json"),
        "[{\"id\":2,\"note\":\"x\"},\n {\"id\":1,\"note\":\"a,b\"}]\n"
    );
    assert_eq!(
        text("q.ndjson"),
        "{\"id\":2,\"note\":\"x\"}\n{\"id\":1,\"note\":\"a,b\"}\n"
    );
    assert_eq!(
        text("q.txt"),
        " id | note \n----+------\n  2 | x\n  1 | a,b\n(2 rows)\n"
    );
    assert_eq!(
        text(&format!("{}.json", lake_storage::encode_segment("Odd/name").unwrap())),
        "[]\n"
    );
    assert_eq!(
        text(&format!("{}.csv", lake_storage::encode_segment("Odd/name").unwrap())),
        "id\n"
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 12);
    for file in &report.files {
        assert_eq!(fs::metadata(&file.path).unwrap().len(), file.bytes, "{file:?}");
    }
    let parquet = fs::File::open(folder.join("q.parquet")).unwrap();
    let read = ParquetRecordBatchReaderBuilder::try_new(parquet)
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2);
}

#[tokio::test]
async fn missing_and_stale_results_are_refused_before_anything_is_written() {
    let lake = lake().await;
    run(&lake, &[("q", "select * from t")]).await.unwrap();
    let output = tempfile::tempdir().unwrap();
    let commands = |result: Result<ExportReport, Error>| match result {
        Err(Error::Lake(lake_storage::Error::Prerequisite { missing })) => missing
            .iter()
            .map(lake_storage::MissingStep::command)
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let missing = commands(export_to(&lake, output.path(), &["q", "other"], &[Format::Csv]));
    assert_eq!(missing, ["lake transform --date 2026-01-01 --query other"]);

    lake.day("postgres", DAY_1, vec![table("t", vec![("id", ints([7]))])])
        .await;
    let stale = commands(export_to(&lake, output.path(), &["q"], &[Format::Csv]));
    assert_eq!(stale, ["lake transform --date 2026-01-01 --query q"]);
    assert_eq!(fs::read_dir(output.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_export_that_fails_leaves_the_earlier_file() {
    let lake = lake().await;
    run(&lake, &[("q", "select * from t")]).await.unwrap();
    let output = tempfile::tempdir().unwrap();
    export_to(&lake, output.path(), &["q"], &[Format::Csv]).unwrap();
    let path = output.path().join(DAY_1).join("q.csv");
    let before = fs::read(&path).unwrap();

    let manifest = lake.lake.manifest("results", date(DAY_1)).unwrap().unwrap();
    let file = &lake.lake.files("results", "q", &manifest.tables["q"]).unwrap()[0];
    fs::write(&file.path, "no Parquet").unwrap();
    assert!(export_to(&lake, output.path(), &["q"], &[Format::Csv]).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}
