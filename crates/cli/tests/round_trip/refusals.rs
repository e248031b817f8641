//! Values that no Arrow type holds: the extract names the column and prints the setting that helps, and
//! with that setting they come back exactly.

use super::cases::{built_in, expression};
use super::{CONFIG, assert_same};
use crate::workshop::{DAY, Database, Workshop};

/// A type, a value of it, and what the message says of the value.
const VALUES: &[(&str, &str, &str)] = &[
    ("numeric(5,2)", "NaN", "NaN"),
    ("numeric(38,0)", "NaN", "NaN"),
    ("numeric(5,2)[]", "{1.50,NULL,NaN}", "NaN"),
    ("date", "infinity", "infinity"),
    ("date", "-infinity", "-infinity"),
    ("date[]", "{infinity}", "infinity"),
    ("timestamp", "infinity", "infinity"),
    ("timestamp", "-infinity", "-infinity"),
    ("timestamp", "294247-01-10 04:00:54.775808", "beyond 294246"),
    ("timestamp", "294276-12-31 23:59:59.999999", "beyond 294246"),
    ("timestamp[]", "{-infinity,294276-12-31}", "infinity"),
    ("timestamptz", "infinity", "infinity"),
    ("timestamptz", "-infinity", "-infinity"),
    ("timestamptz", "294276-12-31 23:59:59.999999+00", "beyond 294246"),
    ("timestamptz[]", "{infinity}", "infinity"),
];

/// The tables, each with a row that can be held and one that can't, and what the message says.
fn tables() -> Vec<(String, String)> {
    let values = VALUES.iter().map(|(type_name, value, shown)| {
        let value = expression(value, type_name);
        ((*type_name).to_owned(), value, (*shown).to_owned())
    });
    let lists = built_in().into_iter().filter(|case| case.is_list).enumerate();
    let shapes = lists.flat_map(|(i, case)| {
        let type_name = format!("{}[]", case.type_name);
        // Of "char" a byte that is text.
        let edge = if case.type_name == "\"char\"" {
            "x"
        } else {
            &case.edges[i % 2]
        };
        let value = expression(edge, case.type_name);
        let rank = format!("array[array[{value}, null], array[null, {value}]]::{type_name}");
        let bound = format!("('[0:1]=' || array[{value}, null]::{type_name}::text)::{type_name}");
        [
            (type_name.clone(), rank, "2 dimensions".to_owned()),
            (type_name, bound, "index 0".to_owned()),
        ]
    });
    values
        .chain(shapes)
        .enumerate()
        .map(|(i, (type_name, value, shown))| {
            let sql = format!(
                "create table r_{i} (id int primary key, v {type_name}); insert into r_{i} values (1, null), (2, {value});"
            );
            (sql, shown)
        })
        .collect()
}

/// One run tells of all columns, and what it prints for the config mends them all. Arrays of other shapes are
/// carried as text without being asked for.
#[test]
fn one_refusal_names_every_column_and_the_settings_that_help() {
    let tables = tables();
    let sql: Vec<&str> = tables.iter().map(|(sql, _)| sql.as_str()).collect();
    let workshop = Workshop::with(CONFIG, &sql.join("\n"));
    workshop.edit(
        "url: ${SOURCE_URL}\n",
        "url: ${SOURCE_URL}\n    tables: {'public.*': {columns: {id: text}}}\n",
    );
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    for (i, (sql, shown)) in tables.iter().enumerate() {
        let is_shape = shown.contains("dimensions") || shown.contains("index");
        let refused = message
            .lines()
            .find(|line| line.contains(&format!("table public.r_{i}, column v: ")));
        assert_eq!(
            refused.is_some_and(|line| line.contains(shown)),
            !is_shape,
            "{sql:.300}\n{message}"
        );
        let entry = format!("\n      public.r_{i}: {{columns: {{id: text, v: text}}}}");
        assert_eq!(message.contains(&entry), !is_shape, "{sql:.300}\n{message}");
    }
    let (_, block) = message.split_once("go through:\n").unwrap();
    let block: Vec<&str> = block.lines().take_while(|line| line.starts_with("    ")).collect();
    let block = block.join("\n");
    let checked = workshop.lake("check --deep");
    assert_eq!(checked.status, Some(1), "{checked}");
    assert!(checked.stdout.contains(&block), "{block}\nis not in {checked}");

    workshop.edit("    tables: {'public.*': {columns: {id: text}}}\n", &(block + "\n"));
    workshop.lake("check --deep").done();
    workshop.lake(&format!("extract --date {DAY}")).done();
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_same(&workshop, 0, str::to_owned);
}

/// A database of bytes without an encoding may hold what is no text anywhere else.
#[test]
fn bytes_that_are_no_text_are_refused() {
    let mut workshop = Workshop::with(CONFIG, "");
    let source = Database::with_options(
        "encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'",
        "create table t (id int primary key, v text); insert into t values (1, E'\\xe9')",
    );
    workshop.set("SOURCE_URL", &source.url);
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    assert!(
        message.contains("table public.t") && message.contains("invalid byte sequence"),
        "{message}"
    );
    source.execute("update t set v = 'é'");
    workshop.lake(&format!("extract --date {DAY}")).done();
    assert_eq!(workshop.sql("", "select v from t"), "v\né\n");
}

#[test]
fn a_decimal_setting_is_for_numerics_and_for_values_that_fit() {
    let workshop = Workshop::with(
        CONFIG,
        "create table t (id bigint primary key, v numeric); insert into t values (5, 123456789012.5)",
    );
    let set = |column: &str, from: &str, to: &str| {
        let line = |kind: &str| format!("    tables: {{public.t: {{columns: {{{column}: \"{kind}\"}}}}}}\n");
        workshop.edit(&line(from), &line(to));
    };
    workshop.edit(
        "url: ${SOURCE_URL}\n",
        "url: ${SOURCE_URL}\n    tables: {public.t: {columns: {v: \"decimal(5,2)\"}}}\n",
    );
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    assert!(
        message.contains("column v: the value of more digits than the type declares"),
        "{message}"
    );
    set("v", "decimal(5,2)", "decimal(20,3)");
    workshop.lake(&format!("extract --date {DAY}")).done();
    assert_eq!(workshop.sql("", "select v from t"), "v\n123456789012.500\n");
    workshop.edit("{v: \"decimal(20,3)\"}", "{id: \"decimal(20,3)\"}");
    let message = workshop.lake(&format!("extract --date {DAY}")).failed(1);
    assert!(
        message.contains("column \"id\" as a decimal, which only a numeric can be; it is bigint"),
        "{message}"
    );
}

/// What the catalogue alone can make is read by no input function: the load says so.
#[test]
fn a_type_without_an_input_is_refused_by_the_load() {
    let workshop = Workshop::with(
        CONFIG,
        "create table t (id int primary key, v pg_node_tree);
         insert into t select 1, ev_action from pg_rewrite limit 1",
    );
    workshop.lake(&format!("extract --date {DAY}")).done();
    let message = workshop.lake(&format!("load --date {DAY}")).failed(1);
    assert!(
        message.contains("public.t") && message.contains("cannot accept a value of type pg_node_tree"),
        "{message}"
    );
    workshop.edit(
        "url: ${SOURCE_URL}\n",
        "url: ${SOURCE_URL}\n    tables: {public.t: {columns: {v: text}}}\n",
    );
    workshop.lake(&format!("extract --date {DAY}")).done();
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_same(&workshop, 0, |type_name| type_name.replace("pg_node_tree", "text"));
}

/// A name is one of the database that it was read in.
#[test]
fn a_name_that_the_target_lacks_is_refused_by_the_load() {
    let workshop = Workshop::with(
        CONFIG,
        "create function only_here() returns int language sql return 1;
         create table t (id int primary key, v regproc);
         insert into t values (1, 'only_here')",
    );
    workshop.lake(&format!("extract --date {DAY}")).done();
    let message = workshop.lake(&format!("load --date {DAY}")).failed(1);
    assert!(
        message.contains("public.t") && message.contains("\"public.only_here\" does not exist"),
        "{message}"
    );
}

/// The least interval of all is printed by the server and read by none.
#[test]
fn a_text_that_the_server_does_not_read_is_refused_by_the_load() {
    let workshop = Workshop::with(
        CONFIG,
        "create table t (id int primary key, v interval);
         insert into t values (1, interval '-2562047788:00:54.775807' - interval '00:00:00.000001')",
    );
    workshop.lake(&format!("extract --date {DAY}")).done();
    let message = workshop.lake(&format!("load --date {DAY}")).failed(1);
    assert!(
        message.contains("public.t") && message.contains("invalid input syntax for type interval"),
        "{message}"
    );
    workshop.edit(
        "url: ${SOURCE_URL}\n",
        "url: ${SOURCE_URL}\n    tables: {public.t: {columns: {v: text}}}\n",
    );
    workshop.lake(&format!("extract --date {DAY}")).done();
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_same(&workshop, 0, |type_name| type_name.replace("interval", "text"));
}
