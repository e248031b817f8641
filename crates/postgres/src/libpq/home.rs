//! What a process finds around it: variables, its user, and the user's folder.

use std::path::{Path, PathBuf};

type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The process's surroundings, or a test's.
pub(crate) struct Environment {
    variable: Box<Variables>,
    home: Option<PathBuf>,
    user: String,
}

impl Environment {
    pub(crate) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self::new(variable, std::env::home_dir(), &whoami::username().unwrap_or_default())
    }

    pub(crate) fn new(
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        home: Option<PathBuf>,
        user: &str,
    ) -> Self {
        Self {
            variable: Box::new(variable),
            home,
            user: user.into(),
        }
    }

    /// A variable's value; one that is empty says nothing.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The name of the user who runs the process.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// A file of the user's own folder.
    pub(super) fn of_home(&self, name: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(name))
    }

    pub(super) fn path(&self, text: &str) -> PathBuf {
        expand_home(text, self.home.as_deref())
    }
}

/// A path whose `~` is the user's folder, as in a shell.
pub fn expand_home(text: &str, home: Option<&Path>) -> PathBuf {
    let rest = text
        .strip_prefix('~')
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (rest, home) {
        (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
        _ => text.into(),
    }
}
