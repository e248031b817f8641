//! Rows out of a server.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream as _;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryStream};

use crate::stall::Watch;
use crate::tap::Tap;
use crate::{Connection, Error, Result};

/// The stream of a `COPY … TO STDOUT`, in chunks of whole rows.
///
/// Dropped before its end, it leaves the connection to whoever is patient: what the server still sends
/// is read and thrown away.
pub struct CopyOut {
    rows: Rows,
    watch: Watch,
    statement: String,
    action: String,
}

struct Rows {
    tap: Tap,
    stream: Pin<Box<SimpleQueryStream>>,
    chunk: Vec<u8>,
    ended: bool,
    /// The rows that the server says it sent, in the end.
    counted: Option<u64>,
}

impl Connection {
    /// Begins to read the rows of a `COPY … TO STDOUT` statement: a simple query, which needs no
    /// prepared statement. That the server refuses it shows at the first rows.
    ///
    /// # Errors
    /// [`Error::Query`] with this `action`, if the connection is broken.
    pub async fn copy_out(&self, statement: &str, action: &str) -> Result<CopyOut> {
        self.tap.open();
        let stream = self
            .client
            .simple_query_raw(statement)
            .await
            .map_err(Error::query(action));
        Ok(CopyOut {
            rows: Rows {
                tap: self.tap.clone(),
                stream: Box::pin(stream.inspect_err(|_| self.tap.close())?),
                chunk: Vec::new(),
                ended: false,
                counted: None,
            },
            watch: self.watch.clone(),
            statement: statement.into(),
            action: action.into(),
        })
    }
}

impl CopyOut {
    /// The next rows, or `None` after the last.
    ///
    /// # Errors
    /// [`Error::Query`] if the server refuses the statement or breaks off, [`Error::Lost`] if the connection does,
    /// [`Error::Stalled`] if nothing comes any more, [`Error::LockTimeout`] if a lock does not.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        let Self { rows, watch, .. } = self;
        let tap = rows.tap.clone();
        let step = poll_fn(|cx| rows.poll_chunk(cx));
        let step = watch.wait(&self.statement, &self.action, || tap.flows(), step);
        watch.locks(&self.statement, &self.action, step).await?;
        Ok((!self.rows.chunk.is_empty()).then_some(&self.rows.chunk))
    }

    /// The server's own count of the rows that it sent; to be asked after the last.
    ///
    /// # Errors
    /// [`Error::Uncounted`].
    pub fn counted(&self) -> Result<u64> {
        self.rows.counted.ok_or(Error::Uncounted)
    }
}

impl Rows {
    /// Fills the chunk; it stays empty after the last.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tokio_postgres::Error>> {
        while !self.ended {
            // It has but the end to tell: the rows go to the tap.
            match self.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(SimpleQueryMessage::CommandComplete(rows)))) => self.counted = Some(rows),
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => break,
            }
        }
        self.tap.poll_take(cx, &mut self.chunk, self.ended).map(Ok)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.tap.close();
    }
}
