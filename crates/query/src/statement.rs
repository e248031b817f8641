//! One statement of SQL that only reads.

use std::fmt;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as Ansi;
use datafusion::sql::sqlparser::dialect::GenericDialect;

use crate::planning_error::from_datafusion;
use crate::{Error, Result, nesting};

/// A place in the SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Which statements a caller takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// All that read.
    Reading,
    /// Those whose rows are a result to keep.
    Select,
}

impl Allowed {
    fn words(self) -> &'static str {
        match self {
            Self::Reading => "SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE",
            Self::Select => "one SELECT, which may begin with WITH",
        }
    }
}

/// Parses the one statement of `sql`; semicolons and comments around it are fine.
///
/// # Errors
/// [`Error::Syntax`], [`Error::StatementCount`] or [`Error::NotReadOnly`].
pub(crate) fn parse(state: &SessionState, sql: &str, allowed: Allowed) -> Result<Statement> {
    let dialect = GenericDialect {};
    match nesting::depth(sql, &dialect) {
        Some(depth) if depth > nesting::DEPTH_MAX => {
            return Err(Error::TooDeep {
                depth_max: nesting::DEPTH_MAX,
            });
        }
        _ => {} // what can't be cut into tokens is the parser's to tell
    }
    let nesting_max = state.config_options().sql_parser.recursion_limit.get();
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&dialect)
        .with_recursion_limit(nesting_max)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(from_datafusion)?;
    let count = statements.len();
    match statements.pop_front() {
        Some(statement) if count == 1 => {
            check(&statement, allowed)?;
            Ok(statement)
        }
        _ => Err(Error::StatementCount { count }),
    }
}

fn check(statement: &Statement, allowed: Allowed) -> Result<()> {
    let reads = match statement {
        Statement::Statement(ansi) => match ansi.as_ref() {
            // Writing parts inside of a query (`SELECT … INTO`, `WITH x AS (INSERT …)`) are refused
            // by the plan's own check.
            Ansi::Query(_) => true,
            Ansi::Explain { statement, .. } if allowed == Allowed::Reading => {
                return check(&Statement::Statement(statement.clone()), Allowed::Reading);
            }
            Ansi::ExplainTable { .. }
            | Ansi::ShowTables { .. }
            | Ansi::ShowColumns { .. }
            | Ansi::ShowFunctions { .. }
            | Ansi::ShowSchemas { .. }
            | Ansi::ShowVariable { .. } => allowed == Allowed::Reading,
            _ => false,
        },
        Statement::Explain(explain) if allowed == Allowed::Reading => return check(&explain.statement, allowed),
        _ => false,
    };
    if reads {
        return Ok(());
    }
    let text = statement.to_string();
    Err(Error::NotReadOnly {
        statement: text.split_whitespace().next().unwrap_or_default().to_uppercase(),
        allowed: allowed.words(),
    })
}
