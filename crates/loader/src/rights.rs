//! What the target's role has to be allowed, looked at before any row is copied, and told all at once.

use lake_postgres::{Connection, Error as PgError};
use lake_storage::SqlName;

use crate::existing::Existing;
use crate::loads::LOADS_TABLE;
use crate::{Error, Result, TargetTable};

/// Staging tables are beside the target's, in its schema.
const SCHEMAS: &str = "\
    select w.name, array_to_string(array[ \
        case when not has_schema_privilege(n.oid, 'usage') then 'usage' end, \
        case when not has_schema_privilege(n.oid, 'create') then 'create' end], ', ') \
    from unnest($1::text[]) as w(name) join pg_namespace n on n.nspname = w.name order by 1";

const DATABASE: &str = "\
    select current_user::text, current_database()::text, has_database_privilege(current_database(), 'create')";

/// A table into which some columns may be inserted is left to the server.
const TABLES: &str = "\
    select n.nspname::text, c.relname::text, array_to_string(array[ \
        case when c.relname = $2 and not has_table_privilege(c.oid, 'select') then 'select' end, \
        case when not has_table_privilege(c.oid, 'insert') and not has_any_column_privilege(c.oid, 'insert') then 'insert' end, \
        case when c.relname = $2 and not has_table_privilege(c.oid, 'update') then 'update' end, \
        case when c.relname <> $2 and not has_table_privilege(c.oid, 'delete') then 'delete' end], ', '), \
        row_security_active(c.oid) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.oid = any($1) or n.nspname = any($3::text[]) and c.relname = $2 and c.relkind = 'r' \
    order by 1, 2";

/// Those that the role can't alter.
const ALTERED: &str = "\
    select c.oid, pg_get_userbyid(c.relowner)::text from pg_class c \
    where c.oid = any($1) and not pg_has_role(c.relowner, 'usage') order by 1";

/// What the role lacks.
#[derive(Debug)]
pub(crate) struct Missing {
    role: String,
    /// The statements that allow it.
    statements: Vec<String>,
    /// Whether the load can't even read what earlier ones have noted.
    notes: bool,
}

/// Looks for what the load has to do in the target and the role may not.
pub(crate) async fn find(connection: &Connection, schemas: &[&str], existing: &[Option<Existing>]) -> Result<Missing> {
    let action = || PgError::query("read what the target's role may do");
    let row = connection.query_one(DATABASE, &[]).await.map_err(action())?;
    let (role, database, may_create): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
    let to = SqlName(&role).to_string();
    let mut statements = Vec::new();
    let present = connection.query(SCHEMAS, &[&schemas]).await.map_err(action())?;
    if present.len() < schemas.len() && !may_create {
        statements.push(format!("grant create on database {} to {to};", SqlName(&database)));
    }
    for row in &present {
        let (schema, missing): (String, String) = (row.get(0), row.get(1));
        if !missing.is_empty() {
            statements.push(format!("grant {missing} on schema {} to {to};", SqlName(&schema)));
        }
    }
    let mut notes = !statements.is_empty();
    let oids: Vec<u32> = existing.iter().flatten().map(|table| table.oid).collect();
    let tables = connection.query(TABLES, &[&oids, &LOADS_TABLE, &schemas]).await;
    let tables = tables.map_err(action())?;
    for row in &tables {
        let table = TargetTable {
            schema: row.get(0),
            name: row.get(1),
        };
        let missing: String = row.get(2);
        notes |= table.name == LOADS_TABLE && missing.contains("select");
        if !missing.is_empty() {
            statements.push(format!("grant {missing} on {table} to {to};"));
        }
    }
    if tables.iter().any(|row| row.get(3)) {
        // Rows that a policy hides would stay.
        statements.push(format!("alter role {to} bypassrls;"));
    }
    Ok(Missing {
        role,
        statements,
        notes,
    })
}

impl Missing {
    /// Refuses if it is too little to see more of the target.
    ///
    /// # Errors
    /// [`Error::Rights`] with all that is missing.
    pub(crate) fn refuse_blind(&self) -> Result<()> {
        match self.notes {
            true => refuse(self.role.clone(), self.statements.clone()),
            false => Ok(()),
        }
    }

    /// # Errors
    /// [`Error::Rights`] with all that is missing.
    pub(crate) fn refuse(self) -> Result<()> {
        refuse(self.role, self.statements)
    }
}

/// Makes sure that these tables may be altered.
///
/// # Errors
/// [`Error::Rights`] with the owners to become a member of.
pub(crate) async fn check_owner<'a>(
    connection: &Connection,
    altered: impl Iterator<Item = &'a Existing>,
) -> Result<()> {
    let oids: Vec<u32> = altered.map(|table| table.oid).collect();
    if oids.is_empty() {
        return Ok(());
    }
    let action = || PgError::query("look for the owners of the target's tables");
    let rows = connection.query(ALTERED, &[&oids]).await.map_err(action())?;
    let role: String = connection.query_one(DATABASE, &[]).await.map_err(action())?.get(0);
    let to = SqlName(&role).to_string();
    let mut statements: Vec<String> = rows
        .iter()
        .map(|row| format!("grant {} to {to};", SqlName(row.get(1))))
        .collect();
    statements.dedup();
    refuse(role, statements)
}

/// For a role that has `session_replication_role = replica`, and may not set it.
pub(crate) fn keeps_constraints_off(role: String, database: &str) -> Error {
    let (of, database) = (SqlName(&role), SqlName(database));
    // The setting of a role in a database comes before all others.
    let statement = format!("alter role {of} in database {database} set session_replication_role = origin;");
    Error::Rights {
        statements: vec![statement],
        role,
    }
}

fn refuse(role: String, statements: Vec<String>) -> Result<()> {
    match statements.is_empty() {
        true => Ok(()),
        false => Err(Error::Rights { role, statements }),
    }
}
