//! Rows out of a server.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream as _;
use tokio_postgres::CopyOutStream;

use crate::tap::Tap;
use crate::{Connection, Error, Result};

/// The stream of a `COPY … TO STDOUT`, in chunks of whole rows.
///
/// Dropped before its end, it leaves the connection to whoever is patient: what the server still sends
/// is read and thrown away.
pub struct CopyOut {
    tap: Tap,
    stream: Pin<Box<CopyOutStream>>,
    chunk: Vec<u8>,
    ended: bool,
    action: String,
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
            tap: self.tap.clone(),
            stream: Box::pin(stream.inspect_err(|_| self.tap.close())?),
            chunk: Vec::new(),
            ended: false,
            action: action.into(),
        })
    }
}

impl CopyOut {
    /// The next rows, or `None` after the last.
    ///
    /// # Errors
    /// [`Error::Query`] if the server breaks off, or the connection does.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        poll_fn(|cx| self.poll_chunk(cx))
            .await
            .map_err(Error::query(&self.action))?;
        Ok((!self.chunk.is_empty()).then_some(&self.chunk))
    }

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

    /// The server's own count of the rows that it sent; to be asked after the last.
    ///
    /// # Errors
    /// [`Error::Query`] if the server fails at the very end, or the connection does;
    /// [`Error::Uncounted`].
    pub async fn counted(&mut self) -> Result<u64> {
        let ended = poll_fn(|cx| {
            let polled = self.stream.as_mut().poll_next(cx);
            // The message that has the count is none that the stream expects.
            match self.tap.counted() {
                Some(count) => Poll::Ready(Ok(Some(count))),
                None => polled.map(|message| message.transpose().map(|_| None)),
            }
        });
        let counted = ended.await.map_err(Error::query(&self.action))?;
        counted.ok_or(Error::Uncounted)
    }
}

impl Drop for CopyOut {
    fn drop(&mut self) {
        self.tap.close();
    }
}
