//! CSV files as they come: settings, what is said of a file, refusals that print the line that mends them.

use crate::workshop::{DAY, Workshop};

const NEXT_DAY: &str = "2026-02-01";

const CONFIG: &str = "\
lake: ./lake
output: ./output
sources:
  files:
    type: csv
    files:
      sales: ./sales.csv
target:
  type: postgres
  url: ${TARGET_URL}
";

fn workshop(csv: &str) -> Workshop {
    let workshop = Workshop::with(CONFIG, "");
    workshop.write("sales.csv", csv);
    workshop
}

#[test]
fn the_settings_of_a_file_that_is_hard_to_read() {
    let workshop =
        workshop("Sales of January\n\n# made by hand\nId;Note\n1;\"5\\\" pipe\"\n#2;x\n3;\"a \\\\ b\"\n\n2 rows\n");
    workshop.edit(
        "sales: ./sales.csv",
        r##"sales: {path: ./sales.csv, skip_rows: 2, skip_footer: 2, comment: "#", escape: "\\"}"##,
    );
    workshop.lake(&format!("extract --date {DAY}")).done();
    assert_eq!(
        workshop.sql(
            &format!("--date {DAY}"),
            "select \"Id\", \"Note\" from files.sales order by 1"
        ),
        "Id,Note\n1,\"5\"\" pipe\"\n3,a \\ b\n"
    );
}

#[test]
fn what_was_found_is_said_and_reported() {
    let workshop = workshop("id;unit price\n1;2.50\n");
    let extracted = workshop.lake(&format!("extract --date {DAY} --json")).done();
    let line =
        "files.sales: read with delimiter ';', names in its first line, UTF-8, column \"unit price\" called unit_price";
    assert!(extracted.stderr.contains(line), "{extracted}");
    let report = &extracted.json()[0];
    assert_eq!(
        report["found"],
        serde_json::json!([{
            "table": "sales", "delimiter": ";", "header": true, "compression": null, "encoding": "UTF-8",
            "renamed": {"unit price": "unit_price"}
        }])
    );
    workshop.edit(
        "sales: ./sales.csv",
        r#"sales: {path: ./sales.csv, delimiter: ";", header: true, encoding: utf8, rename: {unit price: unit_price}}"#,
    );
    let extracted = workshop.lake(&format!("extract --date {DAY}")).done();
    assert!(!extracted.stderr.contains("read with"), "{extracted}");
}

#[test]
fn a_row_in_the_headers_place_is_refused_with_the_line_that_mends_it() {
    let workshop = workshop("1,2.50\n2,3.75\n");
    let told = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    for part in [
        "sales.csv: line 1 looks like a row",
        "`header: false`",
        "`header: true`",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    workshop.edit("sales: ./sales.csv", "sales: {path: ./sales.csv, header: false}");
    workshop.lake(&format!("extract --date {DAY}")).done();
    assert_eq!(
        workshop.sql(&format!("--date {DAY}"), "select count(*) as n from files.sales"),
        "n\n2\n"
    );
}

#[test]
fn a_header_in_other_capitals_is_told_with_the_names_of_the_days_before() {
    let workshop = workshop("id,amount\n1,2\n");
    workshop.lake(&format!("extract --date {DAY}")).done();
    workshop.write("sales.csv", "ID,Amount\n3,4\n");
    let told = workshop.lake(&format!("extract --date {NEXT_DAY}")).failed(1);
    for part in [
        "column \"ID\": other days have it with other capitals",
        "rename: {'ID': id, 'Amount': amount}",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("not there now"), "{told}");
    workshop.edit(
        "sales: ./sales.csv",
        "sales: {path: ./sales.csv, rename: {'ID': id, 'Amount': amount}}",
    );
    workshop.lake(&format!("extract --date {NEXT_DAY}")).done();
    assert_eq!(
        workshop.sql(&format!("--date {NEXT_DAY}"), "select id, amount from files.sales"),
        "id,amount\n3,4\n"
    );
}

#[test]
fn a_nul_is_kept_in_the_lake_and_refused_by_a_load() {
    let workshop = workshop("id,note\n1,fine\n2,a\0b\n");
    workshop.lake(&format!("extract --date {DAY}")).done();
    assert_eq!(
        workshop.sql(
            &format!("--date {DAY}"),
            "select id, octet_length(note) as n from files.sales order by id"
        ),
        "id,n\n1,4\n2,3\n"
    );
    let told = workshop.lake(&format!("load --date {DAY}")).failed(1);
    let mend = r"regexp_replace(note, '\x00', '', 'g')";
    for part in ["files.sales", "column note has a NUL character", mend] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let sql = format!("select id, {mend} as note from files.sales order by id");
    assert_eq!(workshop.sql(&format!("--date {DAY}"), &sql), "id,note\n1,fine\n2,ab\n");
}
