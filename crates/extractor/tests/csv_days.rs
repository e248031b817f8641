//! A CSV file a day: the table keeps its types while the values allow it.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::datatypes::DataType;
use lake_csv::CsvSettings;
use lake_extractor::{CsvSource, Error, Request, Source, extract};
use lake_storage::{Lake, RunDate, RunId};

async fn day(lake: &Lake, file: &Path, date: &str, content: &str) -> Result<Vec<DataType>, Error> {
    std::fs::write(file, content).unwrap();
    let source = Source::Csv(CsvSource {
        name: "csv".into(),
        files: BTreeMap::from([("prices".into(), (file.to_owned(), CsvSettings::default()))]),
    });
    let date: RunDate = date.parse().unwrap();
    let request = Request {
        date,
        run: RunId::new(),
        command: "test".into(),
        tables: Vec::new(),
        jobs: 1,
    };
    extract(lake, &source, &request, |_| {}).await?;
    let manifest = lake.manifest("csv", date).unwrap().unwrap();
    let schema = manifest.tables["prices"].arrow_schema("prices").unwrap();
    Ok(schema.fields().iter().map(|field| field.data_type().clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_keeps_its_types_while_every_value_fits() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::at(&folder.path().join("lake")).unwrap();
    let file = folder.path().join("prices.csv");
    let first = day(&lake, &file, "2026-01-01", "id,price,code,at\n1,1.50,a1,2026-01-01\n")
        .await
        .unwrap();
    assert_eq!(
        first,
        [
            DataType::Int64,
            DataType::Decimal128(18, 2),
            DataType::Utf8,
            DataType::Date32
        ]
    );
    // Integers, fewer places, nothing at all, codes of digits alone.
    for (date, content) in [
        ("2026-01-02", "id,price,code,at\n2,3,007,2026-01-02\n"),
        ("2026-01-03", "id,price,code,at\n3,2.5,12,\n"),
        ("2026-01-04", "id,price,code,at\n,,,\n"),
        ("2026-01-05", "id,price,code,at\n"),
    ] {
        assert_eq!(day(&lake, &file, date, content).await.unwrap(), first, "{date}");
    }
    // What does not fit gives the table another type, which later days keep.
    let mut types = first;
    for (date, content, column, widened) in [
        (
            "2026-01-06",
            "id,price,code,at\n1,1.555,a,\n",
            1,
            DataType::Decimal128(19, 3),
        ),
        ("2026-01-07", "id,price,code,at\n007,1,a,\n", 0, DataType::Utf8),
        ("2026-01-08", "id,price,code,at\n1,1,a,soon\n", 3, DataType::Utf8),
        ("2026-01-09", "id,price,code,at\n1,1,a,2026-01-09\n", 3, DataType::Utf8),
    ] {
        types[column] = widened;
        assert_eq!(day(&lake, &file, date, content).await.unwrap(), types, "{date}");
    }
    assert_eq!(lake.days("csv").unwrap().len(), 9);
}
