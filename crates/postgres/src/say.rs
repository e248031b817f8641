//! Warnings that every connection would give, and a user needs once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Warns, unless the process has done so before.
pub(crate) fn once(message: String) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.get_or_insert_default().insert(message.clone()) {
        tracing::warn!("{message}");
    }
}
