//! Bad rows of a CSV file: left out of the table, and kept beside the run's record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lake_csv::{CsvSettings, OnBadRow};
use lake_extractor::{CsvSource, Error, ExtractReport, Request, Source, extract};
use lake_storage::{Lake, RunId};
use tempfile::TempDir;

use crate::{chain, day};

const GOOD: &str = "id,name\n1,x\n2,y\n";
const BAD: &str = "id,name\n1,x\nthree,z\n2,y\n4\n";
const KEPT: &str = "\
line,reason,row
3,\"column \"\"id\"\": \"\"three\"\" is not exactly a bigint\",\"three,z\"
5,\"1 field where the first line has 2 (delimiter ',')\",\"4\"
";

struct Shop {
    folder: TempDir,
    lake: Lake,
    settings: CsvSettings,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            lake: Lake::at(&folder.path().join("lake")).unwrap(),
            folder,
            settings: CsvSettings {
                on_bad_row: OnBadRow::Quarantine,
                columns: BTreeMap::from([("id".into(), "bigint".parse().unwrap())]),
                ..CsvSettings::default()
            },
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("orders.csv")
    }

    async fn extract(&self, content: &str) -> Result<ExtractReport, Error> {
        std::fs::write(self.file(), content).unwrap();
        let source = Source::Csv(CsvSource {
            name: "Files".into(),
            files: BTreeMap::from([("Old orders".into(), (self.file(), self.settings.clone()))]),
        });
        let request = Request {
            date: day(),
            run: RunId::new(),
            command: "test".into(),
            tables: Vec::new(),
            jobs: 1,
        };
        extract(&self.lake, &source, &request, |_| {}).await
    }

    fn rows(&self) -> u64 {
        let manifest = self.lake.manifest("Files", day()).unwrap().unwrap();
        manifest.tables["Old orders"].rows
    }

    /// The files beside the run records.
    fn kept(&self) -> Vec<String> {
        names(&self.lake.runs_dir(day()))
    }
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_are_kept_beside_the_run() {
    let shop = Shop::new();
    let report = shop.extract(BAD).await.unwrap();
    assert_eq!((report.rows, shop.rows()), (2, 2));
    let [left_out] = &report.quarantined[..] else {
        panic!("{report:?}")
    };
    assert_eq!(
        (left_out.table.as_str(), left_out.rows, left_out.all),
        ("Old orders", 2, false)
    );
    assert_eq!(left_out.source_file, shop.file());
    assert_eq!(std::fs::read_to_string(&left_out.file).unwrap(), KEPT);
    let name = format!("{}.@46iles.@4fld@20orders.bad.csv", report.run);
    assert_eq!(left_out.file, shop.lake.runs_dir(day()).join(&name));

    // The same again, and the first run's file stays beside its record.
    let again = shop.extract(BAD).await.unwrap();
    assert_eq!((again.rows, shop.rows()), (2, 2));
    assert_eq!(std::fs::read_to_string(&again.quarantined[0].file).unwrap(), KEPT);
    assert_eq!(shop.kept().len(), 2);
    assert!(
        !shop
            .lake
            .root()
            .join("_staging/@46iles")
            .join(day().to_string())
            .exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bad_row_no_file_is_written() {
    let shop = Shop::new();
    let report = shop.extract(GOOD).await.unwrap();
    assert_eq!((report.rows, report.quarantined.len()), (2, 0));
    assert_eq!(shop.kept(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_bad_rows_alone_has_none() {
    let shop = Shop::new();
    let report = shop.extract("id,name\nx,y\nz\n").await.unwrap();
    assert_eq!((report.rows, shop.rows()), (0, 0));
    assert_eq!((report.quarantined[0].rows, report.quarantined[0].all), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_that_fails_leaves_the_day_and_no_bad_rows() {
    let mut shop = Shop::new();
    shop.extract(GOOD).await.unwrap();
    // Line 3 would be left out, but where line 4 ends is not certain.
    let error = shop.extract("id,name,at\n1,x,y\n3\n4,\"5\" z\",u\n").await.unwrap_err();
    assert!(
        chain(&error).contains("line 4: text after the closing quote of field 2"),
        "{error:?}"
    );
    assert_eq!((shop.rows(), shop.kept()), (2, vec![]));
    shop.settings.on_bad_row = OnBadRow::Refuse;
    let error = chain(&shop.extract(BAD).await.unwrap_err());
    assert!(
        error.contains("line 3: column \"id\": \"three\" is not exactly a bigint: `columns: {id: text}` carries it"),
        "{error}"
    );
    assert_eq!((shop.rows(), shop.kept()), (2, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_renamed_before_the_lake_looks_at_them() {
    let mut shop = Shop::new();
    let text = "Order ID,extract_date,name,Name\n1,2026-01-01,x,y\n";
    shop.settings = CsvSettings::default();
    let error = chain(&shop.extract(text).await.unwrap_err());
    assert!(error.contains("columns 3 (\"name\") and 4 (\"Name\")"), "{error}");
    for (column, name) in [
        ("Order ID", "order_id"),
        ("extract_date", "taken_on"),
        ("Name", "name_2"),
    ] {
        shop.settings.rename.insert(column.into(), name.into());
    }
    shop.extract(text).await.unwrap();
    let manifest = shop.lake.manifest("Files", day()).unwrap().unwrap();
    let schema = manifest.tables["Old orders"].arrow_schema("Old orders").unwrap();
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["order_id", "taken_on", "name", "name_2"]);
}
