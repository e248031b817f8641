//! A standby's conflicts with what it replays: it ends reads that are in the way of the primary's changes.

use tokio_postgres::error::SqlState;

/// What it ends with is the state of any serialization failure, and its text is the server's language's.
pub(crate) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    let interrupts = ["ProcessInterrupts", "ProcessRecoveryConflictInterrupt"];
    error.as_db_error().is_some_and(|server| {
        let of_recovery = || server.routine().is_some_and(|routine| interrupts.contains(&routine));
        match *server.code() {
            SqlState::T_R_SERIALIZATION_FAILURE => of_recovery() || server.message().contains("recovery"),
            SqlState::T_R_DEADLOCK_DETECTED => of_recovery(),
            _ => false,
        }
    })
}

/// What helps; empty, or begins with a separator.
pub(crate) fn hint(error: &tokio_postgres::Error) -> &'static str {
    match is_conflict(error) {
        true => {
            "; the server is a standby, and what it replays of its primary was in the way: with `hot_standby_feedback = on` \
             there the primary keeps rows that are still read, a longer `max_standby_streaming_delay` lets the standby \
             wait for its readers, of a table's lock too; or read from the primary"
        }
        false => "",
    }
}
