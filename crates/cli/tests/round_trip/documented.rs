//! docs/types.md, the catalogue of cases and the server know the same types.

use std::collections::{BTreeMap, BTreeSet};

use super::cases::{Case, built_in, unreadable};
use crate::workshop::{DAY, Database, Workshop};

/// The types of the server that a column can have: no arrays, no pseudo-types.
const TYPES: &str = "select format_type(oid, null) from pg_type where typnamespace = 'pg_catalog'::regnamespace \
    and typtype in ('b', 'r', 'm') and typoutput <> 'array_out'::regproc order by 1";

fn types(database: &Database) -> BTreeSet<String> {
    database.query(TYPES).lines().map(str::to_owned).collect()
}

/// A type without its modifier: `timestamp(3) with time zone` is `timestamp with time zone`.
fn bare(type_name: &str) -> String {
    match (type_name.find('('), type_name.find(')')) {
        (Some(open), Some(close)) => format!("{}{}", &type_name[..open], &type_name[close + 1..]),
        _ if type_name.starts_with("interval") => "interval".into(),
        _ => type_name.trim_matches('"').replace("bpchar", "character"),
    }
}

/// The Delta type of each type that docs/types.md names; `numeric(p,s)` beside `numeric`.
fn documented(database: &Database) -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/types.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut types = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for name in cells[1].split('`').skip(1).step_by(2) {
            let canonical = match name {
                "numeric(p,s)" => name.to_owned(),
                "char(n)" | "bpchar" => "character".into(),
                "\"char\"" => "char".into(),
                _ => database.query(&format!("select format_type(to_regtype('{name}'), null)")),
            };
            assert_ne!(
                canonical, "NULL",
                "the server has no type {name}, which docs/types.md names"
            );
            types.insert(canonical, cells[3].to_owned());
        }
    }
    types
}

#[test]
fn every_type_of_the_server_has_a_case_and_a_line_in_the_docs() {
    let database = Database::new("");
    let of_server: BTreeSet<String> = types(&database).iter().map(|name| bare(name)).collect();
    let of_docs: BTreeSet<String> = documented(&database).into_keys().collect();
    let cases = built_in().into_iter().map(|case| bare(case.type_name));
    let covered: BTreeSet<String> = cases.chain(unreadable().iter().map(ToString::to_string)).collect();
    let missing: Vec<&String> = of_server.difference(&covered).collect();
    assert!(missing.is_empty(), "no case covers {missing:?}");
    let missing: Vec<&String> = of_server.difference(&of_docs).collect();
    assert!(missing.is_empty(), "docs/types.md does not name {missing:?}");
}

/// What a column is in Delta is what the page says.
pub(super) fn assert_as_documented(workshop: &Workshop, cases: &[Case]) {
    let documented = documented(&workshop.source);
    let manifest: serde_json::Value =
        serde_json::from_str(&workshop.read(&format!("lake/_manifests/pg/{DAY}.json"))).unwrap();
    for case in cases {
        let fields = manifest["tables"][case.table()]["schema"]["fields"].as_array().unwrap();
        let type_of = |name: &str| {
            let field = fields.iter().find(|field| field["name"] == name).unwrap();
            field["type"].clone()
        };
        let key = match bare(case.type_name).as_str() {
            "numeric" if case.is_list => "numeric(p,s)".to_owned(),
            bare => bare.to_owned(),
        };
        // A type of somebody's own travels as text, a domain as what is below it.
        let of_docs = documented.get(&key).map(String::as_str);
        let is_own = case.type_name.contains('.') || of_docs.is_none();
        let expected = match of_docs {
            _ if is_own && !case.is_list => "string".to_owned(),
            _ if is_own => continue,
            Some("decimal(p,s)") => format!(
                "decimal({})",
                case.type_name.trim_start_matches("numeric(").trim_end_matches(')')
            ),
            Some(type_name) => type_name.to_owned(),
            None => unreachable!("it is somebody's own"),
        };
        let (v, d) = (type_of("v"), type_of("d"));
        let found = v.as_str().map(ToOwned::to_owned).unwrap_or_default();
        assert_eq!(found, expected, "{} in Delta", case.type_name);
        assert_eq!(v, d, "{} and its domain", case.type_name);
        for array in ["a", "da"] {
            let array = type_of(array);
            if case.is_list {
                assert_eq!(array["elementType"], v, "{}[]", case.type_name);
            } else {
                assert_eq!(array, "string", "{}[]", case.type_name);
            }
        }
    }
}
