//! Files, manifests and Delta logs that are damaged, everywhere: no answer is wrong, and each error names its file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Schema};
use lake_query::{Engine, Scope};
use lake_storage::{Audit, Lake, Memory, MemorySize, TableEntry};

use crate::support::{DAY_1, TestLake, chain, csv, date, day, of_files};

/// Of every column something that any other value would change.
const SUMS: &str = "select count(*), sum(id), sum(small), count(small), sum(price), sum(octet_length(encode(data, 'hex'))), count(flag), \
     max(ts), sum(cardinality(list)), sum(float), max(text), min(text), max(data) from t";

/// Rows of a row group.
const ROWS: i64 = 600;

/// A table of several types in four row groups.
async fn lake() -> TestLake {
    let mut lake = TestLake::new();
    // A batch of 2 MB is a row group of its own then.
    lake.lake = lake.lake.clone().with_memory(Memory::new(MemorySize::MIN, 16));
    let batches: Vec<RecordBatch> = (0..4).map(batch).collect();
    let schema = Arc::new(Schema::clone(&batches[0].schema()));
    lake.day("postgres", DAY_1, vec![of_files("t", schema, vec![batches])])
        .await;
    lake
}

fn batch(group: i64) -> RecordBatch {
    let rows = group * ROWS..group * ROWS + ROWS;
    let ids = || rows.clone();
    let long = format!("{group}{}", "x".repeat(8_000)); // a dictionary has it once
    let lists = ids().map(|id| (id % 5 != 0).then(|| (0..id % 4).map(|item| Some(item as i32)).collect::<Vec<_>>()));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids()))),
        (
            "small",
            Arc::new(Int32Array::from_iter(
                ids().map(|id| (id % 3 != 0).then_some(id as i32 * 7)),
            )),
        ),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values(ids().map(|id| i128::from(id) * 12_345))
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter_values(
                ids().map(|id| if id % 2 == 0 { &long } else { "ä" }),
            )),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from_iter(
                ids().map(|id| (id % 7 != 0).then_some(id % 2 == 0)),
            )),
        ),
        (
            "ts",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                ids().map(|id| id * 1_000_003),
            )),
        ),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
        ),
        (
            "data",
            Arc::new(BinaryArray::from_iter_values(ids().map(|id| id.to_le_bytes()))),
        ),
        (
            "float",
            Arc::new(Float64Array::from_iter_values(ids().map(|id| id as f64 / 8.0))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn entry(lake: &Lake) -> TableEntry {
    let manifest = lake.manifest("postgres", date(DAY_1)).unwrap().unwrap();
    manifest.tables["t"].clone()
}

/// Where the file's footer begins.
fn footer(lake: &Lake) -> usize {
    let file = lake.files("postgres", "t", &entry(lake)).unwrap().remove(0);
    let opened = file.open().unwrap();
    assert_eq!(opened.metadata().num_row_groups(), 4);
    let last = opened.metadata().row_group(3).columns().last().unwrap().byte_range();
    (last.0 + last.1) as usize
}

/// All rows as they were written, or the error.
fn batches(lake: &Lake, entry: &TableEntry) -> Result<Vec<RecordBatch>, String> {
    let reader = lake.batches("postgres", "t", entry).unwrap();
    reader.collect::<Result<Vec<_>, _>>().map_err(|error| chain(&error))
}

fn audit(lake: &Lake) -> Vec<String> {
    let report = lake.audit(&Audit::default(), |_| ()).unwrap();
    report.findings.into_iter().map(|finding| finding.problem).collect()
}

async fn answer(engine: &Engine, sql: &str) -> Result<String, String> {
    csv(engine, sql).await.map_err(|error| chain(&error))
}

/// Flips one bit of a byte.
fn flipped(content: &[u8], position: usize) -> Vec<u8> {
    let mut content = content.to_vec();
    content[position] ^= 1 << (position % 8);
    content
}

/// Other damages than a bit.
fn crippled(content: &[u8]) -> Vec<Vec<u8>> {
    let half = content.len() / 2;
    let zeros = |from: usize, to: usize| {
        let mut content = content.to_vec();
        content[from..to].fill(0);
        content
    };
    vec![
        Vec::new(),
        content[..half].to_vec(),
        content[..content.len() - 1].to_vec(),
        [content, b"x"].concat(),
        [content, content].concat(),
        zeros(half, half + 512),
        zeros(content.len() - 512, content.len()),
        zeros(0, content.len()),
    ]
}

#[tokio::test]
async fn a_changed_byte_of_a_file_is_an_error_that_names_it() {
    let lake = lake().await;
    let entry = entry(&lake.lake);
    let file = lake.lake.files("postgres", "t", &entry).unwrap().remove(0);
    let name = file.path.display().to_string();
    let content = fs::read(&file.path).unwrap();
    let engine = lake.engine_of(day(DAY_1), &["postgres"], 2);
    let right = answer(&engine, SUMS).await.unwrap();
    let all = batches(&lake.lake, &entry).unwrap();
    assert_eq!(all.iter().map(RecordBatch::num_rows).sum::<usize>(), 2400);
    assert_eq!(audit(&lake.lake), [""; 0]);

    let footer = footer(&lake.lake);
    let data = (0..footer).step_by(211);
    let mut cases: Vec<(bool, Vec<u8>)> = data
        .map(|position| (position < 4, flipped(&content, position)))
        .collect();
    cases.extend(
        (footer..content.len())
            .step_by(11)
            .map(|position| (false, flipped(&content, position))),
    );
    cases.extend(crippled(&content).into_iter().map(|content| (false, content)));
    for (place, (of_magic, damaged)) in cases.into_iter().enumerate() {
        fs::write(&file.path, damaged).unwrap();
        let found = audit(&lake.lake);
        assert!(found.len() == 1 && found[0].contains(&name), "{place}: {found:?}");
        match batches(&lake.lake, &entry) {
            Ok(read) => assert!(of_magic && read == all, "{place}"),
            Err(error) => {
                assert!(
                    error.contains(&name) && error.contains("lake extract --date 2026-01-01 --source postgres"),
                    "{error}"
                );
            }
        }
        if place % 8 == 0 {
            match answer(&engine, SUMS).await {
                Ok(answer) => assert!(of_magic && answer == right, "{place}: {answer}"),
                Err(error) => assert!(error.contains(&name), "{place}: {error}"),
            }
        }
    }
    fs::remove_file(&file.path).unwrap();
    let gone = answer(&engine, SUMS).await.unwrap_err();
    assert!(gone.contains(&name) && gone.contains("it is gone"), "{gone}");
    assert!(batches(&lake.lake, &entry).unwrap_err().contains("it is gone"));
    fs::write(&file.path, &content).unwrap();
    assert_eq!(answer(&engine, SUMS).await.unwrap(), right);
}

#[tokio::test]
async fn only_what_is_read_has_to_be_whole() {
    let lake = lake().await;
    let file = lake.lake.files("postgres", "t", &entry(&lake.lake)).unwrap().remove(0);
    let content = fs::read(&file.path).unwrap();
    let engine = lake.engine(day(DAY_1));
    let sum: i64 = (215..4 * ROWS).filter(|id| id % 3 != 0).map(|id| id * 7).sum();
    // Somewhere in the first row group's first column.
    fs::write(&file.path, flipped(&content, 40)).unwrap();
    assert_eq!(
        answer(&engine, "select sum(small) from t where small > 1500")
            .await
            .unwrap(),
        format!("sum(t.small)\n{sum}\n")
    );
    let error = answer(&engine, "select sum(id) from t").await.unwrap_err();
    assert!(error.contains("column \"id\" has changed in row group 0"), "{error}");
    // A page of another row group is read by the page index, and checked with all of its chunk.
    assert_eq!(
        answer(&engine, "select id from t where id = 2399").await.unwrap(),
        "id\n2399\n"
    );
    assert!(answer(&engine, "select id from t where id = 3").await.is_err());
}

/// Makes the manifest one from before there were hashes.
fn without_hashes(lake: &Lake) -> PathBuf {
    let path = lake.root().join("_manifests/postgres/2026-01-01.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["format"] = 1.into();
    for member in ["hash", "version"] {
        manifest.as_object_mut().unwrap().remove(member);
    }
    manifest["tables"]["t"]["files"][0]
        .as_object_mut()
        .unwrap()
        .remove("footer");
    fs::write(&path, manifest.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_file_without_hashes_makes_no_panic() {
    let lake = lake().await;
    let footer = footer(&lake.lake);
    without_hashes(&lake.lake);
    let entry = entry(&lake.lake);
    let file = lake.lake.files("postgres", "t", &entry).unwrap().remove(0);
    assert!(!file.has_hashes());
    let name = file.path.display().to_string();
    let content = fs::read(&file.path).unwrap();
    let engine = lake.engine_of(day(DAY_1), &["postgres"], 2);
    let right = answer(&engine, SUMS).await.unwrap();
    let report = lake.lake.audit(&Audit::default(), |_| ()).unwrap();
    assert_eq!(
        (report.files, report.files_without_hashes, report.findings.len()),
        (1, 1, 0)
    );

    let positions = (0..footer).step_by(1999).chain((footer..content.len()).step_by(67));
    let cases = positions
        .map(|position| flipped(&content, position))
        .chain(crippled(&content));
    for damaged in cases {
        fs::write(&file.path, damaged).unwrap();
        if let Err(error) = batches(&lake.lake, &entry) {
            assert!(error.contains(&name), "{error}");
        }
        if let Err(error) = answer(&engine, SUMS).await {
            assert!(error.contains(&name), "{error}");
        }
    }
    fs::write(&file.path, &content).unwrap();
    assert_eq!(answer(&engine, SUMS).await.unwrap(), right);
}

#[tokio::test]
async fn a_changed_byte_of_a_manifest_is_an_error_that_names_it() {
    let lake = lake().await;
    let path = lake.lake.root().join("_manifests/postgres/2026-01-01.json");
    let content = fs::read(&path).unwrap();
    let engine = lake.engine(day(DAY_1));
    for (place, damaged) in (0..content.len())
        .map(|position| flipped(&content, position))
        .chain(crippled(&content))
        .enumerate()
    {
        fs::write(&path, damaged).unwrap();
        let error = chain(&lake.lake.manifest("postgres", date(DAY_1)).unwrap_err());
        assert!(
            error.contains(&path.display().to_string()) && error.contains("lake extract --date 2026-01-01"),
            "{error}"
        );
        if place % 100 == 0 {
            let error = answer(&engine, "select count(*) from t").await.unwrap_err();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
    // What mends it.
    let batches = vec![batch(0)];
    let schema = batches[0].schema();
    lake.day("postgres", DAY_1, vec![of_files("t", schema, vec![batches])])
        .await;
    assert_eq!(
        answer(&engine, "select count(*) from t").await.unwrap(),
        "count(*)\n600\n"
    );
}

#[tokio::test]
async fn a_damaged_delta_log_makes_no_panic() {
    let lake = lake().await;
    let log = lake
        .lake
        .table_dir("postgres", "t")
        .unwrap()
        .join("_delta_log/00000000000000000000.json");
    let content = fs::read(&log).unwrap();
    let columns = lake.lake.table_schema("postgres", "t").await.unwrap().unwrap();
    let positions = (0..content.len())
        .step_by(37)
        .map(|position| flipped(&content, position));
    for damaged in positions.chain(crippled(&content)) {
        fs::write(&log, damaged).unwrap();
        match lake.lake.table_schema("postgres", "t").await {
            Ok(read) => assert!(read.is_none_or(|read| read.fields().len() <= columns.fields().len() + 1)),
            Err(error) => assert!(chain(&error).contains("postgres/t"), "{}", chain(&error)),
        }
    }
    let engine = lake.engine(Scope::AllDays);
    assert_eq!(
        answer(&engine, "select count(*) from postgres.t").await.unwrap(),
        "count(*)\n2400\n"
    );
}

/// Copies a folder with what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(drop).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_lake_of_the_first_format_is_read() {
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new("tests/lake_of_format_1"), folder.path());
    let lake = Lake::at(folder.path()).unwrap();
    let engine = Engine::new(&lake, day("2026-01-31"), &["csv".to_owned()], &Default::default()).unwrap();
    let rows = answer(&engine, "select id, name from items order by id").await.unwrap();
    assert_eq!(rows, "id,name\n1,one\n2,two\n3,\n");
    let report = lake.audit(&Audit::default(), |_| ()).unwrap();
    assert_eq!(
        (report.files, report.files_without_hashes, report.findings.len()),
        (1, 1, 0)
    );
}
