//! Manifests that are not to be believed.

use std::fs;
use std::path::PathBuf;

use lake_storage::{Coverage, Error, Lake, Manifest};
use serde_json::{Value, json};

use crate::{begin, day, lake, publish, table, values};

fn path(lake: &Lake, name: &str) -> PathBuf {
    lake.root().join("_manifests").join(name)
}

/// Rewrites a manifest as one from before there were hashes.
fn edit(lake: &Lake, change: impl FnOnce(&mut Value)) {
    let path = path(lake, "shop/2026-01-01.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["format"] = json!(1);
    manifest.as_object_mut().unwrap().remove("hash");
    change(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

/// What all who read a manifest say of it.
fn refused(lake: &Lake, source: &str, date: &str) -> String {
    let tables = ["orders".to_owned()].into();
    let read: [Result<Option<Manifest>, Error>; 4] = [
        lake.manifest(source, day(date)),
        lake.manifest_or_partial(source, day(date)),
        lake.manifest_of_tables(source, day(date), &tables),
        lake.require_sources(&[source.to_owned()], day(date))
            .map(|mut read| read.pop()),
    ];
    let errors = read.map(|read| read.unwrap_err().to_string());
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    let file = path(lake, &format!("{source}/{date}.json"));
    assert!(errors[0].contains(&file.display().to_string()), "{}", errors[0]);
    assert!(
        errors[0].contains(&format!("run `lake extract --date {date} --source {source}`")),
        "{}",
        errors[0]
    );
    errors[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_in_another_place_is_refused() {
    let (_folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("orders", &[1])]).await.unwrap();
    let (whole, partial) = (
        path(&lake, "shop/2026-01-01.json"),
        path(&lake, "shop/2026-01-01.partial.json"),
    );
    fs::create_dir(path(&lake, "other")).unwrap();
    for copied in ["shop/2026-01-02.json", "other/2026-01-01.json"] {
        fs::copy(&whole, path(&lake, copied)).unwrap();
    }
    assert!(refused(&lake, "shop", "2026-01-02").contains("it is that of shop of 2026-01-01"));
    assert!(refused(&lake, "other", "2026-01-01").contains("it is that of shop of 2026-01-01"));
    fs::rename(&whole, &partial).unwrap();
    let error = lake.manifest_or_partial("shop", day("2026-01-01")).unwrap_err();
    assert!(error.to_string().contains("it is that of the whole day"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_names_files_of_its_table_and_day_alone() {
    let (_folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("orders", &[1])]).await.unwrap();
    publish(&lake, "2026-01-02", &[("orders", &[2])]).await.unwrap();
    let other = lake.manifest("shop", day("2026-01-02")).unwrap().unwrap().tables["orders"].files[0]
        .path
        .clone();
    for file in [
        "/etc/passwd",
        "../orders/extract_date=2026-01-01/x.parquet",
        "extract_date=2026-01-01/../../secret/x.parquet",
        "extract_date=2026-01-01",
        "extract_date=2026-01-01/",
        "./extract_date=2026-01-01/x.parquet",
        "x.parquet",
        "",
        &other,
    ] {
        edit(&lake, |manifest| {
            manifest["tables"]["orders"]["files"][0]["path"] = json!(file)
        });
        let error = refused(&lake, "shop", "2026-01-01");
        assert!(error.contains(&format!("it names the file {file:?}")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_another_format_or_with_other_counts_is_refused() {
    let (_folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("orders", &[1])]).await.unwrap();
    edit(&lake, |manifest| manifest["tables"]["orders"]["rows"] = json!(2));
    assert!(refused(&lake, "shop", "2026-01-01").contains("not the sum of those of its files"));
    edit(&lake, |manifest| {
        *manifest = json!({"format": 7, "version": "9.1.0", "all": "is new"});
    });
    let error = refused(&lake, "shop", "2026-01-01");
    assert!(
        error.contains("lake 9.1.0 wrote it in format 7") && error.contains("up to 2"),
        "{error}"
    );
    edit(&lake, |manifest| manifest["format"] = json!(0));
    assert!(refused(&lake, "shop", "2026-01-01").contains("damaged"));

    // Single tables are put beside what the manifest says; the whole day takes its place.
    let writer = begin(&lake, "2026-01-01");
    let orders = table(&writer, "orders", &[5]);
    assert!(matches!(
        writer.publish(vec![orders], Coverage::Some).await,
        Err(Error::Manifest { .. })
    ));
    publish(&lake, "2026-01-01", &[("orders", &[6])]).await.unwrap();
    assert_eq!(values(&lake, "orders", "2026-01-01"), [6]);
}
