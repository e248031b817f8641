//! What a person sees of hostile names: whole, and nothing that a terminal would obey.

use super::CONFIG;
use crate::workshop::{DAY, Workshop};

const TABLE: &str = "\u{1b}[2Jtwo\nlines\u{202e}";
const SQL_NAME: &str = r#"U&"\001B[2Jtwo\000Alines\202E""#;

#[track_caller]
fn assert_readable(text: &str) {
    assert!(
        !text.contains(|c: char| c != '\n' && lake_storage::is_control(c)),
        "{text:?}"
    );
}

#[test]
fn no_name_moves_the_cursor() {
    let workshop = Workshop::with(
        CONFIG,
        &format!("create table \"{TABLE}\" (\"\u{1b}c\" int, x int); insert into \"{TABLE}\" values (1, 2)"),
    );
    for step in ["extract -v", "load -v", "verify", "status", "check"] {
        let told = workshop.lake(&match step {
            "check" => step.to_owned(),
            _ => format!("{step} --date {DAY}"),
        });
        let told = told.done();
        assert_readable(&told.stdout);
        assert_readable(&told.stderr);
    }
    let verified = workshop.lake(&format!("verify --date {DAY}")).done();
    assert!(
        verified.stderr.contains(&format!("public.{SQL_NAME}: 1 row equal")),
        "{verified}"
    );
    for sql in [
        "show tables",
        &format!("describe src.\"{TABLE}\""),
        &format!("select * from \"{TABLE}\""),
    ] {
        let shown = workshop.lake_sql("query", sql).done();
        assert_readable(&shown.stdout);
    }

    // The name as a message writes it names the table.
    workshop
        .source
        .execute(&format!("alter table \"{TABLE}\" add \"a\u{7}b \" int"));
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    assert!(
        message.contains(&format!("table public.{SQL_NAME}: column \"a\\u{{7}}b \"")),
        "{message}"
    );
    assert_readable(&message);
    workshop
        .source
        .execute(&format!("alter table \"{TABLE}\" drop \"a\u{7}b \", alter x type text"));
    let told = workshop
        .lake(&format!("extract --date 2026-02-01 --table public.{SQL_NAME}"))
        .done();
    assert!(
        told.stderr
            .contains(&format!("table {SQL_NAME}, column x: string now, integer on {DAY}")),
        "{told}"
    );
    assert_readable(&told.stderr);

    workshop.target.execute(&format!(
        "alter table \"{TABLE}\" rename to gone; create view \"{TABLE}\" as select 1"
    ));
    let message = workshop.lake(&format!("load --date {DAY}")).failed(1);
    assert!(
        message.contains(&format!("the target's public.{SQL_NAME} is a view")),
        "{message}"
    );
    let status = workshop.lake(&format!("status --date {DAY}")).done();
    assert_readable(&status.stdout);
    assert!(status.stdout.contains(SQL_NAME), "{status}");
    let runs = workshop
        .lake_sql("query", "select error from lake.runs where error is not null")
        .done();
    assert_readable(&runs.stdout);
}
