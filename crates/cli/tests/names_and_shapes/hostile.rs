//! A database of hostile names, as a whole.

use std::collections::BTreeSet;
use std::fs;

use super::{CONFIG, assert_mirrored, qualified, quoted};
use crate::kill::kill_when;
use crate::workshop::{DAY, Workshop};

/// Names that are hard on quoting, on folders, on URLs, on YAML or on terminals.
pub(super) const NAMES: &[&str] = &[
    "plain",
    "Mixed Case",
    "mixed case",
    "MIXED CASE",
    "dot.ted",
    "public.plain",
    "sl/ash",
    "../up",
    "..",
    ".",
    "back\\slash",
    "100%",
    "%41",
    "%2e%2e",
    "@41",
    "at@sign",
    "new\nline",
    "tab\tand\rreturn",
    "quo\"te",
    "\"plain\"",
    "apo'strophe",
    "$$ dollars $1",
    "a * b",
    "*",
    "?",
    "[x]",
    "!plain",
    "semi;colon",
    "-- comment",
    "/* comment */",
    "--table",
    "é",
    "e\u{301}",
    "Ünï\"q",
    "日本語",
    "😀",
    "👩\u{200d}👧",
    "\u{1b}[31mred\u{7f}",
    "\u{202e}turned",
    "_leading",
    ".leading",
    " leading",
    "trailing ",
    "trailing.",
    "1st",
    "select",
    "table",
    "user",
    "null",
    "~",
    "#hash: yaml",
    "{schema}",
    "con",
    "NUL",
    "com1.txt",
    "_delta_log",
    "_manifests",
    "_lake_staging_x",
    "results",
    "lake",
    "runs",
    "extract_date=2026-01-31",
    "a_name_of_sixty_three_bytes_which_is_all_that_postgres_keeps_ab",
    "a_name_of_sixty_three_bytes_which_is_all_that_postgres_keeps_ac",
    "éééééééééééééééééééééééééééééééx",
    "日本語日本語日本語日本語日本語日本語日本語",
];

/// Schemas; all but `public` have a table of each of [`IN_SCHEMAS`].
pub(super) const SCHEMAS: &[&str] = &[
    "public",
    "Odd.Schema",
    "odd.schema",
    "é",
    "e\u{301}",
    "new\nline",
    "quo\"te'd",
    "..",
    "a/b",
    "100%",
    "😀",
    "select",
    "lake",
    "results",
    "src",
    "_lake_staging_public",
    "_lake_staging_src",
    "{schema}",
    "a_name_of_sixty_three_bytes_which_is_all_that_postgres_keeps_ab",
    "a_name_of_sixty_three_bytes_which_is_all_that_postgres_keeps_ac",
];

const IN_SCHEMAS: &[&str] = &["plain", "a * b", "Ünï\"q\n😀"];

pub(super) fn tables() -> Vec<(&'static str, &'static str)> {
    let of_public = NAMES.iter().map(|name| ("public", *name));
    let others = SCHEMAS.iter().filter(|schema| **schema != "public");
    of_public
        .chain(others.flat_map(|schema| IN_SCHEMAS.iter().map(|name| (*schema, *name))))
        .collect()
}

/// Each table has rows of its own, so that none can stand for another; and one has enough of them for several
/// connections, to which staging tables are shown.
pub(super) fn sql() -> String {
    let mut sql = String::new();
    for schema in SCHEMAS.iter().filter(|schema| **schema != "public") {
        sql += &format!("create schema {};\n", quoted(schema));
    }
    for (place, (schema, name)) in tables().into_iter().enumerate() {
        let table = qualified(schema, name);
        let rows = rows(place);
        sql += &format!(
            "create table {table} (id int primary key, note text);\n\
             insert into {table} select g, 'table {place} row ' || g from generate_series(1, {rows}) g;\n"
        );
    }
    sql
}

/// Of the table at this place.
fn rows(place: usize) -> usize {
    if place == 7 { 50_000 } else { place % 5 }
}

#[test]
fn a_database_of_hostile_names_is_mirrored() {
    let workshop = Workshop::with(CONFIG, &sql());
    workshop.lake(&format!("extract --date {DAY}")).done();

    // Each in a folder of its own, none outside of the source's, none that two names share on a disk
    // that does not tell cases apart.
    let folders: Vec<String> = fs::read_dir(workshop.path("lake/src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders.len(), tables().len());
    let folded: BTreeSet<String> = folders.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(folded.len(), folders.len());
    for folder in &folders {
        assert!(
            workshop.path("lake/src").join(folder).join("_delta_log").is_dir(),
            "{folder}"
        );
        let name = lake_storage::decode_segment(folder).unwrap();
        assert_eq!(&lake_storage::encode_segment(&name).unwrap(), folder);
    }
    let outside: BTreeSet<String> = fs::read_dir(workshop.path("lake"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known = ["_locks", "_manifests", "_runs", "_staging", "src"].map(str::to_owned);
    assert!(outside.is_subset(&known.into()), "{outside:?}");

    // Killed while its staging tables stand in schemas of their own, a load leaves nothing to the next.
    let staged = "select count(*) from pg_namespace where nspname ~ '^_lake_staging_[0-9]'";
    let mut command = workshop.command(&format!("load --date {DAY}"));
    assert!(kill_when(&mut command, |_| workshop.target.query(staged) != "0"));
    assert_ne!(workshop.target.query(staged), "0");
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_mirrored(&workshop);
    let left = "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
        where relname ~ '^_lake_staging_[0-9]' or nspname ~ '^_lake_staging_[0-9]'";
    assert_eq!(
        (workshop.target.query(staged), workshop.target.query(left)),
        ("0".into(), "0".into())
    );
    workshop.lake(&format!("verify --date {DAY}")).done();

    // Again, into what is there now.
    workshop
        .source
        .execute("insert into \"quo\"\"te'd\".\"Ünï\"\"q\n😀\" values (77, 'new')");
    workshop.lake(&format!("extract --date {DAY}")).done();
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_mirrored(&workshop);

    // Each is there in SQL, by its quoted name.
    let mut union = Vec::new();
    let mut expected = Vec::new();
    for (place, (schema, name)) in tables().into_iter().enumerate() {
        let in_lake = match schema {
            "public" => name.to_owned(),
            _ => format!("{schema}__{name}"),
        };
        union.push(format!(
            "select {place} as place, count(*) as n from {}",
            qualified("src", &in_lake)
        ));
        let more = usize::from((schema, name) == ("quo\"te'd", "Ünï\"q\n😀"));
        expected.push(format!("{place},{}\n", rows(place) + more));
    }
    let counts = workshop.sql(
        &format!("--date {DAY}"),
        &format!("{} order by place", union.join(" union all ")),
    );
    assert_eq!(counts, format!("place,n\n{}", expected.concat()));
}
