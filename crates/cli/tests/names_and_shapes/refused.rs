//! What can't be taken is refused by name, before anything is written, with what helps.

use super::alone::of_table;
use super::{CONFIG, assert_mirrored, digests};
use crate::workshop::{DAY, PASSWORD, Workshop};

/// The line of the config that a message ends with, below the patterns that select everything.
fn with_setting(workshop: &Workshop, message: &str) {
    let line = message.lines().last().unwrap();
    if workshop.read("lake.yaml").contains("    tables:\n") {
        workshop.edit("    tables:\n", &format!("    tables:\n{line}\n"));
    } else {
        workshop.edit("target:", &format!("    tables:\n{line}\n      '*.*':\ntarget:"));
    }
}

#[test]
fn a_name_that_no_folder_can_bear_gets_another() {
    let schema = "é".repeat(31) + "x";
    let table = "日本語".repeat(7);
    let workshop = Workshop::with(
        CONFIG,
        &format!(
            "create schema \"{schema}\"; create table \"{schema}\".\"{table}\" (x int);
             insert into \"{schema}\".\"{table}\" values (1);
             create table \"{table}\" (x int); insert into \"{table}\" values (2), (3)"
        ),
    );
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(2);
    assert!(
        message.contains(&format!("\"{schema}\".\"{table}\" can't be called")),
        "{message}"
    );
    assert!(
        message.contains("255 bytes") && message.contains("{name: "),
        "{message}"
    );
    assert!(!workshop.path("lake/src").exists(), "nothing is written");
    assert!(
        of_table(&workshop, "extract", &format!("\"{schema}\".\"{table}\""))
            .failed(2)
            .contains("{name: ")
    );
    of_table(&workshop, "extract", &format!("\"{table}\"")).done();

    with_setting(&workshop, &message);
    for step in ["extract", "load", "verify"] {
        workshop.lake(&format!("{step} --date {DAY}")).done();
    }
    // It is the name in the lake: under `{schema}` the target has the source's.
    assert_mirrored(&workshop);
}

#[test]
fn tables_that_would_share_a_name_get_others() {
    let workshop = Workshop::with(
        CONFIG,
        "create schema a; create schema a__b; create table a__b.c (x int); create table a.b__c (x int);
         create table a__b__c (x int); insert into a.b__c values (1); create table other (x int)",
    );
    workshop
        .source
        .execute("insert into a__b__c values (2), (3); insert into a__b.c values (4), (5), (6)");
    // One setting for each pair.
    for _ in 0..2 {
        let message = workshop.lake(&format!("extract --date {DAY}")).failed(2);
        assert!(message.contains("a__b__c") && message.contains("{name: "), "{message}");
        assert!(!workshop.path("lake/src").exists(), "nothing is written");
        with_setting(&workshop, &message);
    }
    for step in ["extract", "load", "verify"] {
        workshop.lake(&format!("{step} --date {DAY}")).done();
    }
    assert_mirrored(&workshop);
}

#[test]
fn names_of_our_own_are_not_loaded_over() {
    let workshop = Workshop::with(CONFIG, "create table _lake_loads (x int); create table t (x int)");
    workshop.lake(&format!("extract --date {DAY}")).done();
    of_table(&workshop, "load", "t").done();
    let notes = "select count(*) from _lake_loads";
    let message = workshop.lake(&format!("load --date {DAY}")).failed(1);
    assert!(
        message.contains("src._lake_loads") && message.contains("lake keeps the name for itself"),
        "{message}"
    );
    assert_eq!(workshop.target.query(notes), "1");

    // Under one schema it is the lake's name that counts.
    workshop.edit("schema: \"{schema}\"", "schema: Odd.Schema");
    workshop.edit(
        "target:",
        "    tables: {public._lake_loads: {name: loads}, 'public.*': }\ntarget:",
    );
    workshop.lake(&format!("extract --date {DAY}")).done();
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_eq!(workshop.target.query("select count(*) from \"Odd.Schema\".loads"), "0");
}

#[test]
fn two_sources_with_one_table_are_refused_under_the_sources_schemas() {
    let config = CONFIG.replace(
        "target:\n",
        "  other:\n    type: postgres\n    url: ${OTHER_URL}\ntarget:\n",
    );
    let sql = "create schema \"Odd.Schema\"; create table \"Odd.Schema\".\"a * b\" (x int);
        insert into \"Odd.Schema\".\"a * b\" values (1); create table mine (x int)";
    let mut workshop = Workshop::with(&config, sql);
    let other = crate::workshop::Database::new(&sql.replace("mine", "theirs"));
    workshop.set("OTHER_URL", &other.url);
    workshop.lake(&format!("extract --date {DAY}")).done();
    let message = workshop.lake(&format!("load --date {DAY}")).failed(2);
    for part in [
        r#"src."Odd.Schema__a * b""#,
        r#"other."Odd.Schema__a * b""#,
        r#"the target's table "Odd.Schema"."a * b""#,
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let made = "select count(*) from pg_namespace where nspname !~ '^(pg_|information_schema|public)'";
    assert_eq!(workshop.target.query(made), "0", "nothing is written");

    let message = of_table(&workshop, "load", "\"Odd.Schema\".\"a * b\"").failed(2);
    assert!(
        message.contains(r#"write other."Odd.Schema__a * b" or src."Odd.Schema__a * b""#),
        "{message}"
    );
    for table in ["mine", "theirs", "src.\"Odd.Schema__a * b\""] {
        of_table(&workshop, "load", table).done();
    }
    let one = ["\"Odd.Schema\".\"a * b\"".to_owned()];
    assert_eq!(digests(&workshop.source, &one), digests(&workshop.target, &one));
}

#[test]
fn what_the_role_may_not_see_is_refused_by_name() {
    let mut workshop = Workshop::with(
        CONFIG,
        "create schema \"Odd.Schema\"; create schema closed; create table closed.t (x int);
         create table \"Odd.Schema\".open (x int); insert into \"Odd.Schema\".open values (1);
         create table \"Odd.Schema\".\"Not Yours\" (x int);
         create table \"Odd.Schema\".\"Partly Yours\" (x int); insert into \"Odd.Schema\".\"Partly Yours\" values (1), (2);
         alter table \"Odd.Schema\".\"Partly Yours\" enable row level security;
         create policy mine on \"Odd.Schema\".\"Partly Yours\" using (x = 1);
         do $$ begin
            if not exists (select from pg_roles where rolname = 'narrow') then create role narrow login; end if;
         end $$;
         grant usage on schema \"Odd.Schema\" to narrow;
         grant select on \"Odd.Schema\".open, \"Odd.Schema\".\"Partly Yours\" to narrow",
    );
    let url = workshop.source.url.replacen("//postgres:", "//narrow:", 1);
    assert!(url.contains(PASSWORD));
    workshop.set("SOURCE_URL", &url);
    let missing = [
        (
            "\"Odd.Schema\".\"Not Yours\"",
            "\n      grant select on \"Odd.Schema\".\"Not Yours\" to \"narrow\";\n",
        ),
        (
            "\"Odd.Schema\".\"Partly Yours\"",
            " (row-level security hides some of its rows)",
        ),
        ("closed.t", " (nor use the schema closed)"),
    ];
    for (table, says) in missing {
        let message = of_table(&workshop, "extract", table).failed(1);
        assert!(message.contains(says), "{message}");
    }
    // One run tells all.
    let extracted = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    let checked = workshop.lake("check").stdout;
    for message in [extracted, checked] {
        for (table, _) in missing {
            assert!(message.contains(&format!("\n      '!{table}':")), "{message}");
        }
        assert!(
            message.contains("\n      grant usage on schema \"closed\" to \"narrow\";\n"),
            "{message}"
        );
    }
    of_table(&workshop, "extract", "\"Odd.Schema\".open").done();
    of_table(&workshop, "load", "\"Odd.Schema\".open").done();
}

#[test]
fn all_tables_that_are_refused_are_named_at_once() {
    let workshop = Workshop::with(
        CONFIG,
        "create table \"Spaces\" (\"a b\" int); create table dates (extract_date date);
         create table fine (x int)",
    );
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    for part in ["rename: {'a b': a_b}", "rename: {extract_date: extract_date_2}"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!workshop.path("lake/src").exists(), "nothing is written");
}
