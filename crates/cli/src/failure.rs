//! How a command fails: the exit status and the one message.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use crate::config::ConfigError;

/// The exit statuses, as the README lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Failed = 1,
    Usage = 2,
    Prerequisite = 3,
    Verification = 4,
}

/// An error with the status that the process ends with, where it isn't read off the error itself.
#[derive(Debug)]
pub struct WithStatus {
    pub status: Status,
    pub message: String,
}

impl std::fmt::Display for WithStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for WithStatus {}

/// A usage error.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    WithStatus {
        status: Status::Usage,
        message: message.into(),
    }
    .into()
}

/// The exit status that an error stands for.
pub fn status(error: &anyhow::Error) -> Status {
    for cause in error.chain() {
        if let Some(WithStatus { status, .. }) = cause.downcast_ref() {
            return *status;
        }
        if cause.is::<ConfigError>() {
            return Status::Usage;
        }
        if let Some(lake_storage::Error::Prerequisite { .. }) = cause.downcast_ref() {
            return Status::Prerequisite;
        }
        if let Some(error) = cause.downcast_ref::<lake_extractor::Error>()
            && is_selection(error)
        {
            return Status::Usage;
        }
        match cause.downcast_ref() {
            Some(lake_loader::Error::Storage(lake_storage::Error::Prerequisite { .. })) => return Status::Prerequisite,
            Some(
                lake_loader::Error::NoMatch { .. }
                | lake_loader::Error::Ambiguous { .. }
                | lake_loader::Error::SameTarget { .. }
                | lake_loader::Error::SchemaRule { .. }
                | lake_loader::Error::TargetIsSource { .. }
                | lake_loader::Error::Strangers { .. },
            ) => return Status::Usage,
            _ => {}
        }
        if let Some(lake_query::Error::Lake(lake_storage::Error::Prerequisite { .. })) = cause.downcast_ref() {
            return Status::Prerequisite;
        }
    }
    Status::Failed
}

fn is_selection(error: &lake_extractor::Error) -> bool {
    use lake_extractor::Error;
    matches!(
        error,
        Error::NoMatch { .. } | Error::Pattern { .. } | Error::Name { .. } | Error::NoSuchColumn { .. }
    )
}

/// What should be on stdout is not.
#[derive(Debug)]
pub struct StdoutError(pub std::io::Error);

impl StdoutError {
    pub const TEXT: &str = "cannot write to stdout";
}

impl std::fmt::Display for StdoutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(Self::TEXT)
    }
}

impl std::error::Error for StdoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Whether the reader of stdout has gone: no failure of ours. A server that has gone is one, by the same error of
/// the system.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<StdoutError>()
            .is_some_and(|error| error.0.kind() == std::io::ErrorKind::BrokenPipe)
            || cause
                .downcast_ref::<lake_query::Error>()
                .is_some_and(lake_query::Error::is_broken_pipe)
    })
}

/// The error as one chain, each cause once.
pub fn chain(error: &anyhow::Error) -> String {
    join(error.chain())
}

/// The same without the outermost context, which names the step.
pub fn causes(error: &anyhow::Error) -> String {
    let skipped = usize::from(error.chain().nth(1).is_some());
    join(error.chain().skip(skipped))
}

static CONFIG: OnceLock<String> = OnceLock::new();

/// Remembers a config that is not the default one, for the commands in messages.
pub fn set_config(path: &Path) {
    if path != Path::new("lake.yaml") {
        let _ = CONFIG.set(path.display().to_string()); // set once, at the start
    }
}

/// The commands in a message as they have to be typed: with the config that this one has.
pub fn with_config(text: &str) -> String {
    match CONFIG.get() {
        Some(path) => text.replace("`lake ", &format!("`lake -c {path} ")),
        None => text.to_owned(),
    }
}

fn join<'a>(causes: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> String {
    let mut text = String::new();
    for cause in causes {
        let (message, ends) = message(cause);
        // tokio-postgres, among others, prints its cause and returns it too.
        if !text.contains(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
        if ends {
            break;
        }
    }
    with_config(&text)
}

fn message(cause: &(dyn std::error::Error + 'static)) -> (String, bool) {
    if let Some(error) = cause.downcast_ref::<lake_postgres::tokio_postgres::Error>()
        && let Some(server) = error.as_db_error()
    {
        let mut text = format!("the server says: {}", server.message());
        for (label, more) in [
            ("detail", server.detail()),
            ("hint", server.hint()),
            ("where", server.where_()),
        ] {
            if let Some(more) = more {
                let _ = write!(text, " ({label}: {})", more.trim_end_matches('.'));
            }
        }
        return (text, true);
    }
    // A kernel error carries a backtrace when backtraces are on.
    let text = cause.to_string();
    let text = text
        .split("\nBacktrace")
        .next()
        .unwrap_or(&text)
        .split("\n   0: ")
        .next()
        .unwrap_or_default();
    (text.trim_end().to_owned(), false)
}
