//! The Delta log under other writers, a power loss, many commits, and runs that begin at once.

use std::fs;
use std::path::{Path, PathBuf};

use lake_storage::{Adopt, Error, Lake, RunId};
use serde_json::{Value, json};

use crate::{day, delta_files, lake, parquet_files, publish, values};

const DAY: &str = "2026-01-01";

fn log(lake: &Lake, table: &str) -> PathBuf {
    lake.table_dir("shop", table).unwrap().join("_delta_log")
}

fn names(folder: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    names
}

/// The path of a day's only file, in the table's folder.
fn path_of(lake: &Lake, table: &str, date: &str) -> String {
    let manifest = lake.manifest("shop", day(date)).unwrap().unwrap();
    manifest.tables[table].files[0].path.clone()
}

/// Commits as another tool does: `removed` leaves, and if values are given, a file of them comes.
fn commit_as_another_tool(lake: &Lake, removed: &[String], date: &str, values: Option<&[i64]>, data_change: bool) {
    let folder = lake.table_dir("shop", "orders").unwrap();
    let version = names(&log(lake, "orders"), ".json").len();
    let partition = json!({ "extract_date": date });
    let mut lines = vec![json!({"commitInfo": {"timestamp": 0, "operation": "DELETE", "engineInfo": "other"}})];
    for path in removed {
        lines.push(
            json!({"remove": {"path": path, "dataChange": data_change, "deletionTimestamp": 0,
            "extendedFileMetadata": true, "partitionValues": partition, "size": 1}}),
        );
    }
    if let Some(values) = values {
        let name = format!("extract_date={date}/other-{version}.parquet");
        let (_other, other) = crate::lake();
        let writer = crate::begin(&other, date);
        let written = crate::table(&writer, "orders", values);
        fs::copy(&written.files[0].path, folder.join(&name)).unwrap();
        lines.push(
            json!({"add": {"path": name, "partitionValues": partition, "dataChange": data_change,
            "size": written.files[0].bytes, "modificationTime": 0,
            "stats": json!({"numRecords": values.len()}).to_string()}}),
        );
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let path = log(lake, "orders").join(format!("{version:020}.json"));
    fs::write(path, lines.join("\n")).unwrap();
}

fn read(lake: &Lake, date: &str) -> Result<Vec<i64>, Error> {
    let manifest = lake.manifest("shop", day(date)).unwrap().unwrap();
    lake.files("shop", "orders", &manifest.tables["orders"])?;
    Ok(values(lake, "orders", date))
}

async fn adopt(lake: &Lake) -> Vec<(u64, u64)> {
    let adopted = lake
        .adopt(&Adopt::default(), &RunId::new(), "lake adopt")
        .await
        .unwrap();
    adopted.iter().map(|day| (day.rows_before, day.rows)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_another_tool_deletes_stay_deleted() {
    let (_folder, lake) = lake();
    publish(&lake, DAY, &[("orders", &[1, 2, 3])]).await.unwrap();
    publish(&lake, "2026-01-02", &[("orders", &[4])]).await.unwrap();
    commit_as_another_tool(&lake, &[path_of(&lake, "orders", DAY)], DAY, Some(&[1, 3]), true);
    // The other day is as it was, and a run of a third does not hide what happened.
    publish(&lake, "2026-01-03", &[("orders", &[5])]).await.unwrap();
    assert_eq!(read(&lake, "2026-01-02").unwrap(), [4]);
    let error = read(&lake, DAY).unwrap_err().to_string();
    assert!(
        error.contains("`lake adopt --date 2026-01-01 --source shop --table orders`"),
        "{error}"
    );

    let run = lake.manifest("shop", day(DAY)).unwrap().unwrap().run;
    assert_eq!(adopt(&lake).await, [(3, 2)]);
    assert_eq!(read(&lake, DAY).unwrap(), [1, 3]);
    assert_ne!(
        lake.manifest("shop", day(DAY)).unwrap().unwrap().run,
        run,
        "results are older now"
    );
    assert_eq!(parquet_files(&lake, "orders", DAY).len(), 1);
    assert_eq!(delta_files(&lake, "orders").await.len(), 3);
    assert!(adopt(&lake).await.is_empty());
    // A new extract of the day is the source's word again.
    publish(&lake, DAY, &[("orders", &[7])]).await.unwrap();
    assert_eq!(read(&lake, DAY).unwrap(), [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_another_tool_empties_is_empty() {
    let (_folder, lake) = lake();
    publish(&lake, DAY, &[("orders", &[1, 2])]).await.unwrap();
    commit_as_another_tool(&lake, &[path_of(&lake, "orders", DAY)], DAY, None, true);
    assert!(matches!(read(&lake, DAY), Err(Error::OtherTool { .. })));
    assert_eq!(adopt(&lake).await, [(2, 0)]);
    assert!(read(&lake, DAY).unwrap().is_empty());
    assert_eq!(parquet_files(&lake, "orders", DAY).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_put_together_by_another_tool_have_the_same_rows() {
    let (_folder, lake) = lake();
    publish(&lake, DAY, &[("orders", &[1, 2])]).await.unwrap();
    let old = path_of(&lake, "orders", DAY);
    let run = lake.manifest("shop", day(DAY)).unwrap().unwrap().run;
    commit_as_another_tool(&lake, std::slice::from_ref(&old), DAY, Some(&[1, 2]), false);
    assert_eq!(read(&lake, DAY).unwrap(), [1, 2]);

    // Its vacuum comes later.
    fs::remove_file(lake.table_dir("shop", "orders").unwrap().join(old)).unwrap();
    let error = read(&lake, DAY).unwrap_err().to_string();
    assert!(error.contains("vacuum") && error.contains("`lake adopt "), "{error}");
    assert_eq!(adopt(&lake).await, [(2, 2)]);
    assert_eq!(read(&lake, DAY).unwrap(), [1, 2]);
    assert_eq!(
        lake.manifest("shop", day(DAY)).unwrap().unwrap().run,
        run,
        "results are as new as they were"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_told_with_the_command_that_makes_it_anew() {
    let (_folder, lake) = lake();
    publish(&lake, DAY, &[("orders", &[1, 2])]).await.unwrap();
    fs::remove_file(
        lake.table_dir("shop", "orders")
            .unwrap()
            .join(path_of(&lake, "orders", DAY)),
    )
    .unwrap();
    let manifest = lake.manifest("shop", day(DAY)).unwrap().unwrap();
    let mut batches = lake.batches("shop", "orders", &manifest.tables["orders"]).unwrap();
    let error = batches.next().unwrap().unwrap_err().to_string();
    assert!(
        error.contains("lake extract --date 2026-01-01 --source shop"),
        "{error}"
    );
}

/// What a killed run committed is no other tool's work: readers go on, and the next run takes it back.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_committed_is_taken_back() {
    let (_folder, lake) = lake();
    publish(&lake, DAY, &[("orders", &[1])]).await.unwrap();
    let manifest = lake.root().join("_manifests/shop/2026-01-01.json");
    let (before, old) = (fs::read(&manifest).unwrap(), path_of(&lake, "orders", DAY));
    let old_path = lake.table_dir("shop", "orders").unwrap().join(&old);
    let old_content = fs::read(&old_path).unwrap();
    publish(&lake, DAY, &[("orders", &[2]), ("new", &[3])]).await.unwrap();
    // Back to the moment before the manifest.
    fs::write(&manifest, before).unwrap();
    fs::write(old_path, old_content).unwrap();
    fs::write(manifest.with_extension("tmp"), "half").unwrap();
    let holder = r#"{"pid":1,"command":"lake run","since":"2026-01-01T00:00:00Z"}"#;
    for lock in ["_locks/shop/2026-01-01.lock", "_locks/_runs/20260101T000000-abcd.lock"] {
        fs::create_dir_all(lake.root().join(lock).parent().unwrap()).unwrap();
        fs::write(lake.root().join(lock), holder).unwrap();
    }
    fs::create_dir_all(lake.root().join("_staging/shop/2026-01-02/x")).unwrap();
    assert_eq!(read(&lake, DAY).unwrap(), [1]);

    lake.clear_leftovers().await.unwrap();
    assert_eq!(read(&lake, DAY).unwrap(), [1]);
    assert_eq!(
        delta_files(&lake, "orders").await,
        [old.strip_prefix("extract_date=").unwrap()]
    );
    assert_eq!(parquet_files(&lake, "orders", DAY).len(), 1);
    assert_eq!(delta_files(&lake, "new").await.len(), 0);
    for left in [
        "_locks/shop/2026-01-01.lock",
        "_locks/_runs/20260101T000000-abcd.lock",
        "_staging/shop/2026-01-02",
    ] {
        assert!(!lake.root().join(left).exists(), "{left}");
    }
    assert!(!manifest.with_extension("tmp").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_entry_that_no_manifest_names_is_set_aside() {
    let (_folder, lake) = lake();
    fs::create_dir_all(log(&lake, "orders")).unwrap();
    fs::write(log(&lake, "orders").join("00000000000000000000.json"), "").unwrap();
    publish(&lake, DAY, &[("orders", &[1])]).await.unwrap();
    for torn in ["", "{\"commitInfo\":{\"times", "\0\0\0\0"] {
        let version = names(&log(&lake, "orders"), ".json").len();
        fs::write(log(&lake, "orders").join(format!("{version:020}.json")), torn).unwrap();
        assert_eq!(read(&lake, DAY).unwrap().len(), 1);
        publish(&lake, "2026-01-02", &[("orders", &[2])]).await.unwrap();
        assert_eq!(delta_files(&lake, "orders").await.len(), 2);
    }
    // A commit of ours that lost its last lines is torn too, though each line that is left can be read.
    let entry = log(&lake, "orders").join("00000000000000000004.json");
    fs::write(
        &entry,
        "{\"commitInfo\":{\"lake.run\":\"x\",\"lake.others\":null,\"lake.actions\":3}}\n",
    )
    .unwrap();
    publish(&lake, "2026-01-03", &[("orders", &[3])]).await.unwrap();
    assert_eq!(delta_files(&lake, "orders").await.len(), 3);
    assert!(!names(&log(&lake, "orders"), ".torn").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_entry_that_a_manifest_names_says_what_mends_it() {
    let (_folder, lake) = lake();
    publish(&lake, DAY, &[("orders", &[1])]).await.unwrap();
    publish(&lake, "2026-01-02", &[("orders", &[2])]).await.unwrap();
    let entry = log(&lake, "orders").join("00000000000000000001.json");
    fs::write(&entry, "").unwrap();
    let error = publish(&lake, "2026-01-03", &[("orders", &[3])]).await.unwrap_err();
    assert!(matches!(error, Error::TornEntry { .. }), "{error}");
    assert_eq!(read(&lake, "2026-01-02").unwrap(), [2]);
    fs::remove_file(entry).unwrap();
    assert_eq!(adopt(&lake).await, [(1, 1)]);
    assert_eq!(read(&lake, "2026-01-02").unwrap(), [2]);
    assert_eq!(delta_files(&lake, "orders").await.len(), 2);
}

/// The log is read from its last checkpoint, so that a commit costs the same on every day.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_come_often_and_a_torn_one_is_set_aside() {
    let (_folder, lake) = lake();
    for number in 1..=27 {
        publish(&lake, &format!("2026-01-{number:02}"), &[("orders", &[number])])
            .await
            .unwrap();
    }
    let checkpoints = names(&log(&lake, "orders"), ".checkpoint.parquet");
    assert!(checkpoints.len() >= 2, "{checkpoints:?}");
    let last = log(&lake, "orders").join(checkpoints.last().unwrap());
    fs::write(&last, "PAR1 and no more").unwrap();
    publish(&lake, "2026-01-28", &[("orders", &[28])]).await.unwrap();
    assert_eq!(delta_files(&lake, "orders").await.len(), 28);
    assert_eq!(names(&log(&lake, "orders"), ".torn").len(), 1);
    assert!(names(&log(&lake, "orders"), "#1").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn days_published_at_once_into_a_new_lake() {
    for _ in 0..5 {
        let (_folder, lake) = lake();
        let days: Vec<String> = (1..=4).map(|i| format!("2026-01-0{i}")).collect();
        let publishing = days
            .iter()
            .map(|date| publish(&lake, date, &[("orders", &[1, 2]), ("lines", &[3])]));
        for published in futures::future::join_all(publishing).await {
            published.unwrap();
        }
        assert_eq!(delta_files(&lake, "orders").await.len(), 4);
        assert_eq!(delta_files(&lake, "lines").await.len(), 4);
    }
}
