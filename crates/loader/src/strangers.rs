//! Tables of the target that no load of this lake has filled: somebody else's, whose rows a load would replace.

use std::collections::BTreeSet;
use std::fmt;

use lake_postgres::Connection;
use lake_storage::{RESULTS, Relation, SqlName, shell_word};

use crate::existing::{self, Existing};
use crate::loads::{self, Note, Notes};
use crate::{Error, LoadRequest, Result, SchemaRule, Target, TargetTable, plan, rights};

/// As many rows are counted: nobody waits for the others.
const ROWS_COUNTED_MAX: i64 = 100_000;

/// A table of the target that no load of this lake's sources has filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The table.
    pub target: TargetTable,
    /// Its rows, as far as they were counted; none if the role may not read them.
    rows: Option<i64>,
    /// Of whose load they are, if of one.
    source: Option<String>,
}

impl Stranger {
    fn is_empty(&self) -> bool {
        self.rows == Some(0)
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            Some(1) => write!(f, "{}: 1 row", self.target),
            Some(rows) if rows > ROWS_COUNTED_MAX => write!(f, "{}: more than {ROWS_COUNTED_MAX} rows", self.target),
            Some(rows) => write!(f, "{}: {rows} rows", self.target),
            None => write!(f, "{}: it can have rows that the role may not read", self.target),
        }?;
        match &self.source {
            Some(source) => write!(
                f,
                " (loaded from a source {}, which the config does not have)",
                SqlName(source)
            ),
            None => Ok(()),
        }
    }
}

/// Whether a table that is there has been filled by no load of these sources.
pub(crate) fn is_stranger(target: &TargetTable, notes: &Notes, sources: &[String]) -> bool {
    let is_ours = |note: &Note| note.source == RESULTS || sources.contains(&note.source);
    !notes.get(target).is_some_and(is_ours)
}

/// Finds those among the tables of a load.
pub(crate) async fn find(
    connection: &Connection,
    targets: &[&TargetTable],
    existing: &[Option<Existing>],
    notes: &Notes,
    sources: &[String],
) -> Result<Vec<Stranger>> {
    let tables = targets.iter().zip(existing);
    let there = tables.filter_map(|(target, existing)| Some((*target, existing.as_ref()?)));
    let unknown: Vec<(&TargetTable, &Existing)> = there
        .filter(|(target, _)| is_stranger(target, notes, sources))
        .collect();
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let action = || lake_postgres::Error::query("count the rows of tables that no load has filled");
    let oids: Vec<u32> = unknown.iter().map(|(_, existing)| existing.oid).collect();
    let readable = connection
        .query(
            "select o from unnest($1::oid[]) o \
             where pg_catalog.has_table_privilege(o, 'select') and not pg_catalog.row_security_active(o)",
            &[&oids],
        )
        .await
        .map_err(action())?;
    let readable: Vec<u32> = readable.iter().map(|row| row.get(0)).collect();
    connection.batch_execute("savepoint counted").await.map_err(action())?;
    let mut strangers = Vec::with_capacity(unknown.len());
    for (target, existing) in unknown {
        let rows = match readable.contains(&existing.oid) {
            false => None,
            true => {
                let sql = format!(
                    "select pg_catalog.count(*) from (select from {} limit {}) counted",
                    existing.itself(target),
                    ROWS_COUNTED_MAX + 1
                );
                Some(connection.query_one(&sql, &[]).await.map_err(action())?.get(0))
            }
        };
        strangers.push(Stranger {
            target: target.clone(),
            rows,
            source: notes.get(target).map(|note| note.source.clone()),
        });
    }
    // Whoever alters one of them does not wait for the end of the load.
    connection
        .batch_execute("rollback to savepoint counted")
        .await
        .map_err(action())?;
    Ok(strangers)
}

/// Refuses those that have rows, unless they are to be taken over.
///
/// # Errors
/// [`Error::Strangers`] with all of them.
pub(crate) fn refuse(strangers: &[Stranger], request: &LoadRequest) -> Result<()> {
    if request.take_over {
        return Ok(());
    }
    let tables = request.tables.iter();
    let tables: String = tables.map(|table| format!("--table {} ", shell_word(table))).collect();
    with_rows(
        strangers,
        format!("lake load --date {} {tables}--take-over", request.date),
    )
}

fn with_rows(strangers: &[Stranger], command: String) -> Result<()> {
    let tables: Vec<Stranger> = strangers.iter().filter(|s| !s.is_empty()).cloned().collect();
    match tables.is_empty() {
        true => Ok(()),
        false => Err(Error::Strangers { tables, command }),
    }
}

/// Says which tables become a load's.
pub(crate) fn announce(strangers: &[Stranger]) {
    let (empty, full): (Vec<&Stranger>, Vec<&Stranger>) = strangers.iter().partition(|s| s.is_empty());
    if !empty.is_empty() {
        let names: Vec<String> = empty.iter().map(|stranger| stranger.target.to_string()).collect();
        tracing::warn!(
            "the target has empty tables that no load has made: {}; they are taken over",
            names.join(", ")
        );
    }
    for stranger in full {
        tracing::warn!("a table that no load has filled is taken over, and its rows are replaced: {stranger}");
    }
}

/// Refuses tables with rows that no load has filled, and what the role may not do: for a check before any load, of the
/// tables of each source by their names in the lake.
///
/// # Errors
/// [`Error::Strangers`] with all of them; [`Error::NotATable`], [`Error::Rights`].
pub async fn refuse_strangers(
    connection: &Connection,
    target: &Target,
    sources: &[String],
    tables: impl Iterator<Item = (String, Option<Relation>)>,
) -> Result<()> {
    let targets: Vec<TargetTable> = tables
        .map(|(name, relation)| plan::target_of(&name, relation.as_ref(), &target.schema))
        .collect();
    let targets: Vec<&TargetTable> = targets.iter().collect();
    let mut schemas: BTreeSet<&str> = targets.iter().map(|target| target.schema.as_str()).collect();
    if let SchemaRule::Fixed(schema) = &target.schema {
        schemas.insert(schema); // also where no table is known
    }
    let schemas: Vec<&str> = schemas.into_iter().collect();
    let existing = existing::find(connection, &targets).await?;
    let missing_rights = rights::find(connection, &schemas, &existing).await?;
    missing_rights.refuse_blind()?;
    let notes = loads::read(connection, &schemas).await?;
    let strangers = find(connection, &targets, &existing, &notes, sources).await?;
    with_rows(&strangers, "lake run --take-over".into())?;
    missing_rights.refuse()
}
