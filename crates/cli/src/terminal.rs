//! stderr as messages and bars need it: what can't be written is dropped, since a full disk or a reader that has
//! gone is no reason to end a run.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Writes to stderr, or doesn't.
pub fn write(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes); // there is nowhere to tell it
}

/// Where bars are drawn: nowhere, unless stderr is a terminal.
pub fn draw_target() -> ProgressDrawTarget {
    const DRAWN_PER_SECOND: u8 = 20;
    let term = Term::stderr();
    if term.is_term() {
        let screen = Screen {
            term,
            drawn: Mutex::default(),
        };
        ProgressDrawTarget::term_like_with_hz(Box::new(screen), DRAWN_PER_SECOND)
    } else {
        ProgressDrawTarget::hidden()
    }
}

/// A terminal that takes all it is given: indicatif panics at the first thing that it can't write.
#[derive(Debug)]
struct Screen {
    term: Term,
    /// What is drawn since the last flush.
    drawn: Mutex<String>,
}

impl Screen {
    fn draw(&self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = drawn.write_fmt(text); // a string takes all
        Ok(())
    }

    fn move_cursor(&self, n: usize, direction: char) -> io::Result<()> {
        match n {
            0 => Ok(()), // which a terminal takes for 1
            n => self.draw(format_args!("\x1b[{n}{direction}")),
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.draw(format_args!("{line}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        write(drawn.as_bytes());
        Ok(())
    }
}
