//! A connection's stream, from which the rows of a COPY are taken before the client library sees them.
//!
//! A server sends every row in a message of its own, and the client library makes an allocation and a
//! hand-over between tasks of each. Here the rows of some hundred messages are put together as they
//! come from the socket. Without them, and without the messages around them, a COPY is a simple query
//! like any other for the library, which would else prepare a named statement for it. What goes the other
//! way is put into the stream here too (`feed`).
//!
//! Messages are as PostgreSQL's documentation has them ("Message Formats"): a byte that tells the
//! type, and a 32-bit length that counts itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use crate::authentication::{AUTHENTICATION, Guard};
use crate::feed::{self, Feed};

/// What is asked of the socket at a time.
const READ_BYTES: usize = 128 << 10;
/// Rows are handed over from this many bytes on, so that each hand-over is worth it.
const ROWS_BYTES_MIN: usize = 64 << 10;
/// … and no more are taken from the socket while so many wait: the server waits then.
const ROWS_BYTES_MAX: usize = 256 << 10;
/// A length that a server tells is believed this far before its bytes have come.
const RESERVED_BYTES_MAX: usize = 64 << 20;
const HEADER_BYTES: usize = 5;

/// Where a connection's stream leaves the rows of a COPY, and takes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    rows: Arc<Mutex<Rows>>,
    feed: Feed,
}

#[derive(Debug, Default)]
struct Rows {
    state: State,
    /// Messages' contents, one after the other.
    data: Vec<u8>,
    /// When bytes have come last, or were taken by the socket.
    moved: Option<Instant>,
    /// The COPY is among its rows.
    flows: bool,
    /// The last of them is not whole yet.
    in_row: bool,
    /// The stream, waiting until rows are taken.
    stream: Option<Waker>,
    /// Who takes the rows, waiting for some.
    taker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// The next COPY's rows are wanted here.
    Wanted,
    /// They come.
    Open,
}

impl Tap {
    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of the next COPY shall come here.
    pub(crate) fn open(&self) {
        let mut rows = self.lock();
        rows.state = State::Wanted;
        rows.flows = false;
    }

    /// What has not been taken is dropped, and so is what comes of the COPY still.
    pub(crate) fn close(&self) {
        let mut rows = self.lock();
        rows.state = State::Closed;
        rows.data = Vec::new();
        wake(&mut rows.stream);
    }

    /// When bytes have last come or gone.
    pub(crate) fn moved(&self) -> Option<Instant> {
        self.lock().moved
    }

    /// Whether the COPY is among its rows.
    pub(crate) fn flows(&self) -> bool {
        self.lock().flows
    }

    /// Where rows are given for the server.
    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Exchanges `taken`, which is used up, for the rows that have come: whole ones, of at least
    /// [`ROWS_BYTES_MIN`] together but `at_end`.
    pub(crate) fn poll_take(&self, cx: &Context<'_>, taken: &mut Vec<u8>, at_end: bool) -> Poll<()> {
        taken.clear();
        if taken.capacity() > 2 * ROWS_BYTES_MAX {
            *taken = Vec::new(); // a row of megabytes was in it, and another may be on its way
        }
        let mut rows = self.lock();
        if (rows.data.len() < ROWS_BYTES_MIN || rows.in_row) && !at_end {
            rows.taker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(taken, &mut rows.data);
        wake(&mut rows.stream);
        Poll::Ready(())
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// What carries a connection: a socket, or TLS over one.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {
    /// Ties the server's proof of the password to the TLS session.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// A connection's stream with a [`Tap`].
pub(crate) struct Tapped {
    carrier: Box<dyn Carrier>,
    tap: Tap,
    guard: Guard,
    /// What was read ahead: `buffer[begin..end]` is still to be looked at.
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    message: Message,
    /// What is being sent of the rows given.
    sending: Option<feed::Message>,
}

/// The message whose bytes come next.
#[derive(Clone, Copy)]
enum Message {
    Header,
    /// So many of its bytes are still to be passed on.
    Passed(usize),
    /// So many bytes of a row are still to come.
    Row(usize),
    /// So many of its bytes are still to be left out.
    LeftOut(usize),
}

/// Why no further byte of the buffer can be looked at.
enum Stop {
    /// More has to be read.
    Empty,
    /// The reader's buffer is full.
    Full,
    /// The rows that have come must be taken first.
    Waiting,
}

impl Tapped {
    pub(crate) fn new(carrier: impl Carrier + 'static, tap: Tap, guard: Guard) -> Self {
        Self {
            carrier: Box::new(carrier),
            tap,
            guard,
            buffer: vec![0; READ_BYTES].into(),
            begin: 0,
            end: 0,
            message: Message::Header,
            sending: None,
        }
    }

    /// Distributes what was read: rows to the tap, everything else to `out`.
    fn distribute(&mut self, cx: &Context<'_>, out: &mut ReadBuf<'_>) -> io::Result<Stop> {
        let mut rows = self.tap.lock();
        let stop = loop {
            let ahead = &self.buffer[self.begin..self.end];
            match self.message {
                Message::Header => {
                    let Some((&[tag, ref length @ ..], content)) = ahead.split_first_chunk::<HEADER_BYTES>() else {
                        break Stop::Empty;
                    };
                    let content_bytes = u32::from_be_bytes(*length).checked_sub(4);
                    let content_bytes = content_bytes.ok_or_else(|| {
                        io::Error::new(
                            io::ErrorKind::InvalidData,
                            "the server sent a message of a negative length",
                        )
                    })? as usize;
                    let open = rows.state == State::Open;
                    match tag {
                        // The server begins a COPY, …
                        b'H' if rows.state == State::Wanted => {
                            rows.state = State::Open;
                            self.begin += HEADER_BYTES;
                            self.message = Message::LeftOut(content_bytes);
                            continue;
                        }
                        // … sends a row, …
                        b'd' if open => {
                            if rows.data.len() >= ROWS_BYTES_MAX {
                                rows.stream = Some(cx.waker().clone());
                                break Stop::Waiting;
                            }
                            rows.flows = true;
                            self.begin += HEADER_BYTES;
                            self.message = Message::Row(content_bytes);
                            // At once: growing by doubling, a row of megabytes would take half as much again.
                            rows.data.reserve(content_bytes.min(RESERVED_BYTES_MAX));
                            continue;
                        }
                        // … has sent all, …
                        b'c' if open => {
                            rows.flows = false;
                            self.begin += HEADER_BYTES;
                            self.message = Message::LeftOut(content_bytes);
                            continue;
                        }
                        // … or wants some.
                        b'G' if self.tap.feed.open() => {
                            self.begin += HEADER_BYTES;
                            self.message = Message::LeftOut(content_bytes);
                            continue;
                        }
                        b'E' => self.tap.feed.close(),
                        // It is ready for the next query.
                        b'Z' => {
                            rows.state = match rows.state {
                                State::Open => State::Closed,
                                other => other,
                            };
                            self.tap.feed.close();
                        }
                        // A question for a proof is looked at before it is answered.
                        AUTHENTICATION if content_bytes >= 4 => {
                            let Some(code) = content.first_chunk() else {
                                break Stop::Empty;
                            };
                            self.guard.check(u32::from_be_bytes(*code)).map_err(io::Error::other)?;
                        }
                        _ => {}
                    }
                    self.message = Message::Passed(HEADER_BYTES + content_bytes);
                }
                Message::Passed(0) | Message::Row(0) | Message::LeftOut(0) => self.message = Message::Header,
                Message::Passed(left) => {
                    let bytes = left.min(ahead.len()).min(out.remaining());
                    if bytes == 0 {
                        break if ahead.is_empty() { Stop::Empty } else { Stop::Full };
                    }
                    out.put_slice(&ahead[..bytes]);
                    self.begin += bytes;
                    self.message = Message::Passed(left - bytes);
                }
                Message::LeftOut(left) => {
                    let bytes = left.min(ahead.len());
                    if bytes == 0 {
                        break Stop::Empty;
                    }
                    self.begin += bytes;
                    self.message = Message::LeftOut(left - bytes);
                }
                Message::Row(left) => {
                    let bytes = left.min(ahead.len());
                    if bytes == 0 {
                        break Stop::Empty;
                    }
                    if rows.state == State::Open {
                        rows.data.extend_from_slice(&ahead[..bytes]);
                    }
                    self.begin += bytes;
                    self.message = Message::Row(left - bytes);
                }
            }
        };
        rows.in_row = matches!(self.message, Message::Row(1..));
        if rows.data.len() >= ROWS_BYTES_MIN && !rows.in_row {
            wake(&mut rows.taker);
        }
        Ok(stop)
    }

    /// Reads ahead, and returns how many bytes came; 0 at the stream's end.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let mut free = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(&mut self.carrier).poll_read(cx, &mut free))?;
        let bytes = free.filled().len();
        self.end += bytes;
        self.tap.lock().moved = Some(Instant::now());
        Poll::Ready(Ok(bytes))
    }

    /// Sends the rows that were given, for as long as the socket takes them.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = false;
        loop {
            let Some(message) = &mut self.sending else {
                self.sending = self.tap.feed.take(cx);
                if self.sending.is_none() {
                    break;
                }
                continue;
            };
            let mut slices = [IoSlice::new(&[]); 2];
            let parts = message.chunks_vectored(&mut slices);
            let bytes = ready!(Pin::new(&mut self.carrier).poll_write_vectored(cx, &slices[..parts]))?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            message.advance(bytes);
            if !message.has_remaining() {
                self.sending = None;
            }
            self.tap.lock().moved = Some(Instant::now());
            sent = true;
        }
        match sent {
            true => Pin::new(&mut self.carrier).poll_flush(cx),
            false => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Tapped {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let _ = this.poll_send(cx)?;
        let before = out.filled().len();
        loop {
            let stop = this.distribute(cx, out)?;
            if out.filled().len() > before || matches!(stop, Stop::Full) {
                return Poll::Ready(Ok(()));
            }
            if matches!(stop, Stop::Waiting) {
                return Poll::Pending;
            }
            if ready!(this.poll_ahead(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let bytes = ready!(Pin::new(&mut this.carrier).poll_write(cx, buf))?;
        this.tap.lock().moved = Some(Instant::now());
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().carrier).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().carrier).poll_shutdown(cx)
    }
}

impl TlsStream for Tapped {
    fn channel_binding(&self) -> ChannelBinding {
        self.carrier.channel_binding()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::pin;

    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    /// A server's bytes, as many at a time as come.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop_front() {
                let rest = piece.split_off(piece.len().min(out.remaining()));
                out.put_slice(&piece);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Pieces {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Carrier for Pieces {}

    fn message(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32 + 4).to_be_bytes();
        [&[tag], &length[..], content].concat()
    }

    /// What the library gets of a stream, and what the tap; the stream comes cut anywhere.
    fn read(stream: &[u8], tap: &Tap, random: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
        let mut pieces = VecDeque::new();
        let mut rest = stream;
        while !rest.is_empty() {
            let bytes_max = if random.random() { 10 } else { 400_000 };
            let bytes = random.random_range(1..=bytes_max);
            let (piece, tail) = rest.split_at(bytes.min(rest.len()));
            pieces.push_back(piece.to_vec());
            rest = tail;
        }
        let mut tapped = pin!(Tapped::new(Pieces(pieces), tap.clone(), Guard::default()));
        let mut cx = Context::from_waker(Waker::noop());
        let (mut passed, mut rows) = (Vec::new(), Vec::new());
        let mut taken = Vec::new();
        loop {
            let mut out = vec![0; random.random_range(1..10_000)];
            let mut out = ReadBuf::new(&mut out);
            let polled = tapped.as_mut().poll_read(&mut cx, &mut out);
            passed.extend_from_slice(out.filled());
            let ended = polled.is_ready() && out.filled().is_empty();
            assert!(
                polled.is_ready() || tap.lock().data.len() >= ROWS_BYTES_MAX,
                "it waits for nothing"
            );
            if tap.poll_take(&cx, &mut taken, ended).is_ready() {
                rows.extend_from_slice(&taken);
            }
            if ended {
                return (passed, rows);
            }
        }
    }

    #[test]
    fn rows_go_to_the_tap_and_all_else_to_the_library() {
        let seed = 20_261_121;
        let mut random = StdRng::seed_from_u64(seed);
        let (mut stream, mut passed, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        let pass = |stream: &mut Vec<u8>, passed: &mut Vec<u8>, message: Vec<u8>| {
            stream.extend_from_slice(&message);
            passed.extend_from_slice(&message);
        };
        // A statement is prepared, and the server is ready, before the COPY begins.
        for tag in *b"1tTZ" {
            pass(&mut stream, &mut passed, message(tag, b"content"));
        }
        stream.extend(message(b'H', b"formats"));
        for number in 0..2000 {
            let bytes = if number % 500 == 0 {
                700_000
            } else {
                random.random_range(0..300)
            };
            let row: Vec<u8> = (0..bytes).map(|_| random.random()).collect();
            stream.extend(message(b'd', &row));
            rows.extend(row);
            if number % 300 == 0 {
                pass(&mut stream, &mut passed, message(b'N', b"a notice among the rows"));
            }
        }
        stream.extend(message(b'c', b""));
        for (tag, content) in [
            (b'C', &b"COPY 2000\0"[..]),
            (b'Z', b"I"),
            (b'd', b"another COPY's"),
            (b'c', b""),
        ] {
            pass(&mut stream, &mut passed, message(tag, content));
        }
        for _ in 0..20 {
            let tap = Tap::default();
            tap.open();
            let got = read(&stream, &tap, &mut random);
            assert!(got == (passed.clone(), rows.clone()), "seed {seed}");
        }
        let untouched = read(&stream, &Tap::default(), &mut random);
        assert!(untouched == (stream, Vec::new()));
    }
}
