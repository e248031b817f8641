//! The judge: two databases hold the same if the server prints the same for every row of every table.
//!
//! Never with `=`, which calls 1.5 and 1.50, 0 and -0, and `'a'` and `'A'` of citext equal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lake_postgres::{quote_identifier, quote_qualified};

use crate::workshop::Database;

/// What a value's text depends on, the same on both sides.
const SETTINGS: &str = "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; \
    set extra_float_digits = 1; set bytea_output = 'hex'; set lc_monetary = 'C'; set xmloption = 'content'; \
    set search_path = ''";

const COLUMNS: &str = "\
    select n.nspname::text, c.relname::text, c.relkind = 'p', a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) \
    from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
        and c.relname not like '\\_lake%' \
    order by 1, 2, a.attnum";

/// A table with its columns' names and types.
#[derive(Debug)]
struct Relation {
    partitioned: bool,
    columns: Vec<(String, String)>,
}

/// By the name as SQL writes it.
fn relations(database: &Database) -> BTreeMap<String, Relation> {
    database.execute(SETTINGS);
    let mut relations = BTreeMap::new();
    for row in database.rows(COLUMNS) {
        let relation = relations
            .entry(quote_qualified(row.get(0), row.get(1)))
            .or_insert(Relation {
                partitioned: row.get(2),
                columns: Vec::new(),
            });
        if let Some(name) = row.get::<_, Option<String>>(3) {
            relation.columns.push((name, row.get(4)));
        }
    }
    relations
}

impl Relation {
    /// The columns in this order as one row, which is printed by each type's output function, and
    /// floating-point numbers bit for bit beside it, where they are such numbers on the other side too.
    fn row(&self, names: &[&str], other: &Self) -> String {
        let mut items: Vec<String> = names.iter().map(|name| quote_identifier(name)).collect();
        let columns = self.columns.iter().filter(|column| other.columns.contains(column));
        for (name, type_name) in columns.filter(|(name, _)| names.contains(&name.as_str())) {
            let name = quote_identifier(name);
            match type_name.as_str() {
                "real" => items.push(format!("pg_catalog.float4send({name})")),
                "double precision" => items.push(format!("pg_catalog.float8send({name})")),
                "real[]" | "double precision[]" => items.push(format!("pg_catalog.array_send({name})")),
                _ => {}
            }
        }
        format!("row({})::text", items.join(", "))
    }

    /// A table's own rows: what inherits from it is a table too.
    fn from(&self, name: &str) -> String {
        let only = if self.partitioned { "" } else { "only " };
        format!("from {only}{name}")
    }
}

/// Compares every table of the source with the target's of the same name, and returns what differs.
///
/// A column's type in the target is to be `expected` of its type in the source.
pub(crate) fn differences(source: &Database, target: &Database, expected: impl Fn(&str) -> String) -> Vec<String> {
    let (wanted, found) = (relations(source), relations(target));
    assert!(!wanted.is_empty(), "the source has no tables: nothing was compared");
    let mut differences = Vec::new();
    let (mut of_source, mut of_target) = (Vec::new(), Vec::new());
    for (name, relation) in &wanted {
        let Some(has) = found.get(name) else {
            differences.push(format!("{name}: the target has no such table"));
            continue;
        };
        let types: Vec<_> = relation
            .columns
            .iter()
            .map(|(name, t)| (name.clone(), expected(t)))
            .collect();
        for (wanted, has) in types.iter().zip(&has.columns).filter(|(wanted, has)| wanted != has) {
            differences.push(format!("{name}: a column is {has:?} in the target, not {wanted:?}"));
        }
        if relation.columns.len() != has.columns.len() {
            differences.push(format!(
                "{name}: {} columns in the target, not {}",
                has.columns.len(),
                relation.columns.len()
            ));
            continue;
        }
        let names: Vec<&str> = relation.columns.iter().map(|(name, _)| name.as_str()).collect();
        of_source.push(digest(name, relation, &relation.row(&names, has)));
        of_target.push(digest(name, has, &has.row(&names, relation)));
    }
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        differences.push(format!("{name}: the source has no such table"));
    }
    let (of_source, of_target) = (digests(source, &of_source), digests(target, &of_target));
    for (name, digest) in &of_source {
        if of_target[name] != *digest {
            differences.extend(rows_that_differ(source, target, name, &wanted[name], &found[name]));
        }
    }
    differences
}

/// The SQL for a table's name, its rows and their digest.
fn digest(name: &str, relation: &Relation, row: &str) -> String {
    format!(
        "select {}, pg_catalog.count(*)::text || ' ' || \
             coalesce(pg_catalog.md5(pg_catalog.string_agg(r, '' order by r collate \"C\")), '') \
         from (select pg_catalog.md5({}) {}) as t(r)",
        lake_postgres::quote_literal(name),
        row,
        relation.from(name)
    )
}

fn digests(database: &Database, queries: &[String]) -> BTreeMap<String, String> {
    // In pieces: the server plans hundreds of branches slowly.
    let pieces = queries.chunks(40).map(|piece| piece.join(" union all "));
    let rows = pieces.flat_map(|sql| database.rows(&sql));
    rows.map(|row| (row.get(0), row.get(1))).collect()
}

/// For each column the rows that only one side has, by their first column.
fn rows_that_differ(
    source: &Database,
    target: &Database,
    name: &str,
    of_source: &Relation,
    of_target: &Relation,
) -> Vec<String> {
    let mut found = Vec::new();
    let key = of_source.columns[0].0.as_str();
    for (column, type_name) in &of_source.columns {
        let rows = |database: &Database, relation: &Relation, other: &Relation| -> Vec<String> {
            // Bytes: the text need not be of any encoding.
            let sql = format!(
                "select pg_catalog.textsend({}) {}",
                relation.row(&[key, column.as_str()], other),
                relation.from(name)
            );
            let rows = database.rows(&sql);
            let shown = rows
                .iter()
                .map(|row| row.get::<_, Vec<u8>>(0).escape_ascii().to_string());
            let mut shown: Vec<String> = shown.collect();
            shown.sort_unstable();
            shown
        };
        let a = rows(source, of_source, of_target);
        let b = rows(target, of_target, of_source);
        let mut message = String::new();
        for (side, rows, others) in [("source", &a, &b), ("target", &b, &a)] {
            for row in rows.iter().filter(|row| others.binary_search(row).is_err()).take(5) {
                let row: String = row.chars().take(300).collect();
                let _ = write!(message, "\n    only in the {side}: {row}");
            }
        }
        if !message.is_empty() {
            found.push(format!("{name}: column {column:?} of {type_name} differs:{message}"));
        }
    }
    if found.is_empty() {
        found.push(format!("{name}: the rows are not the same"));
    }
    found
}

/// What `=` takes for the same is not: the judge names each.
#[test]
fn the_judge_tells_apart_what_equality_does_not() {
    let table = "create extension citext; create schema s; create table s.t (id int, f float8, n numeric, c citext, b char(3), i interval,
        a int[], j json, t text)";
    let a = Database::new(&format!(
        "{table}; insert into s.t values (1, 0, 1.5, 'a', 'a', '1 day', '{{1}}', '{{}}', null)"
    ));
    let b = Database::new(&format!(
        "{table}; insert into s.t values (1, '-0', 1.50, 'A', 'a', '24:00', '[0:0]={{1}}', '{{ }}', '')"
    ));
    let found = differences(&a, &b, str::to_owned);
    let columns = ["f", "n", "c", "i", "a", "j", "t"].map(|column| format!("column {column:?}"));
    assert_eq!(found.len(), columns.len(), "{found:#?}");
    for (found, column) in found.iter().zip(columns) {
        assert!(found.contains(&column), "{found}");
    }
    b.execute("alter table s.t alter id type bigint");
    assert!(differences(&a, &b, str::to_owned)[0].contains("bigint"));
    let missing = differences(&a, &Database::new(""), str::to_owned);
    assert_eq!(missing, ["\"s\".\"t\": the target has no such table"]);
}
