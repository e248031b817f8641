//! A thread and a runtime for one connection.
//!
//! A connection's task and the task that decodes and encodes its rows hand over to each other with
//! every message. On a runtime of several threads each of these is a wake-up of another core, which
//! costs as much as the decoding does; on a thread of its own it is a function call.

use std::thread;

use futures::FutureExt as _;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::{Error, Result};

/// Starts what `start` gives on a thread of its own; the thread's work goes on if the result is not
/// awaited, and no longer than the process.
pub(super) fn on_own_thread<T, F>(start: impl FnOnce() -> F + Send + 'static) -> impl Future<Output = Result<T>> + Send
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        let result = match Builder::new_current_thread().enable_all().build() {
            // The runtime ends here, and with it the connection.
            Ok(runtime) => runtime.block_on(start()),
            Err(source) => Err(Error::Thread { source }),
        };
        let _ = sender.send(result); // nobody waits any more
    };
    let spawned = thread::Builder::new().name("extract".into()).spawn(run);
    receiver.map(|received| {
        spawned.map_err(|source| Error::Thread { source })?;
        received.unwrap_or(Err(Error::Stopped))
    })
}
