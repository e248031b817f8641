//! What can go wrong in a load.

use std::fmt;

use lake_storage::SqlName;

use crate::{Holder, InTheWay, Mismatch, Stranger, TargetTable};

/// A failure of a load: which table and column, with the cause in `source`.
///
/// Whichever it is, the target's tables are as they were; unless the connection broke during the
/// commit itself, when only the server knows: they hold the old day or the new, and all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lake failed, or lacks what is to be loaded.
    #[error(transparent)]
    Storage(#[from] lake_storage::Error),
    /// The target's server failed.
    #[error(transparent)]
    Postgres(#[from] lake_postgres::Error),
    /// The rule for target schemas isn't one.
    #[error("the target schema {text:?} is neither a name nor {{schema}}")]
    SchemaRule {
        /// What was given.
        text: String,
    },
    /// A table that was asked for is not in the lake's day.
    #[error("no table or query is called {wanted}{nearest}")]
    NoMatch {
        /// What was asked for.
        wanted: String,
        /// The nearest names, ready to print; empty, or begins with a separator.
        nearest: String,
    },
    /// A table that was asked for by a name that several have.
    #[error("{wanted} could be more than one table: write {}", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The names that are not ambiguous.
        candidates: Vec<String>,
    },
    /// Two tables of the lake would be the same table of the target.
    #[error("{first} and {second} would both be the target's table {target}: {mend}")]
    SameTarget {
        /// The table of the target.
        target: TargetTable,
        /// A table of the lake, with its source.
        first: String,
        /// The other.
        second: String,
        /// What helps.
        mend: &'static str,
    },
    /// The target is a database that the lake is filled from.
    #[error(
        "the target is the database of source {}{how}, and the source's own tables are in its schema {}: a load would \
         replace their rows; choose another `schema` under `target:` in the config, or another database",
        SqlName(source_name),
        SqlName(schema)
    )]
    TargetIsSource {
        /// The source.
        source_name: String,
        /// The schema that both have.
        schema: String,
        /// How it is known, if it could not be proved; begins with a separator.
        how: &'static str,
    },
    /// A name that Postgres would cut off, or that `lake` keeps for itself.
    #[error("{table}: the target can't have a {kind} called {}: {reason}", SqlName(name))]
    Name {
        /// The table, with its source.
        table: String,
        /// `schema`, `table` or `column`.
        kind: &'static str,
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// More columns than a table of Postgres can have.
    #[error(
        "{table} has {columns} columns, and a table of Postgres has 1,600 at the most: leave some out where they come \
         from, or load the other tables with `--table`"
    )]
    TooManyColumns {
        /// The table, with its source.
        table: String,
        /// How many.
        columns: usize,
    },
    /// A column whose Arrow type no Postgres type holds.
    #[error(
        "{table}, column {}: no Postgres type holds {data_type}: cast it in the query, or carry it as text",
        SqlName(column)
    )]
    NoPostgresType {
        /// The table, with its source.
        table: String,
        /// The column.
        column: String,
        /// The type in the lake.
        data_type: String,
    },
    /// A column whose values can't be sent to the type that it has.
    #[error(
        "{table}, column {}: {data_type} of the lake can't be sent as {type_name}: extract the table again",
        SqlName(column)
    )]
    Unsendable {
        /// The table, with its source.
        table: String,
        /// The column.
        column: String,
        /// The type in the lake.
        data_type: String,
        /// The type in the target.
        type_name: String,
    },
    /// Tables of the target that have other columns than the lake's.
    #[error(
        "the config says `schema_change: freeze`, and the target's tables have other columns than the lake's day{}",
        lines(tables)
    )]
    Columns {
        /// Every such table.
        tables: Vec<TableDifference>,
    },
    /// Tables of the target that don't take the lake's rows as they are, by their owner's choice.
    #[error(
        "the target's tables have columns that can't take the lake's values, and a load gives a column of somebody \
         else's a wider type, but no other{}",
        lines(tables)
    )]
    Unfit {
        /// Every such table.
        tables: Vec<TableDifference>,
    },
    /// Columns that have to get another type, which something that uses them keeps from it.
    #[error(
        "columns of the target have to get other types to hold the lake's values, and what uses them is in the way: do away \
         with it, load, and create it again{}",
        lines(found)
    )]
    InTheWay {
        /// Everything that is.
        found: Vec<InTheWay>,
    },
    /// What the role may not do.
    #[error(
        "the role {} may not do in the target what the load does: let the owners run{}",
        SqlName(role),
        lines(statements)
    )]
    Rights {
        /// The role of the target's URL.
        role: String,
        /// The statements that allow it.
        statements: Vec<String>,
    },
    /// Labels of an enum that could not be added.
    #[error(
        "rows of the day have labels that the target's enums lack, and the load can't add them ({reason}): run there{}",
        lines(statements)
    )]
    Labels {
        /// Why not.
        reason: String,
        /// The statements that add them.
        statements: Vec<String>,
    },
    /// What has the names of tables in the target are no tables.
    #[error(
        "not everything that has a table's name in the target is a table: drop or rename it there, or choose another \
         `schema` for the target{}",
        lines(found)
    )]
    NotATable {
        /// The names, and what they are.
        found: Vec<NotATable>,
    },
    /// Tables with rows that no load has put there.
    #[error(
        "the target has tables of the same names with rows that no load of the config's sources has put there, by \
         `_lake_loads` in their schema: `{command}` replaces these rows with the lake's, or choose another `schema` for \
         the target{}",
        lines(tables)
    )]
    Strangers {
        /// Each of them.
        tables: Vec<Stranger>,
        /// What replaces their rows.
        command: String,
    },
    /// A partition and its root are both tables of the load.
    #[error("the target's {partition} is a partition of {root}, which is loaded too: leave one of them out")]
    PartitionToo {
        /// The partition.
        partition: TargetTable,
        /// The partitioned table.
        root: TargetTable,
    },
    /// A foreign key by which the replacement of a table's rows would change rows of another table.
    #[error(
        "the foreign key {constraint:?} of {referencing} would {effect} when the rows of {target} are replaced: \
         declare it `on delete no action`"
    )]
    ForeignKey {
        /// The table that is to be loaded.
        target: TargetTable,
        /// The table that refers to it, as SQL writes it.
        referencing: String,
        /// The constraint.
        constraint: String,
        /// What the deletion would do.
        effect: &'static str,
    },
    /// Another load of the same schema is under way.
    #[error("the target schema {schema:?} is being loaded by {holder}: wait for it to end, then run this again")]
    Locked {
        /// The schema.
        schema: String,
        /// Who holds the lock.
        holder: Holder,
    },
    /// The rows of a table could not be brought into staging.
    #[error(
        "{table}: its rows can't be copied to the target; nothing was changed there{}",
        crate::refusal::of_copy(source)
    )]
    Copy {
        /// The table, with its source.
        table: String,
        /// The cause.
        source: Box<lake_postgres::Error>,
    },
    /// The thread that reads a table's files died.
    #[error("{table}: its files can't be read")]
    Reader {
        /// The table, with its source.
        table: String,
        /// The cause.
        source: tokio::task::JoinError,
    },
    /// The rows that arrived are not those of the manifest.
    #[error("{table}: the lake has {expected} rows of the day but {found} {place}; nothing was changed in the target")]
    RowCount {
        /// The table, with its source.
        table: String,
        /// Rows in the manifest.
        expected: u64,
        /// Rows that the server counted.
        found: u64,
        /// Where.
        place: &'static str,
    },
    /// What acts in the target when rows change would leave other rows than the lake's.
    #[error(
        "{target}: it would not hold the lake's rows ({mismatch}), so the target is as it was; what acts there is \
         {acting}: drop it, let it leave the load's rows alone, or write `triggers: off` under `target:` in the config"
    )]
    Acted {
        /// The table.
        target: TargetTable,
        /// How it would differ.
        mismatch: Mismatch,
        /// The triggers that can run, ready to print.
        acting: String,
    },
    /// Rules that put other statements in the place of the load's.
    #[error(
        "the target's tables have rules for insertions, updates or deletions, by which a load would do something else:{}\n  \
         drop them, or load into another `schema`",
        lines(rules)
    )]
    Rules {
        /// The statements that drop them.
        rules: Vec<String>,
    },
    /// Triggers that are to be off, on a table that the role does not own.
    #[error(
        "the config says `triggers: off`, which takes the owner of a table, and {target} belongs to {owner}, not to \
         {role}: `grant {} to {}`, or have the owner disable the triggers there",
        SqlName(owner),
        SqlName(role)
    )]
    NotOwner {
        /// The table.
        target: TargetTable,
        /// Its owner.
        owner: String,
        /// The role of the target's URL.
        role: String,
    },
    /// The target's table was altered while its rows were on their way.
    #[error("the target's table {target} was altered during the load: run it again")]
    Altered {
        /// The table.
        target: TargetTable,
    },
    /// The server refused the new content of a table.
    #[error(
        "{target}: {action} failed, the target is as it was{hint}{}",
        lake_postgres::path_hint(source)
    )]
    Swap {
        /// The table.
        target: TargetTable,
        /// What was tried.
        action: &'static str,
        /// What helps; empty, or begins with a separator.
        hint: String,
        /// The server's answer.
        source: tokio_postgres::Error,
    },
}

/// The result of a load.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What has a table's name in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotATable {
    /// The name.
    pub target: TargetTable,
    /// What it is.
    pub kind: &'static str,
}

impl fmt::Display for NotATable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the target's {} is {}", self.target, self.kind)
    }
}

/// A table of the target whose columns are not those of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDifference {
    /// The table.
    pub target: TargetTable,
    /// Every column that differs.
    pub columns: Vec<ColumnDifference>,
}

impl fmt::Display for TableDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.target)?;
        for column in &self.columns {
            writeln!(f, "    {column}")?;
        }
        writeln!(f, "  mend it with")?;
        let table = self.target.quoted();
        for column in &self.columns {
            writeln!(f, "    alter table {table} {};", column.alteration())?;
        }
        write!(f, "  or let the next load make it anew: drop table {table};")
    }
}

/// A column that the lake and the target have differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDifference {
    /// Its name.
    pub name: String,
    /// Its type in the lake's day; none if it isn't there.
    pub of_lake: Option<String>,
    /// The type that would hold the values of both; none if it isn't in the lake's day.
    pub wanted: Option<String>,
    /// Its type in the target; none if it isn't there.
    pub has: Option<String>,
}

impl ColumnDifference {
    /// The action of an `alter table` that mends it.
    pub(crate) fn alteration(&self) -> String {
        let name = lake_postgres::quote_identifier(&self.name);
        match (&self.wanted, &self.has) {
            (Some(wanted), Some(_)) => format!("alter column {name} type {wanted} using {name}::{wanted}"),
            (Some(wanted), None) => format!("add column {name} {wanted}"),
            // It may be the user's own: kept, but no longer demanding a value of every row.
            (None, _) => format!("alter column {name} drop not null"),
        }
    }
}

impl fmt::Display for ColumnDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SqlName(&self.name);
        match (&self.wanted, &self.has) {
            (Some(wanted), Some(has)) => match &self.of_lake {
                Some(of_lake) if of_lake != wanted => write!(
                    f,
                    "{name}: {of_lake} in the lake, {has} in the target, and only {wanted} holds both"
                ),
                _ => write!(f, "{name}: wanted {wanted}, has {has}"),
            },
            (Some(wanted), None) => write!(f, "{name}: wanted {wanted}, is not there"),
            (None, has) => {
                let has = has.as_deref().unwrap_or("a column");
                write!(f, "{name}: not in the lake, has {has} not null without a default")
            }
        }
    }
}

fn lines<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}
