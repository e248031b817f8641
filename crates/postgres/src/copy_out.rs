//! Rows out of a server.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream as _;
use tokio_postgres::CopyOutStream;

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
    stream: Pin<Box<CopyOutStream>>,
    chunk: Vec<u8>,
    ended: bool,
}

impl Connection {
    /// Begins to read the rows of a `COPY … TO STDOUT` statement.
    ///
    /// # Errors
    /// [`Error::Query`] with this `action`, if the server refuses it.
    pub async fn copy_out(&self, statement: &str, action: &str) -> Result<CopyOut> {
        self.tap.open();
        let stream = self.client.copy_out(statement).await.map_err(Error::query(action));
        Ok(CopyOut {
            rows: Rows {
                tap: self.tap.clone(),
                stream: Box::pin(stream.inspect_err(|_| self.tap.close())?),
                chunk: Vec::new(),
                ended: false,
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
    /// [`Error::Query`] if the server breaks off, [`Error::Lost`] if the connection does,
    /// [`Error::Stalled`] if nothing comes any more.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        let Self { rows, watch, .. } = self;
        let tap = rows.tap.clone();
        let step = poll_fn(|cx| rows.poll_chunk(cx));
        watch.wait(&self.statement, &self.action, || tap.flows(), step).await?;
        Ok((!self.rows.chunk.is_empty()).then_some(&self.rows.chunk))
    }
    /// The server's own count of the rows that it sent; to be asked after the last.
    ///
    /// # Errors
    /// [`Error::Query`] if the server fails at the very end, or the connection does;
    /// [`Error::Uncounted`].
    pub async fn counted(&mut self) -> Result<u64> {
        let ended = poll_fn(|cx| {
            let polled = self.rows.stream.as_mut().poll_next(cx);
            // The message that has the count is none that the stream expects.
            match self.rows.tap.counted() {
                Some(count) => Poll::Ready(Ok(Some(count))),
                None => polled.map(|message| message.transpose().map(|_| None)),
            }
        });
        let counted = ended.await.map_err(|source| self.watch.error(&self.action, source))?;
        counted.ok_or(Error::Uncounted)
    }
}

impl Rows {
    /// Fills the chunk; it stays empty after the last.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tokio_postgres::Error>> {
        if !self.ended {
            // It has but the end to tell: the rows go to the tap.
            match self.stream.as_mut().poll_next(cx) {
                Poll::Ready(None) => self.ended = true,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Some(Ok(rows))) => {
                    self.chunk.clear();
                    self.chunk.extend_from_slice(&rows);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {}
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
