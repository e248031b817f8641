//! One table of a hostile database at a time, by the name that SQL gives it.

use super::hostile;
use super::{CONFIG, digests, qualified};
use crate::outcome::Outcome;
use crate::workshop::{DAY, Workshop};

/// Beside the hostile tables some that are refused, each in a way of its own.
const REFUSED: &str = r#"
    create table "Bad Column" ("a b" int);
    create schema "ééééééééééééééééééééééééééééééé";
    create table "ééééééééééééééééééééééééééééééé"."日本語日本語日本語日本語日本語日本語日本語" (x int);
    create schema a; create schema a__b; create table a__b.c (x int); create table a.b__c (x int);
    create table _lake_loads (x int);
    create table secret (x int); alter table secret enable row level security;
"#;

/// Of the others every so-manieth is tried: each takes two commands.
const STEP: usize = 6;

pub(super) fn of_table(workshop: &Workshop, step: &str, table: &str) -> Outcome {
    workshop.lake_sql(&format!("{step} --date {DAY} --table"), table)
}

#[test]
fn a_table_alone_goes_through_whatever_the_others_are() {
    let workshop = Workshop::with(CONFIG, &(hostile::sql() + REFUSED));
    assert!(workshop.lake(&format!("extract --date {DAY}")).status != Some(0));
    let hard = ["plain", "\"plain\"", "public.plain", "new\nline", "Ünï\"q", "dot.ted"];
    let tables = hostile::tables();
    let wanted = tables
        .iter()
        .enumerate()
        .filter(|(place, (schema, name))| place % STEP == 0 || (*schema == "public" && hard.contains(name)))
        .map(|(_, (schema, name))| qualified(schema, name));
    for table in wanted {
        of_table(&workshop, "extract", &table).done();
        // The day is not whole, and stays so: that is no matter to a load of this table.
        of_table(&workshop, "load", &table).done();
        let one = [table];
        assert_eq!(digests(&workshop.source, &one), digests(&workshop.target, &one));
    }

    // As `lake query` and a message call it.
    of_table(&workshop, "extract", "\"Odd.Schema\".\"a * b\"").done();
    for table in [
        "src.\"Odd.Schema__a * b\"",
        "public.U&\"new\\000Aline\"",
        "src.\"Ünï\"\"q\"",
    ] {
        of_table(&workshop, "load", table).done();
    }
    let nearest = of_table(&workshop, "extract", "\"Odd.Schema\".\"a * c\"").failed(2);
    assert!(nearest.contains(r#"did you mean "Odd.Schema"."a * b"?"#), "{nearest}");
    assert!(
        of_table(&workshop, "extract", "\"Mixed Case")
            .failed(2)
            .contains("Mixed Case")
    );
}
