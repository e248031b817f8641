//! A hostile database through `lake extract` and `lake load`: the server prints of every value in the
//! target what it prints in the source.

mod cases;
mod documented;
mod generate;
mod judge;
mod refusals;
mod settings;

use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use self::cases::Case;
use crate::workshop::{DAY, Database, Workshop};

const CONFIG: &str = r#"lake: ./lake
output: ./output
exports: []
sources:
  pg:
    type: postgres
    url: ${SOURCE_URL}
target:
  type: postgres
  url: ${TARGET_URL}
  schema: "{schema}"
"#;

/// The seed of all generated values: another at every run, or that of `LAKE_TEST_SEED`.
fn seed() -> u64 {
    let seed = match std::env::var("LAKE_TEST_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => rand::random(),
    };
    println!("values are generated from LAKE_TEST_SEED={seed}");
    seed
}

/// Makes every type that somebody else has to make, and says which extensions the server lacks.
fn make_types(database: &Database) -> Vec<Case> {
    database.execute("create schema ext");
    let mut cases = Vec::new();
    for (extension, types) in cases::extensions() {
        match database.attempt(&format!("create extension {extension} schema ext cascade")) {
            Ok(()) => cases.extend(types),
            Err(error) => println!("NOT COVERED: the types of the extension {extension}: {error}"),
        }
    }
    database.execute(cases::USER_TYPES);
    cases.extend(cases::user_types());
    cases
}

/// A database with a table for every type.
fn make_source(database: &Database, seed: u64) -> Vec<Case> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut cases = cases::built_in();
    cases.extend(make_types(database));
    let mut failures = Vec::new();
    for case in &cases {
        let sql = case.create_domain() + &case.create_table(&mut random);
        if let Err(error) = database.attempt(&sql) {
            failures.push(format!("{}: {error}", case.type_name));
        }
    }
    let count = failures.len();
    assert_eq!(
        count,
        0,
        "LAKE_TEST_SEED={seed}: values are wrong of\n{}",
        failures.join("\n")
    );
    database.execute(cases::USER_TABLES);
    let unreadable: Vec<String> = cases::unreadable()
        .iter()
        .map(|name| format!("{name} pg_catalog.{name}"))
        .collect();
    database.execute(&format!(
        "create table public.unreadable (id int, {}); insert into public.unreadable values (1)",
        unreadable.join(", ")
    ));
    cases
}

#[track_caller]
fn assert_same(workshop: &Workshop, seed: u64, expected: impl Fn(&str) -> String) {
    let differences = judge::differences(&workshop.source, &workshop.target, expected);
    assert!(
        differences.is_empty(),
        "LAKE_TEST_SEED={seed}: {} differences\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// What a column is in a target that has the types: the row types of tables come with the tables, too
/// late for columns of them.
fn with_own_types(type_name: &str) -> String {
    match type_name {
        "public.parent" | "public.parent[]" => "text".into(),
        other => other.into(),
    }
}

/// The type below each domain.
fn domains(database: &Database) -> BTreeMap<String, String> {
    let sql = "select format_type(oid, -1), format_type(typbasetype, typtypmod) from pg_type where typtype = 'd'";
    database.execute("set search_path = ''");
    database.rows(sql).iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What a column is in a target that has no types but the server's own: of a domain the type below it,
/// else text.
fn without_own_types(type_name: &str, domains: &BTreeMap<String, String>) -> String {
    let (mut base, array) = match type_name.strip_suffix("[]") {
        Some(element) => (element, "[]"),
        None => (type_name, ""),
    };
    let is_own = |name: &str| name.contains('.');
    while let Some(below) = domains.get(base).filter(|_| is_own(base)) {
        base = below;
    }
    // An array of arrays is no type of the server's.
    if is_own(base) || (base.ends_with("[]") && !array.is_empty()) {
        "text".into()
    } else {
        format!("{base}{array}")
    }
}

#[test]
fn every_value_comes_back_as_the_server_prints_it() {
    let seed = seed();
    let mut workshop = Workshop::with(CONFIG, "");
    let cases = make_source(&workshop.source, seed);
    workshop.lake(&format!("extract --date {DAY}")).done();
    documented::assert_as_documented(&workshop, &cases);

    // An empty database lacks the types that somebody made.
    workshop.lake(&format!("load --date {DAY}")).done();
    let domains = domains(&workshop.source);
    assert_same(&workshop, seed, |type_name| without_own_types(type_name, &domains));
    workshop.lake(&format!("verify --date {DAY}")).done();

    // Another has them.
    workshop.target = Database::new("");
    workshop.set("TARGET_URL", &workshop.target.url.clone());
    make_types(&workshop.target);
    for case in &cases {
        workshop.target.execute(&case.create_domain());
    }
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_same(&workshop, seed, with_own_types);
    workshop.lake(&format!("verify --date {DAY}")).done();
}
