//! Names of every kind and tables of every shape: what goes in comes out, or is refused by name.
//!
//! PostgreSQL judges: a digest of the sorted rows' text of each relation, source against target.

mod alone;
mod columns;
mod existing;
mod hostile;
mod messages;
mod refused;
mod shapes;

use std::collections::BTreeMap;

use crate::workshop::{Database, Workshop};

/// All of a database, mirrored.
const CONFIG: &str = r#"
lake: ./lake
output: ./output
sources:
  src:
    type: postgres
    url: ${SOURCE_URL}
target:
  type: postgres
  url: ${TARGET_URL}
  schema: "{schema}"
"#;

/// A name in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// The tables and partitioned tables of a database, without what is of a load.
fn relations(database: &Database) -> Vec<String> {
    let names = database.query(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
            and n.nspname !~ '^(pg_|information_schema)' and c.relname not in ('_lake_loads')
         order by 1",
    );
    // `%I` leaves a newline in a name as it is.
    let mut relations: Vec<String> = Vec::new();
    for line in names.split('\n') {
        match relations.last_mut() {
            Some(open) if open.matches('"').count() % 2 == 1 => {
                open.push('\n');
                open.push_str(line);
            }
            _ => relations.push(line.to_owned()),
        }
    }
    relations.retain(|name| !name.is_empty());
    relations
}

/// A digest of each relation's own rows, by name; `=` would call values equal that print otherwise.
fn digests(database: &Database, relations: &[String]) -> BTreeMap<String, String> {
    let digests: Vec<String> = relations
        .iter()
        .enumerate()
        .map(|(place, relation)| {
            let only = database.query(&format!(
                "select case relkind when 'r' then 'only ' else '' end from pg_class where oid = '{}'::regclass",
                relation.replace('\'', "''")
            ));
            format!(
                "select {place}, count(*) || ' rows ' || coalesce(md5(string_agg(t::text, E'\\n' order by t::text collate \"C\")), '')
                 from {only}{relation} t"
            )
        })
        .collect();
    let all = database.query(&format!(
        "select digest from ({}) all_relations(place, digest) order by place",
        digests.join(" union all ")
    ));
    relations.iter().cloned().zip(all.lines().map(str::to_owned)).collect()
}

/// The target has the source's relations, all of them and nothing else, with the same rows.
#[track_caller]
fn assert_mirrored(workshop: &Workshop) {
    let (of_source, of_target) = (relations(&workshop.source), relations(&workshop.target));
    assert_eq!(of_source, of_target);
    let wanted = digests(&workshop.source, &of_source);
    let found = digests(&workshop.target, &of_target);
    for (relation, digest) in &wanted {
        assert_eq!(Some(digest), found.get(relation), "{relation}");
    }
}
