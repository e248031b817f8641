//! A damaged lake, as the commands tell it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::outcome::Outcome;

const CONFIG: &str = "lake: ./lake\noutput: ./output\nsources:\n  files:\n    type: csv\n    files: {items: ./items.csv}\n\
     queries: {q: ./queries/q.sql}\n";
const DAY: &str = "2026-01-31";

/// A folder with a day of a CSV file.
fn extracted() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..3000).map(|id| format!("{id},name {},{}.5\n", id % 7, id * 3));
    fs::write(
        folder.path().join("items.csv"),
        "id,name,price\n".to_owned() + &rows.collect::<String>(),
    )
    .unwrap();
    fs::write(folder.path().join("lake.yaml"), CONFIG).unwrap();
    fs::create_dir(folder.path().join("queries")).unwrap();
    fs::write(
        folder.path().join("queries/q.sql"),
        "select name, sum(price) as total, max(id) as last from items group by name",
    )
    .unwrap();
    lake(folder.path(), &["extract", "--date", DAY]).done();
    folder
}

fn lake(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lake"));
    command.current_dir(folder).args(arguments).env_remove("RUST_BACKTRACE");
    Outcome::of(arguments.join(" "), command.output().unwrap())
}

fn parquet_file(folder: &Path) -> PathBuf {
    let day = folder.join(format!("lake/files/items/extract_date={DAY}"));
    fs::read_dir(day).unwrap().next().unwrap().unwrap().path()
}

const SUM: &[&str] = &[
    "query",
    "--date",
    DAY,
    "select sum(id), sum(price), count(name) from items",
];

#[test]
fn damage_is_told_once_and_mended_by_the_command_that_is_named() {
    let folder = extracted();
    let file = parquet_file(folder.path());
    let name = file.display().to_string();
    let right = lake(folder.path(), SUM).done().stdout;
    let whole = lake(folder.path(), &["verify", "--lake"]).done();
    assert!(
        whole.stderr.contains("1 file") && whole.stderr.contains("every byte"),
        "{whole}"
    );

    let mut content = fs::read(&file).unwrap();
    content[20] ^= 4;
    fs::write(&file, &content).unwrap();
    let mend =
        format!("run `lake extract --date {DAY} --source files`, which replaces the day by what the source holds now");
    let message = lake(folder.path(), SUM).failed(1);
    assert!(
        message.starts_with(&format!(
            "files.items of {DAY}: the Parquet file {name} is damaged: column \"id\""
        )),
        "{message}"
    );
    assert!(message.ends_with(&mend), "{message}");
    let message = lake(folder.path(), &["transform", "--date", DAY]).failed(1);
    assert!(message.contains(&name) && message.contains(&mend), "{message}");
    let found = lake(folder.path(), &["verify", "--lake", "--json"]);
    assert_eq!(found.status, Some(4), "{found}");
    assert!(
        found.stderr.contains(&name) && found.stderr.contains("1 problem in 1 file of 1 day"),
        "{found}"
    );
    assert_eq!(found.json()["findings"][0]["table"], "items");
    assert_eq!(
        lake(folder.path(), &["verify", "--lake", "--date", "2026-02-01"]).status,
        Some(2)
    );
    assert_eq!(
        lake(folder.path(), &["verify", "--lake", "--table", "items"]).status,
        Some(4)
    );

    lake(folder.path(), &["extract", "--date", DAY, "--source", "files"]).done();
    assert_eq!(lake(folder.path(), SUM).done().stdout, right);
    lake(folder.path(), &["verify", "--lake"]).done();
}

#[test]
fn a_damaged_manifest_is_mended_by_the_command_that_is_named() {
    let folder = extracted();
    let path = folder.path().join(format!("lake/_manifests/files/{DAY}.json"));
    let content = fs::read_to_string(&path).unwrap();
    assert_eq!(content.matches("\"rows\": 3000").count(), 2);
    fs::write(&path, content.replace("\"rows\": 3000", "\"rows\": 3001")).unwrap();
    let count: &[&str] = &["query", "--date", DAY, "select count(*) from items"];
    let message = lake(folder.path(), count).failed(1);
    assert!(
        message.contains(&path.display().to_string())
            && message.contains("run `lake extract --date 2026-01-31 --source files`"),
        "{message}"
    );
    assert_eq!(lake(folder.path(), &["verify", "--lake"]).status, Some(4));
    lake(folder.path(), &["extract", "--date", DAY, "--source", "files"]).done();
    assert!(lake(folder.path(), count).done().stdout.contains("3000"));
}

/// Where there are no hashes, it is for Parquet's reader to notice, which panics at places.
#[test]
fn damage_of_a_file_without_hashes_is_one_message_too() {
    let folder = extracted();
    let path = folder.path().join(format!("lake/_manifests/files/{DAY}.json"));
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["format"] = 1.into();
    manifest.as_object_mut().unwrap().remove("hash");
    manifest["tables"]["items"]["files"][0]
        .as_object_mut()
        .unwrap()
        .remove("footer");
    fs::write(&path, manifest.to_string()).unwrap();
    let checked = lake(folder.path(), &["verify", "--lake"]).done();
    assert!(
        checked.stderr.contains("1 of them from before there were hashes"),
        "{checked}"
    );

    let file = parquet_file(folder.path());
    let content = fs::read(&file).unwrap();
    for position in (0..12)
        .map(|part| 4 + part * content.len() / 13)
        .chain([content.len() - 20, content.len() - 6])
    {
        let mut damaged = content.clone();
        damaged[position] ^= 0xff;
        fs::write(&file, damaged).unwrap();
        for arguments in [SUM, &["verify", "--lake"]] {
            let outcome = lake(folder.path(), arguments);
            assert!(!outcome.stderr.contains("panicked"), "{outcome}");
            if outcome.status != Some(0) {
                assert!(outcome.stderr.contains(&file.display().to_string()), "{outcome}");
            }
        }
    }
}
