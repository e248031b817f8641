//! Passwords in files and messages: who can read them, and what may not be printed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Warns, once, if others than its owner can read a file, which holds a password.
#[cfg(unix)]
pub fn warn_if_readable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.permissions().mode() & 0o044 == 0 {
        return;
    }
    let canonical = path.canonicalize().unwrap_or_else(|_| path.into());
    if WARNED.lock().unwrap_or_else(PoisonError::into_inner).insert(canonical) {
        let path = path.display();
        tracing::warn!("{path} holds a password, and others can read it: run `chmod 600 {path}`");
    }
}

/// Warns, once, if others than its owner can read a file, which holds a password.
#[cfg(not(unix))]
pub fn warn_if_readable(_: &Path) {}

/// A message without the passwords of what it quotes: a URL where something else is wanted, and pairs.
pub fn hidden(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        // A password may hold what ends a word, so that the last `@` of the message counts.
        rest = match after.rfind('@') {
            Some(at) => {
                match after[..at].split_once(':') {
                    Some((user, _)) => out.extend([user, ":***"]),
                    None => out.push_str(&after[..at]),
                }
                &after[at..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    let Some(at) = out.find("password=") else { return out };
    out.truncate(at);
    out + "password=***"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        for (message, wanted) in [
            ("\"postgres://u:a b@c@h/d\" is none", "\"postgres://u:***@h/d\" is none"),
            ("x://h/d is none, y://u@h", "x://h/d is none, y:***@h"),
            ("y://u@h", "y://u@h"),
            ("host=h password='a b' is none", "host=h password=***"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(hidden(message), wanted);
        }
    }
}
