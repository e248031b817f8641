//! What helps against the server's answers to what a load does to its tables, by what is there.

use lake_postgres::Error as PgError;
use lake_storage::SqlName;
use tokio_postgres::error::{DbError, SqlState};

use crate::foreign_keys::ForeignKey;
use crate::{Error, TargetTable};

/// A failure of `action` in `target`.
pub(crate) fn refused(target: &TargetTable, action: &'static str, source: tokio_postgres::Error) -> Error {
    Error::Swap {
        hint: source.as_db_error().map_or_else(String::new, hint),
        target: target.clone(),
        action,
        source,
    }
}

/// A deferred constraint's, of whichever table it is.
pub(crate) fn of_deferred(error: PgError) -> Error {
    match error {
        PgError::Query { action, source } => match source.as_db_error().and_then(table) {
            Some(table) => refused(&table, "the check of a deferred constraint", source),
            None => PgError::Query { action, source }.into(),
        },
        error => error.into(),
    }
}

/// What helps against a failure to copy: constraints of domains hold from there on.
pub(crate) fn of_copy(error: &PgError) -> String {
    match error {
        PgError::Query { source, .. } => source.as_db_error().map_or_else(String::new, hint),
        _ => String::new(),
    }
}

/// What the keys of the load say of one that is violated.
pub(crate) fn explain(error: Error, keys: &[ForeignKey]) -> Error {
    match error {
        Error::Swap {
            target, action, source, ..
        } if source.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => Error::Swap {
            hint: source
                .as_db_error()
                .map_or_else(String::new, |server| of_key(server, keys)),
            target,
            action,
            source,
        },
        error => error,
    }
}

fn table(server: &DbError) -> Option<TargetTable> {
    Some(TargetTable {
        schema: server.schema()?.into(),
        name: server.table()?.into(),
    })
}

/// Begins with a separator, unless nothing helps that could be told.
fn hint(server: &DbError) -> String {
    let of = table(server).map_or_else(|| "the table".into(), |table| table.to_string());
    let constraint = server.constraint().map(SqlName);
    let column = server.column().map(SqlName);
    let own = |drop: String| {
        format!("; the constraint is the target's own: mend the rows at their source, or drop it: `{drop}`")
    };
    match *server.code() {
        // Of a row that no partition takes.
        SqlState::CHECK_VIOLATION if server.routine() == Some("ExecFindPartition") => match table(server) {
            Some(TargetTable { schema, name }) => {
                let default = TargetTable {
                    schema,
                    name: format!("{name}_default"),
                };
                format!("; create the partition for it, or one for all that have none: `create table {default} partition of {of} default`")
            }
            None => "; create the partition for it, or a default partition".into(),
        },
        SqlState::CHECK_VIOLATION | SqlState::NOT_NULL_VIOLATION if server.datatype().is_some() => {
            let domain = TargetTable {
                schema: server.schema().unwrap_or("public").into(),
                name: server.datatype().unwrap_or_default().into(),
            };
            own(match constraint {
                Some(constraint) => format!("alter domain {domain} drop constraint {constraint}"),
                None => format!("alter domain {domain} drop not null"),
            })
        }
        SqlState::NOT_NULL_VIOLATION => match column {
            Some(column) => own(format!("alter table {of} alter column {column} drop not null")),
            None => String::new(),
        },
        SqlState::CHECK_VIOLATION | SqlState::EXCLUSION_VIOLATION => match constraint {
            Some(constraint) => own(format!("alter table {of} drop constraint {constraint}")),
            None => String::new(),
        },
        SqlState::UNIQUE_VIOLATION => match constraint {
            Some(constraint) => format!(
                "; the unique index {constraint} of {of} is the target's own: mend the rows at their source, or drop it, or the \
                 constraint of that name"
            ),
            None => String::new(),
        },
        SqlState::CHARACTER_NOT_IN_REPERTOIRE if server.message().ends_with("0x00") => {
            // `COPY t, line 2, column c`
            let context = server.where_().and_then(|context| context.lines().next());
            let column = context.and_then(|context| Some(context.rsplit_once(", column ")?.1));
            let column = SqlName(column.unwrap_or("c"));
            format!(
                "; the column {column} has a NUL character, which no text of Postgres holds: take it out where it comes from, or \
                 by a query: `regexp_replace({column}, '\\x00', '', 'g')`"
            )
        }
        SqlState::INVALID_TEXT_REPRESENTATION => {
            "; if it is a label that an enum lacks, `alter type … add value` adds it".into()
        }
        SqlState::TOO_MANY_COLUMNS => {
            "; columns that were dropped count too: rename or drop the table there, and the load creates it with the day's \
             columns"
                .into()
        }
        SqlState::INSUFFICIENT_PRIVILEGE => "; the role of the target's URL needs the right to do it".into(),
        SqlState::T_R_DEADLOCK_DETECTED => "; it and another session waited for each other: run it again".into(),
        SqlState::DISK_FULL => "; the target's disk is full: a load needs room for the day beside what is there".into(),
        _ => String::new(),
    }
}

/// What helps against a violated foreign key: it depends on which of its tables are loaded.
fn of_key(server: &DbError, keys: &[ForeignKey]) -> String {
    let (Some(table), Some(constraint)) = (table(server), server.constraint()) else {
        return "; load the tables of the foreign key together".into();
    };
    let mut of_table = keys
        .iter()
        .filter(|key| key.constraint == constraint && key.table == table);
    let shown = SqlName(constraint);
    match of_table.next() {
        None => format!(
            "; the table that {shown} of {table} refers to is not loaded and does not have that row: load it too, mend the \
             rows at their source, or drop the key: `alter table {table} drop constraint {shown}`"
        ),
        Some(key) if key.restricts() => format!(
            "; {shown} of {table} is `on delete restrict`, which does not wait for the new rows: `alter table {table} drop \
             constraint {shown}, add constraint {shown} {}`",
            key.without_action()
        ),
        Some(key) if key.child.is_none() => format!(
            "; {table} is not loaded, and its rows refer to one that the day does not have: load it too, delete its rows that \
             do, or drop the key: `alter table {table} drop constraint {shown}`"
        ),
        Some(_) => format!(
            "; both tables are loaded, and the day itself has no such row: mend the rows at their source, or drop the key: \
             `alter table {table} drop constraint {shown}`"
        ),
    }
}
