//! A CSV file with bad rows: where they go, and how it is told.

use crate::workshop::{DAY, Workshop};

const RATES: &str = "kind,rate\nk0,0.5\nk1,much\nk1,1.5\n\"k\"2,9\nk2,2.5\n";

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.edit(
        "rates: ./rates.csv",
        "rates: {path: ./rates.csv, on_bad_row: quarantine, columns: {rate: \"decimal(5,2)\"}}",
    );
    workshop.write("rates.csv", RATES);
    workshop
}

/// The files of bad rows, with their paths from the workshop.
fn kept(workshop: &Workshop) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for (path, content) in workshop.files("lake") {
        let path = format!("lake/{}", path.display());
        if path.ends_with(".bad.csv") {
            kept.push((path, String::from_utf8(content).unwrap()));
        }
    }
    kept
}

#[test]
fn bad_rows_are_kept_and_counted() {
    let workshop = workshop();
    let checked = workshop.lake("check").done();
    assert!(
        checked
            .stdout
            .contains("source files: CSV files, 2 bad rows of rates left out, 1 table"),
        "{checked}"
    );

    let extracted = workshop.lake(&format!("extract --date {DAY} --json")).done();
    let [(path, content)] = &kept(&workshop)[..] else {
        panic!("{extracted}")
    };
    assert_eq!(
        content,
        "line,reason,row\n\
         3,\"column \"\"rate\"\": \"\"much\"\" is not exactly a decimal(5,2)\",\"k1,much\"\n\
         5,\"text after the closing quote of field 1\",\"\"\"k\"\"2,9\"\n"
    );
    let warning = format!("warning: rates: 2 bad rows of rates.csv left out, kept in {path}");
    assert!(extracted.stderr.lines().any(|line| line == warning), "{extracted}");
    let report = &extracted.json()[1];
    let run = report["run"].as_str().unwrap();
    assert_eq!(path, &format!("lake/_runs/{DAY}/{run}.files.rates.bad.csv"));
    assert_eq!(report["rows"], 3);
    assert_eq!(report["quarantined"][0]["table"], "rates");
    assert_eq!(report["quarantined"][0]["rows"], 2);
    assert!(extracted.json()[0]["quarantined"].as_array().unwrap().is_empty());
    let record: serde_json::Value =
        serde_json::from_str(&workshop.read(&format!("lake/_runs/{DAY}/{run}.json"))).unwrap();
    assert_eq!(record["steps"][1]["quarantined"], 2);

    let status = workshop.lake(&format!("status --date {DAY}")).done();
    let line = format!("{DAY}  extract files: 2 bad rows left out, kept in lake/_runs/{DAY}");
    assert!(status.stdout.lines().any(|l| l == line), "{status}");
    workshop.lake(&format!("run --date {DAY}")).done();
    assert_eq!(
        workshop.sql("", "select count(*) as n, sum(rate) as rate from files.rates"),
        "n,rate\n3,4.50\n"
    );

    // Mended, the file leaves nothing out.
    workshop.write("rates.csv", &RATES.replace("much", "1").replace("\"k\"2,9", ""));
    let mended = workshop.lake(&format!("extract --date {DAY} -q")).done();
    assert_eq!(mended.stderr, "");
    let status = workshop.lake(&format!("status --date {DAY}")).done();
    assert!(!status.stdout.contains("bad row"), "{status}");
    assert_eq!(kept(&workshop).len(), 2);
}

#[test]
fn a_day_of_bad_rows_alone_is_told_loudly() {
    let workshop = workshop();
    workshop.write("rates.csv", "kind,rate\nk0,a\nk1\n");
    let extracted = workshop.lake(&format!("extract --date {DAY} --source files -q")).done();
    let [(path, _)] = &kept(&workshop)[..] else {
        panic!("{extracted}")
    };
    let warning = format!(
        "warning: rates: NOT ONE ROW of rates.csv is good, the table is empty: 2 bad rows left out, kept in {path}\n"
    );
    assert_eq!(extracted.stderr, warning);
    assert_eq!(workshop.sql("", "select count(*) as n from files.rates"), "n\n0\n");
}

#[test]
fn columns_are_renamed() {
    let workshop = Workshop::new();
    workshop.edit(
        "rates: ./rates.csv",
        "rates: {path: ./rates.csv, rename: {\"Kind of item\": kind, column_2: rate}}",
    );
    workshop.write("rates.csv", "Kind of item,\nk0,0.5\nk1,1.5\nk2,2.5\n");
    workshop.lake(&format!("run --date {DAY}")).done();
    assert_eq!(
        workshop.sql("", "select kind, rate from files.rates order by 1 limit 1"),
        "kind,rate\nk0,0.5\n"
    );
}
