//! Reads that the server ended for others' sake: all is read again, since a snapshot is one or none.

use crate::{Error, Result};

const ATTEMPTS: u32 = 3;

/// Reads until nothing of the kind comes between, or three times: nothing of what was read before is kept.
pub(super) async fn until_undisturbed<T>(read: impl AsyncFn() -> Result<T>) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match read().await {
            Err(error) if is_disturbance(&error) => {
                tracing::warn!("{}; all tables are read again, under a new snapshot", error.chain());
            }
            done => return done,
        }
    }
    read().await
}

/// Whether it was neither ours nor the data's, and may not come again.
fn is_disturbance(error: &Error) -> bool {
    match error {
        Error::Postgres(error) => error.is_recovery_conflict() || error.is_deadlock(),
        Error::Table { cause, .. } => is_disturbance(cause),
        _ => false,
    }
}
