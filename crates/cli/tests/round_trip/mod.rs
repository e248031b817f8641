//! A hostile database through `lake extract` and `lake load`: the server prints of every value in the
//! target what it prints in the source.

mod cases;
mod documented;
mod generate;
mod judge;
mod refusals;
mod settings;

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

#[test]
fn a_target_that_has_the_types_gets_every_value_in_its_own() {
    let seed = seed();
    let workshop = Workshop::with(CONFIG, "");
    let cases = make_source(&workshop.source, seed);
    make_types(&workshop.target);
    for case in &cases {
        workshop.target.execute(&case.create_domain());
    }
    workshop.lake(&format!("extract --date {DAY}")).done();
    documented::assert_as_documented(&workshop, &cases);
    workshop.lake(&format!("load --date {DAY}")).done();
    assert_same(&workshop, seed, str::to_owned);
    workshop.lake(&format!("verify --date {DAY}")).done();
}
