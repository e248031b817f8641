//! Replacing days, and what a run that stopped anywhere leaves behind.

use lake_storage::{Coverage, Error};

use crate::{begin, day, delta_files, lake, parquet_files, publish, table, values};

#[tokio::test(flavor = "multi_thread")]
async fn a_day_replaces_itself_and_no_other() {
    let (_folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("Orders", &[1, 2]), ("empty", &[])])
        .await
        .unwrap();
    publish(&lake, "2026-01-02", &[("Orders", &[3]), ("empty", &[])])
        .await
        .unwrap();
    let first = publish(&lake, "2026-01-01", &[("Orders", &[4, 5, 6]), ("empty", &[])])
        .await
        .unwrap();

    assert_eq!(values(&lake, "Orders", "2026-01-01"), [4, 5, 6]);
    assert_eq!(values(&lake, "Orders", "2026-01-02"), [3]);
    assert_eq!(first.tables["Orders"].delta_version, 2);
    assert_eq!(parquet_files(&lake, "Orders", "2026-01-01").len(), 1);
    assert_eq!(delta_files(&lake, "Orders").await.len(), 2);
    // A table without rows has its day too.
    assert_eq!(first.tables["empty"].rows, 0);
    assert_eq!(parquet_files(&lake, "empty", "2026-01-01").len(), 1);
    assert_eq!(lake.days("shop").unwrap(), [day("2026-01-01"), day("2026-01-02")]);
    assert_eq!(lake.sources().unwrap(), ["shop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stops_before_publishing_changes_nothing() {
    let (_folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("orders", &[1])]).await.unwrap();
    let writer = begin(&lake, "2026-01-01");
    let _written = table(&writer, "orders", &[7, 8]);
    drop(writer);

    assert_eq!(values(&lake, "orders", "2026-01-01"), [1]);
    assert_eq!(parquet_files(&lake, "orders", "2026-01-01").len(), 1);
    publish(&lake, "2026-01-01", &[("orders", &[9])]).await.unwrap();
    let staged = lake.root().join("_staging/shop/2026-01-01");
    assert!(!staged.exists(), "the stopped run's files are still there");
}

/// A run killed between its Delta commits and its manifest: one table has a new version, which no
/// manifest names.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_a_manifest_is_not_seen_and_is_mended() {
    let (_folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("a", &[1]), ("b", &[1])]).await.unwrap();
    let path = lake.root().join("_manifests/shop/2026-01-01.json");
    let before = std::fs::read(&path).unwrap();
    let old_file = parquet_files(&lake, "a", "2026-01-01");
    let old_content = std::fs::read(
        lake.table_dir("shop", "a")
            .unwrap()
            .join("extract_date=2026-01-01")
            .join(&old_file[0]),
    )
    .unwrap();
    publish(&lake, "2026-01-01", &[("a", &[2]), ("b", &[2])]).await.unwrap();
    // Back to the moment before the manifest: the old one, and the old files not deleted yet.
    std::fs::write(&path, before).unwrap();
    for name in ["a", "b"] {
        let folder = lake.table_dir("shop", name).unwrap().join("extract_date=2026-01-01");
        let old = lake.manifest("shop", day("2026-01-01")).unwrap().unwrap().tables[name].files[0]
            .path
            .clone();
        std::fs::write(folder.join(old.rsplit_once('/').unwrap().1), &old_content).unwrap();
    }
    assert_eq!(values(&lake, "a", "2026-01-01"), [1]);

    publish(&lake, "2026-01-01", &[("a", &[3]), ("b", &[3])]).await.unwrap();
    assert_eq!(
        (values(&lake, "a", "2026-01-01"), values(&lake, "b", "2026-01-01")),
        (vec![3], vec![3])
    );
    assert_eq!(parquet_files(&lake, "a", "2026-01-01").len(), 1);
    assert_eq!(delta_files(&lake, "a").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_did_not_arrive_are_an_error() {
    let (_folder, lake) = lake();
    let writer = begin(&lake, "2026-01-01");
    let mut orders = table(&writer, "orders", &[1, 2]);
    orders.rows = 3;
    let error = writer.publish(vec![orders], Coverage::Whole).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::RowCount {
                expected: 3,
                written: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(lake.manifest("shop", day("2026-01-01")).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writer_a_day() {
    let (_folder, lake) = lake();
    let first = begin(&lake, "2026-01-01");
    let Err(error) = lake.begin_day("shop", day("2026-01-01"), &Default::default(), "lake extract") else {
        panic!("the day was not locked");
    };
    assert!(
        error.to_string().contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    // Other days and sources are free.
    begin(&lake, "2026-01-02");
    drop(first);
    begin(&lake, "2026-01-01");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_of_one_table_published_at_once() {
    let (_folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("orders", &[0])]).await.unwrap();
    let days: Vec<String> = (2..=9).map(|i| format!("2026-01-0{i}")).collect();
    let publishing = days.iter().map(|date| publish(&lake, date, &[("orders", &[1, 2])]));
    for published in futures::future::join_all(publishing).await {
        published.unwrap();
    }
    assert_eq!(delta_files(&lake, "orders").await.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_table_leaves_the_rest_of_the_day() {
    let (_folder, lake) = lake();
    let writer = begin(&lake, "2026-01-01");
    let a = table(&writer, "a", &[1]);
    let manifest = writer.publish(vec![a], Coverage::Some).await.unwrap();
    assert!(!manifest.complete && lake.manifest("shop", day("2026-01-01")).unwrap().is_none());

    let writer = begin(&lake, "2026-01-01");
    let b = table(&writer, "b", &[2]);
    let manifest = writer.publish(vec![b], Coverage::Completing).await.unwrap();
    assert!(manifest.complete && manifest.tables.len() == 2);
    assert_eq!(values(&lake, "a", "2026-01-01"), [1]);
    assert!(!lake.root().join("_manifests/shop/2026-01-01.partial.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_cannot_be_written_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let lake = lake_storage::Lake::at(&file.join("lake")).unwrap();
    let Err(error) = lake.begin_day("shop", day("2026-01-01"), &Default::default(), "test") else {
        panic!("a folder was made below a file");
    };
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_delta_readers_would_not_find_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_storage::Lake::at(&folder.path().join("a%41")).unwrap();
    let published = lake.begin_day("shop", day("2026-01-01"), &Default::default(), "test");
    assert!(matches!(published, Err(Error::EscapeInPath { .. })));
}
