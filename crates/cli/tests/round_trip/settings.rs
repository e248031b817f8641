//! What is extracted does not depend on anybody's settings, nor on the database's encoding.

use std::collections::BTreeMap;

use super::{CONFIG, assert_same, make_source, make_types, seed, with_own_types};
use crate::workshop::{DAY, Database, Workshop};

/// For the database and for the role in it, whose word is the last.
const HOSTILE: &[(&str, &str)] = &[
    ("timezone", "America/St_Johns"),
    ("datestyle", "SQL, DMY"),
    ("intervalstyle", "sql_standard"),
    ("lc_monetary", "C.utf8"),
    ("search_path", "shadow, ext, public"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("xmloption", "document"),
    ("xmlbinary", "hex"),
    ("array_nulls", "off"),
    ("quote_all_identifiers", "on"),
    ("standard_conforming_strings", "off"),
    ("client_encoding", "SJIS"),
    ("transform_null_equals", "on"),
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("row_security", "on"),
    ("default_transaction_isolation", "serializable"),
];

/// Sets everything that changes a value's text for new sessions.
fn make_hostile(database: &Database) {
    for (name, value) in HOSTILE {
        let list = if *name == "search_path" || *name == "datestyle" {
            (*value).to_owned()
        } else {
            format!("'{value}'")
        };
        database.execute(&format!(
            "do $$ begin
                 execute format('alter database %I set {name} = {}', current_database());
                 execute format('alter role postgres in database %I set {name} = {}', current_database());
             end $$",
            list.replace('\'', "''"),
            list.replace('\'', "''"),
        ));
    }
}

/// The bytes of every table's Parquet files.
#[track_caller]
fn content(workshop: &Workshop) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut tables: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, bytes) in workshop.files("lake/pg") {
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let table = path.iter().next().unwrap().to_string_lossy().into_owned();
            tables.entry(table).or_default().push(bytes);
        }
    }
    assert!(!tables.is_empty());
    for files in tables.values_mut() {
        files.sort_unstable();
    }
    tables
}

#[track_caller]
fn assert_equal(wanted: &BTreeMap<String, Vec<Vec<u8>>>, found: &BTreeMap<String, Vec<Vec<u8>>>) {
    assert!(wanted.keys().eq(found.keys()), "{:?} {:?}", wanted.keys(), found.keys());
    let differ: Vec<&String> = wanted.keys().filter(|table| wanted[*table] != found[*table]).collect();
    assert!(differ.is_empty(), "the files differ of {differ:?}");
}

#[test]
fn nobodys_settings_show_in_the_lake_or_in_the_target() {
    let seed = seed();
    let workshop = Workshop::with(CONFIG, "");
    let cases = make_source(&workshop.source, seed);
    make_types(&workshop.target);
    for case in &cases {
        workshop.target.execute(&case.create_domain());
    }
    workshop.lake(&format!("extract --date {DAY}")).done();
    let plain = content(&workshop);

    make_hostile(&workshop.source);
    make_hostile(&workshop.target);
    let mut command = workshop.command(&format!("extract --date {DAY}"));
    command.envs([
        ("TZ", "Asia/Kathmandu"),
        ("PGTZ", "Asia/Kathmandu"),
        ("PGDATESTYLE", "German"),
        ("PGCLIENTENCODING", "LATIN1"),
        (
            "PGOPTIONS",
            "-c extra_float_digits=-15 -c bytea_output=escape -c intervalstyle=iso_8601",
        ),
        ("LC_ALL", "C.UTF-8"),
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_equal(&plain, &content(&workshop));

    workshop.lake(&format!("load --date {DAY}")).done();
    assert_same(&workshop, seed, with_own_types);
}

/// Every character is one of LATIN1.
const LATIN1: &str = "
    create type mood as enum ('é', 'ÿ \"x\"');
    create domain word as varchar(4);
    create table t (id int primary key, a text, b char(4), c varchar(3)[], d json, e jsonb, f xml, g \"char\", h \"char\"[],
        i mood, j mood[], k word, l tsvector, m name, n bytea, o text[], \"größe\" int);
    insert into t select g, 'é' || chr(160) || 'ÿ', 'ñ', '{é,NULL,\"ü,\"}', '{\"é\": \"\\u00e9\"}', '{\"é\": \"\\u00e9\"}', '<é>ß</é>',
        (g - 128)::\"char\", array[(g - 128)::\"char\", null], 'é', '{é,\"ÿ \\\"x\\\"\"}', 'ÄÖÜß', '''é'':1A', 'naïve', '\\xe9', '{{é},{ü}}', g
    from generate_series(0, 255) g";

#[test]
fn the_encoding_of_a_database_does_not_show() {
    let config = CONFIG.replace(
        "url: ${SOURCE_URL}\n",
        "url: ${SOURCE_URL}\n    tables: {public.t: {columns: {o: text}}}\n",
    );
    let mut workshop = Workshop::with(&config, LATIN1);
    workshop.lake(&format!("extract --date {DAY}")).done();
    let of_utf8 = content(&workshop);
    let latin1 = "encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'";
    let (source, target) = (
        Database::with_options(latin1, LATIN1),
        Database::with_options(latin1, ""),
    );
    assert_eq!(source.query("select current_setting('server_encoding')"), "LATIN1");
    workshop.set("SOURCE_URL", &source.url);
    workshop.lake(&format!("extract --date {DAY}")).done();
    assert_equal(&of_utf8, &content(&workshop));

    // From LATIN1 into UTF8 and back.
    for target in [&workshop.target, &target] {
        target.execute("create type mood as enum ('é', 'ÿ \"x\"'); create domain word as varchar(4)");
    }
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_same(&workshop, 0, str::to_owned);
    workshop.set("TARGET_URL", &target.url);
    workshop.lake(&format!("load --date {DAY}")).done();
    let differences = super::judge::differences(&source, &target, str::to_owned);
    assert!(differences.is_empty(), "{differences:#?}");
}
