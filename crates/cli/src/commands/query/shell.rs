//! The shell: `lake query` without SQL on a terminal.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lake_query::{Engine, Format, Scope, TableInfo};
use lake_storage::SqlName;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use unicode_width::UnicodeWidthStr as _;

use super::super::print_line;
use crate::failure::{self, StdoutError};
use crate::ui::{count_text, duration_text, plural, visible};

const HELP: &str = "\
  select …;     run SQL; it may go over several lines and ends with a semicolon
  \\d           list the tables
  \\d TABLE     list a table's columns
  \\f FORMAT    table, csv, tsv, json or ndjson
  \\q           leave, as does Ctrl-D";

/// SQL words that completion offers beside the names.
const WORDS: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "count",
    "desc",
    "distinct",
    "else",
    "end",
    "exists",
    "explain",
    "extract_date",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "intersect",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "right",
    "select",
    "sum",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
];

static OPEN: AtomicBool = AtomicBool::new(false);

/// Whether Ctrl-C is the shell's to deal with.
pub fn is_open() -> bool {
    OPEN.load(Ordering::Relaxed)
}

pub async fn run(engine: &Engine, scope: Scope) -> anyhow::Result<()> {
    OPEN.store(true, Ordering::Relaxed);
    let tables = engine.tables()?;
    match scope {
        Scope::Day(date) => print_line(format_args!("{} tables, as of {date}. \\? for help.", tables.len()))?,
        Scope::AllDays => print_line(format_args!("{} tables, all days. \\? for help.", tables.len()))?,
    }
    let mut editor: Editor<Names, FileHistory> = Editor::new()?;
    editor.set_helper(Some(Names::of(&tables)));
    let history = history_path();
    if let Some(path) = &history {
        let _ = editor.load_history(path); // none yet
    }
    let mut format = Format::Table;
    loop {
        let line = match tokio::task::block_in_place(|| editor.readline("lake> ")) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(text);
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["\\q" | "exit" | "quit" | "exit;" | "quit;"] => break,
            ["\\?" | "help" | "help;"] => print_line(HELP)?,
            ["\\d"] => list(&tables)?,
            ["\\d", ..] => describe(&tables, text[2..].trim())?,
            ["\\f", name] => match name.parse() {
                Ok(Format::Parquet) => print_line("Parquet is for files: lake query -o FILE.parquet")?,
                Ok(named) => format = named,
                Err(error) => print_line(error)?,
            },
            [command, ..] if command.starts_with('\\') => print_line(format_args!("{command} is no command\n{HELP}"))?,
            _ => {
                let started = Instant::now();
                // Ctrl-C ends the statement, not the shell.
                let outcome = tokio::select! {
                    outcome = super::write(engine, text, format, std::io::stdout()) => outcome,
                    _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
                };
                match outcome {
                    Ok(rows) => print_line(format_args!(
                        "{} in {}",
                        plural(rows, "row"),
                        duration_text(started.elapsed())
                    ))?,
                    Err(error) => print_line(format_args!("error: {}", visible(&failure::chain(&error))))?,
                }
            }
        }
    }
    if let Some(path) = &history {
        if let Some(folder) = path.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let _ = editor.save_history(path); // a history that can't be kept keeps nobody from working
    }
    Ok(())
}

fn list(tables: &[TableInfo]) -> Result<(), StdoutError> {
    let names: Vec<String> = tables.iter().map(qualified).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or_default();
    for (table, name) in tables.iter().zip(&names) {
        let padding = " ".repeat(width - name.width());
        print_line(format_args!("{name}{padding}  {:>14} rows", count_text(table.rows)))?;
    }
    Ok(())
}

fn describe(tables: &[TableInfo], name: &str) -> Result<(), StdoutError> {
    let is_meant = |table: &&TableInfo| {
        let plain = [table.name.clone(), format!("{}.{}", table.schema, table.name)];
        let quoted = [SqlName(&table.name).to_string(), qualified(table)];
        plain.iter().chain(&quoted).any(|known| known == name)
    };
    match tables.iter().find(is_meant) {
        Some(table) => {
            for column in &table.columns {
                print_line(SqlName(column))?;
            }
        }
        None => print_line(format_args!("there is no table {}; \\d lists them", visible(name)))?,
    }
    Ok(())
}

/// `source.table`, quoted where SQL needs it.
fn qualified(table: &TableInfo) -> String {
    format!("{}.{}", SqlName(&table.schema), SqlName(&table.name))
}

fn history_path() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(state.join("lake").join("history"))
}

/// Completes the names of tables and columns, and SQL's words.
struct Names(Vec<String>);

impl Names {
    fn of(tables: &[TableInfo]) -> Self {
        let mut names: Vec<String> = WORDS.iter().map(ToString::to_string).collect();
        for table in tables {
            names.push(SqlName(&table.name).to_string());
            names.push(qualified(table));
            names.extend(table.columns.iter().map(|column| SqlName(column).to_string()));
        }
        names.sort();
        names.dedup();
        Self(names)
    }
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let start = line[..pos]
            .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"')))
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let word = line[start..pos].to_lowercase();
        let candidates = self
            .0
            .iter()
            .filter(|name| !word.is_empty() && name.to_lowercase().starts_with(&word));
        let pairs = candidates.map(|name| Pair {
            display: name.clone(),
            replacement: name.clone(),
        });
        Ok((start, pairs.collect()))
    }
}

impl Validator for Names {
    /// A statement ends with a semicolon, a command with its line.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let whole = text.is_empty()
            || text.starts_with('\\')
            || text.ends_with(';')
            || matches!(text, "exit" | "quit" | "help");
        Ok(if whole {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Highlighter for Names {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        match std::env::var_os("NO_COLOR") {
            None => Cow::Owned(format!("\x1b[1;34m{prompt}\x1b[0m")),
            Some(_) => Cow::Borrowed(prompt),
        }
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Helper for Names {}
