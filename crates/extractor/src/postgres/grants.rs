//! What the role may read, asked before anything is locked: all that is missing is said at once.

use std::collections::HashSet;
use std::fmt;

use lake_postgres::{Connection, Error as PgError, quote_identifier};
use lake_storage::{SqlName, yaml};

use super::list::Listed;
use super::{TablePattern, TableSettings};
use crate::{Error, Result};

/// A relation that the role may not read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ungranted {
    /// The relation, as the config writes it.
    pub relation: String,
    /// The relation, as a statement writes it.
    quoted: String,
    /// Its schema, if the role may not use it.
    schema: Option<String>,
    /// Whether the role lacks the right to read it.
    unreadable: bool,
    /// The columns that it lacks the right for, if it has it for others.
    columns: Vec<String>,
    /// The columns that the config leaves out already.
    left_out: Vec<String>,
    /// Whether policies hide rows of it from the role.
    filtered: bool,
}

impl fmt::Display for Ungranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.columns.iter().map(|name| SqlName(name).to_string()).collect();
        f.write_str(&self.relation)?;
        match self {
            Self {
                schema: Some(schema), ..
            } => write!(f, " (nor use the schema {})", SqlName(schema)),
            _ if !names.is_empty() => write!(f, " (not its columns {})", names.join(", ")),
            Self { unreadable: false, .. } => f.write_str(" (row-level security hides some of its rows)"),
            _ => Ok(()),
        }
    }
}

/// The statements that grant what is missing, and the lines of config that do without.
pub(crate) fn mend(role: &str, tables: &[Ungranted]) -> String {
    let role = quote_identifier(role);
    let mut statements = Vec::new();
    let mut schemas: Vec<&String> = tables.iter().filter_map(|table| table.schema.as_ref()).collect();
    schemas.dedup();
    for schema in schemas {
        statements.push(format!("grant usage on schema {} to {role};", quote_identifier(schema)));
    }
    let unreadable: Vec<&str> = tables
        .iter()
        .filter(|t| t.unreadable)
        .map(|t| t.quoted.as_str())
        .collect();
    if !unreadable.is_empty() {
        statements.push(format!("grant select on {} to {role};", unreadable.join(", ")));
    }
    if tables.iter().any(|table| table.filtered) {
        statements.push(format!("alter role {role} bypassrls;"));
    }
    let mut lines = Vec::new();
    for table in tables {
        lines.push(if table.columns.is_empty() {
            format!("{}:", yaml(&format!("!{}", table.relation)))
        } else {
            let left_out = table.left_out.iter().chain(&table.columns);
            let left_out: Vec<String> = left_out.map(|column| yaml(&format!("-{column}"))).collect();
            format!("{}: {{select: [{}]}}", yaml(&table.relation), left_out.join(", "))
        });
    }
    format!(
        "let their owner, or a superuser, say\n      {}\n    or leave them out, where `tables` is a map with a line for each pattern, with\n      {}",
        statements.join("\n      "),
        lines.join("\n      ")
    )
}

/// Looks at the role's rights for all tables. Those returned can't be locked by `lock table`: the
/// role may read the columns that are wanted, and not the table.
///
/// # Errors
/// [`Error::NotGranted`].
pub(super) async fn check(
    connection: &Connection,
    tables: &[(String, Listed)],
    settings: &[(TablePattern, TableSettings)],
) -> Result<HashSet<u32>> {
    let oids: Vec<u32> = tables.iter().map(|(_, listed)| listed.relation.oid).collect();
    // NULL, where a relation has just been dropped, is no refusal.
    let rows = connection
        .query(
            "select c.oid, coalesce(pg_catalog.has_schema_privilege(c.relnamespace, 'usage'), true),
                    coalesce(pg_catalog.row_security_active(c.oid), false), pg_catalog.quote_ident(n.nspname),
                    pg_catalog.quote_ident(c.relname), current_user::text,
                    array(select a.attname::text from pg_catalog.pg_attribute a
                          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                            and not coalesce(pg_catalog.has_column_privilege(c.oid, a.attnum, 'select'), true)
                          order by a.attnum),
                    (select pg_catalog.count(*) from pg_catalog.pg_attribute a
                     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.oid = any($1)
               and not (coalesce(pg_catalog.has_table_privilege(c.oid, 'select'), true)
                        and coalesce(pg_catalog.has_schema_privilege(c.relnamespace, 'usage'), true)
                        and not coalesce(pg_catalog.row_security_active(c.oid), false))
             order by n.nspname, c.relname",
            &[&oids],
        )
        .await
        .map_err(PgError::query("ask what the role may read"))?;
    let mut by_column = HashSet::new();
    let mut ungranted = Vec::new();
    let mut role = String::new();
    for row in &rows {
        let oid: u32 = row.get(0);
        let Some((_, listed)) = tables.iter().find(|(_, listed)| listed.relation.oid == oid) else {
            continue;
        };
        let left_out: Vec<String> = TablePattern::find(settings, &listed.relation)
            .map(|settings| settings.exclude.clone().into_iter().collect())
            .unwrap_or_default();
        let mut refused: Vec<String> = row.get(6);
        let any_granted = (refused.len() as i64) < row.get(7);
        refused.retain(|column| !left_out.contains(column));
        let (may_use, filtered): (bool, bool) = (row.get(1), row.get(2));
        role = row.get(5);
        // The right to read columns extends neither to a table without any, nor to `tableoid`, by which
        // the rows of heirs are told apart.
        let unreadable = !refused.is_empty() || !any_granted || !listed.heirs.is_empty();
        if may_use && !filtered && !unreadable {
            by_column.insert(oid);
            continue;
        }
        ungranted.push(Ungranted {
            relation: listed.relation.to_string(),
            quoted: format!("{}.{}", row.get::<_, &str>(3), row.get::<_, &str>(4)),
            schema: (!may_use).then(|| listed.relation.schema.clone()),
            unreadable,
            columns: if any_granted { refused } else { Vec::new() },
            left_out,
            filtered,
        });
    }
    match ungranted.is_empty() {
        true => Ok(by_column),
        false => Err(Error::NotGranted {
            role,
            tables: ungranted,
        }),
    }
}
