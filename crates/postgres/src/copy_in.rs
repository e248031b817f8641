//! Rows into a server.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream as _;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryStream};

use crate::feed::{Feed, State};
use crate::stall::Watch;
use crate::{Connection, Error, Result};

/// A `COPY … FROM STDIN` under way. Dropped before [`finish`](Self::finish), it makes the server give it up.
pub struct CopyIn {
    feed: Feed,
    answer: Answer,
    watch: Watch,
    statement: String,
    action: String,
}

struct Answer {
    stream: Pin<Box<SimpleQueryStream>>,
    counted: Option<u64>,
}

impl Connection {
    /// Begins to send rows with a `COPY … FROM STDIN` statement.
    ///
    /// # Errors
    /// [`Error::Query`] with this `action`, if the server refuses it.
    pub async fn copy_in(&self, statement: &str, action: &str) -> Result<CopyIn> {
        let feed = self.tap.feed();
        feed.ask();
        let stream = self.client.simple_query_raw(statement).await;
        let mut copy = CopyIn {
            feed: feed.clone(),
            answer: Answer {
                stream: Box::pin(stream.map_err(Error::query(action))?),
                counted: None,
            },
            watch: self.watch.clone(),
            statement: statement.into(),
            action: action.into(),
        };
        let CopyIn { feed, answer, .. } = &mut copy;
        let opened = poll_fn(|cx| answer.poll_unless_ended(cx, |cx| feed.poll_ready(cx))).await;
        opened.map_err(|source| self.watch.error(action, source))?;
        match copy.feed.state() {
            State::Open => Ok(copy),
            _ => Err(Error::Uncounted), // it was no such statement
        }
    }
}

impl CopyIn {
    /// Sends bytes, of whole rows or not, less than a gigabyte.
    ///
    /// # Errors
    /// [`Error::Query`] if the server refuses a row, [`Error::Lost`] if the connection breaks,
    /// [`Error::Stalled`] if nothing is taken any more.
    pub async fn send(&mut self, bytes: Bytes) -> Result<()> {
        let Self { feed, answer, .. } = self;
        let step = poll_fn(|cx| answer.poll_unless_ended(cx, |cx| feed.poll_ready(cx)));
        self.watch.wait(&self.statement, &self.action, || true, step).await?;
        self.feed.give(bytes);
        Ok(())
    }

    /// Ends the COPY; returns the server's own count of the rows.
    ///
    /// # Errors
    /// [`Error::Query`] if the server refuses a row; [`Error::Uncounted`].
    pub async fn finish(mut self) -> Result<u64> {
        self.feed.done();
        let answer = &mut self.answer;
        let ended = poll_fn(|cx| answer.poll_unless_ended(cx, |_| Poll::Pending)).await;
        ended.map_err(|source| self.watch.error(&self.action, source))?;
        self.answer.counted.ok_or(Error::Uncounted)
    }
}

impl Answer {
    /// Polls a step, and the server's answer, which ends it.
    fn poll_unless_ended(
        &mut self,
        cx: &mut Context<'_>,
        step: impl Fn(&mut Context<'_>) -> Poll<()>,
    ) -> Poll<Result<(), tokio_postgres::Error>> {
        loop {
            match self.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(SimpleQueryMessage::CommandComplete(rows)))) => self.counted = Some(rows),
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return step(cx).map(Ok),
            }
        }
    }
}

impl Drop for CopyIn {
    fn drop(&mut self) {
        // Whatever came next would be taken for rows.
        if self.feed.abandon() == State::Asked {
            self.watch.task.abort();
        }
    }
}
