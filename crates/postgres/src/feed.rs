//! Rows on their way to the server, as a connection's stream takes them for a `COPY … FROM STDIN`.
//!
//! The client library would prepare a named statement for it. A COPY that is a simple query needs none;
//! its rows are put into the stream here, and the library knows nothing of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::buf::Chain;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Messages that wait while the socket takes one: the next is at hand at once.
const WAITING_MAX: usize = 2;

/// A message's header, and its content.
pub(crate) type Message = Chain<Bytes, Bytes>;

/// Who has rows, and the stream that takes them, share this.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feed(Arc<Mutex<Messages>>);

#[derive(Debug, Default)]
struct Messages {
    state: State,
    waiting: VecDeque<Message>,
    /// The stream, waiting for messages.
    stream: Option<Waker>,
    /// Who has rows, waiting for the server's word or for a place among the messages.
    giver: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// The server wants no rows.
    #[default]
    Closed,
    /// It has been asked to take some.
    Asked,
    /// It takes them.
    Open,
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next COPY's rows will be given here.
    pub(crate) fn ask(&self) {
        self.lock().state = State::Asked;
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// The server wants the rows; whether they are given here.
    pub(crate) fn open(&self) -> bool {
        let mut messages = self.lock();
        if messages.state != State::Asked {
            return false;
        }
        messages.state = State::Open;
        messages.wake_giver();
        true
    }

    /// The server takes no more: it has all, or has refused the statement or a row.
    pub(crate) fn close(&self) {
        let mut messages = self.lock();
        messages.state = State::Closed;
        messages.waiting.clear();
        messages.wake_giver();
    }

    /// Waits until the server takes rows, and there is a place for a message. If it takes none, that is
    /// told elsewhere.
    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let mut messages = self.lock();
        if messages.state == State::Open && messages.waiting.len() < WAITING_MAX {
            return Poll::Ready(());
        }
        messages.giver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Gives rows; what comes after the end of the COPY is dropped.
    pub(crate) fn give(&self, rows: Bytes) {
        self.lock().push(b'd', rows);
    }

    /// Says that these were all rows.
    pub(crate) fn done(&self) {
        self.lock().push(b'c', Bytes::new());
    }

    /// Makes the server give up a COPY that goes on; returns the state in which it was.
    pub(crate) fn abandon(&self) -> State {
        let mut messages = self.lock();
        messages.push(b'f', Bytes::from_static(b"\0"));
        std::mem::take(&mut messages.state)
    }

    /// What the stream shall send next; it is woken when there is more.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Option<Message> {
        let mut messages = self.lock();
        let message = messages.waiting.pop_front();
        if message.is_none() {
            messages.stream = Some(cx.waker().clone());
        }
        messages.wake_giver();
        message
    }
}

impl Messages {
    fn push(&mut self, tag: u8, content: Bytes) {
        if self.state != State::Open {
            return;
        }
        let mut header = BytesMut::with_capacity(5);
        header.put_u8(tag);
        header.put_u32(content.len() as u32 + 4); // a length counts itself
        self.waiting.push_back(header.freeze().chain(content));
        if let Some(stream) = self.stream.take() {
            stream.wake();
        }
    }

    fn wake_giver(&mut self) {
        if let Some(giver) = self.giver.take() {
            giver.wake();
        }
    }
}
