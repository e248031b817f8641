//! Commands that begin at the same time.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use lake_storage::Lake;

const CONFIG: &str = "
lake: ./lake
exports: []
sources:
  shop: {type: csv, files: {items: ./items.csv, labels: ./labels.csv}}
  other: {type: csv, files: {items: ./items.csv}}
";

/// Whoever comes second to a table's creation, or to a version, opens what is there and commits its day.
#[test]
fn days_extracted_at_once_into_a_new_lake() {
    const DAYS: [&str; 4] = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"];
    for round in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lake.yaml"), CONFIG).unwrap();
        fs::write(folder.path().join("items.csv"), "id,name\n1,one\n2,two\n").unwrap();
        fs::write(folder.path().join("labels.csv"), "label\nred\n").unwrap();
        let extracts = DAYS.map(|day| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_lake"));
            command
                .current_dir(&folder)
                .args(["extract", "--date", day, "--progress", "none", "-q"]);
            command.stderr(Stdio::piped()).spawn().unwrap()
        });
        for extract in extracts {
            let output = extract.wait_with_output().unwrap();
            let messages = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && messages.is_empty(),
                "round {round}: {messages}"
            );
        }
        let lake = Lake::at(&folder.path().join("lake")).unwrap();
        let mut versions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (source, day) in ["shop", "other"]
            .iter()
            .flat_map(|source| DAYS.map(|day| (source, day)))
        {
            let manifest = lake.manifest(source, day.parse().unwrap()).unwrap().unwrap();
            for (table, entry) in &manifest.tables {
                let rows: u64 = if table == "items" { 2 } else { 1 };
                assert_eq!(entry.rows, rows);
                lake.files(source, table, entry).unwrap();
                versions
                    .entry(format!("{source}.{table}"))
                    .or_default()
                    .push(entry.delta_version);
            }
        }
        for (table, mut versions) in versions {
            versions.sort_unstable();
            assert_eq!(versions, [0, 1, 2, 3], "{table}");
        }
    }
}
