//! Columns of hostile names: reached from SQL by quoting, or refused with the line that renames them.

use super::hostile::NAMES;
use super::{CONFIG, assert_mirrored, quoted};
use crate::workshop::{DAY, Workshop};

/// Names that Delta can't have, or that the lake has itself.
const REFUSED: &[&str] = &[
    "a b",
    " a",
    "a,b",
    "a;b",
    "a{b",
    "a}b",
    "a(b",
    "a)b",
    "a\nb",
    "a\tb",
    "a=b",
    " ",
    "null ",
    "#hash ",
    "'quo\"ted' ",
    "*star ",
    "yes ",
    "key: value",
    "\u{1b}[2J ",
    "back\\slash ",
    "%s =$1",
    "Id",
    "extract_date",
    "Extract_Date",
    "Extract Date",
    "é é",
    "a column of sixty-three bytes which is all that postgres keeps",
    "A_column_of_sixty-three_bytes_which_is_all_that_postgres_keep_a",
];

fn is_refused(name: &str) -> bool {
    name.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='])
}

/// Columns that keep their names, ours among them.
fn kept() -> Vec<&'static str> {
    let ours = [
        "postgres.type",
        "postgres.primary_key",
        "_change_type",
        "_commit_version",
        "_metadata",
        "__index_level_0__",
        "metadata",
        "partition",
        "extract_date.x",
        "ctid_",
        "part-00000",
    ];
    let mut folded = std::collections::BTreeSet::new();
    let named = NAMES.iter().copied().filter(|name| !is_refused(name)).chain(ours);
    named.filter(|name| folded.insert(name.to_lowercase())).collect()
}

#[test]
fn a_column_of_any_name_is_reached_by_quoting() {
    let columns = kept();
    let list: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    let typed: Vec<String> = list.iter().map(|name| format!("{name} text")).collect();
    let values: Vec<String> = (0..columns.len()).map(|place| format!("'value {place}'")).collect();
    let source = format!(
        "create table \"Odd / Name\" (id int, {typed});
         insert into \"Odd / Name\" select g, {values} from generate_series(1, 3) g;
         insert into \"Odd / Name\" (id) values (4)",
        typed = typed.join(", "),
        values = values.join(", ")
    );
    let workshop = Workshop::with(CONFIG, &source);
    for step in ["extract", "load", "verify", "load"] {
        workshop.lake(&format!("{step} --date {DAY}")).done();
    }
    assert_mirrored(&workshop);

    let expected: Vec<String> = (0..columns.len()).map(|place| format!("value {place}")).collect();
    for flags in ["".to_owned(), format!("--date {DAY}")] {
        let sql = format!("select {} from src.\"Odd / Name\" where id = 1", list.join(", "));
        let rows = workshop
            .lake_sql(&format!("query {flags} --format json"), &sql)
            .done()
            .json();
        for (name, value) in columns.iter().zip(&expected) {
            assert_eq!(rows[0][name], **value, "{name:?} {flags}");
        }
        // In conditions too, where readers prune by name.
        for (name, value) in list.iter().zip(&expected).step_by(7) {
            let sql =
                format!("select count(*) as n, max({name}) as m from src.\"Odd / Name\" where {name} = '{value}'");
            assert_eq!(workshop.sql(&flags, &sql), format!("n,m\n3,{value}\n"), "{name}");
        }
    }
}

#[test]
fn the_line_that_is_printed_renames_what_delta_refuses() {
    let typed: Vec<String> = REFUSED.iter().map(|name| format!("{} text", quoted(name))).collect();
    let values: Vec<String> = (0..REFUSED.len()).map(|place| format!("'value {place}'")).collect();
    let source = format!(
        "create schema \"Odd.Schema\";
         create table \"Odd.Schema\".\"a * b\" (id int primary key, a_b text,
            \"a_column_of_sixty-three_bytes_which_is_all_that_postgres_keep_a\" text, {});
         insert into \"Odd.Schema\".\"a * b\" values (1, 'its own', null, {});
         create table public.fine (id int); insert into fine values (1)",
        typed.join(", "),
        values.join(", ")
    );
    let workshop = Workshop::with(CONFIG, &source);
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    for name in REFUSED {
        assert!(message.contains(&format!("column {name:?}: ")), "{name:?}: {message}");
    }
    assert!(message.contains(r#"table "Odd.Schema"."a * b": "#), "{message}");
    assert!(!workshop.path("lake/src").exists(), "nothing is written");
    // It hides no other table's result.
    workshop.lake(&format!("extract --date {DAY} --table fine")).done();

    let line = message.lines().last().unwrap();
    let tables = format!("    tables:\n      'public.*':\n      '\"Odd.Schema\".\"a * b\"':\n{line}\ntarget:");
    workshop.edit("target:", &tables);
    for step in ["extract", "load", "verify"] {
        workshop.lake(&format!("{step} --date {DAY}")).done();
    }
    let renames: std::collections::BTreeMap<String, String> = renames(line);
    assert_eq!(renames.len(), REFUSED.len());
    let columns: Vec<String> = REFUSED.iter().map(|name| quoted(&renames[*name])).collect();
    for (place, column) in columns.iter().enumerate() {
        let sql = format!("select {column} as v from src.\"Odd.Schema__a * b\"");
        if place % 5 == 0 {
            assert_eq!(
                workshop.sql(&format!("--date {DAY}"), &sql),
                format!("v\nvalue {place}\n")
            );
        }
        let sql = format!("select {column} from \"Odd.Schema\".\"a * b\"");
        assert_eq!(workshop.target.query(&sql), format!("value {place}"));
    }
    assert_eq!(
        workshop.target.query("select a_b from \"Odd.Schema\".\"a * b\""),
        "its own"
    );
}

/// Reads `rename: {…}` as the config does.
fn renames(line: &str) -> std::collections::BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Settings {
        rename: std::collections::BTreeMap<String, String>,
    }
    serde_saphyr::from_str::<Settings>(line).unwrap().rename
}
