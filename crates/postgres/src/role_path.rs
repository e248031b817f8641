//! The role's own search path, for what runs in our statements and is not ours.
//!
//! Our transactions have an empty path: what we say is qualified, and types are printed with their
//! schemas. Functions of views, triggers, checks and event triggers may name tables plainly, and work for
//! whoever has the path that they were written for.

use tokio_postgres::error::SqlState;

use crate::{Connection, Error, Result, quote_identifier};

const OWN: &str = "set local search_path to default";
const EMPTY: &str = "set local search_path to ''";

/// Statements as they run under the role's own path, all of whose own names are qualified.
pub fn under_role_path(statements: &str) -> String {
    format!("{OWN}; {statements}; {EMPTY}")
}

impl Connection {
    /// Waits for what `run` does on this connection, under the role's own path.
    ///
    /// # Errors
    /// What `run` gives: the transaction is not to be gone on with then.
    pub async fn as_role<T, E: From<Error>>(&self, run: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.set_role_path(true).await?;
        let done = run.await?;
        self.set_role_path(false).await?;
        Ok(done)
    }

    /// Sets the role's own path, or the empty one.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn set_role_path(&self, own: bool) -> Result<()> {
        let set = self.batch_execute(if own { OWN } else { EMPTY }).await;
        set.map_err(Error::query("set the search_path"))
    }
}

/// What helps where a function does not find what it names; empty, or begins with a separator.
pub fn path_hint(error: &tokio_postgres::Error) -> String {
    let Some(server) = error.as_db_error() else {
        return String::new();
    };
    let missing = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_OBJECT,
    ];
    match server.where_().and_then(function) {
        Some(function) if missing.contains(server.code()) => format!(
            "; the function {function} names it without its schema, and the search_path of the role, which it has here as \
             in psql, does not lead there: `alter function {function} set search_path = …` or `alter role … set search_path = …`"
        ),
        _ => String::new(),
    }
}

/// The innermost function of an error's context, as SQL writes it.
fn function(context: &str) -> Option<String> {
    context.lines().find_map(|line| {
        let (language, rest) = line.split_once(" function ")?;
        if language.contains(' ') {
            return None; // a statement that speaks of functions
        }
        match rest.strip_prefix('"') {
            Some(rest) => Some(quote_identifier(rest.rsplit_once('"')?.0)),
            None => Some(rest.split_once(" line ")?.0.to_owned()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_function_is_named_as_sql_writes_it() {
        for (context, expected) in [
            (
                "PL/pgSQL function public.rate(integer,\"T\") line 3 at RETURN",
                Some("public.rate(integer,\"T\")"),
            ),
            (
                "SQL function \"Rate\" statement 1\nPL/pgSQL function f() line 1 at IF",
                Some("\"Rate\""),
            ),
            (
                "SQL statement \"select a function x\"\nPL/pgSQL function f() line 1 at IF",
                Some("f()"),
            ),
            ("SQL function \"rate\" during inlining", Some("\"rate\"")),
            ("COPY t, line 1", None),
        ] {
            assert_eq!(function(context).as_deref(), expected, "{context}");
        }
    }
}
