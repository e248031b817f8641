//! The grammar of one record: RFC 4180, strictly.
//!
//! - A field that starts with a quote ends with one; quotes inside are doubled, or stand after the escape if there
//!   is one; delimiters and line ends inside are its text. An escape before anything else is text.
//! - A quote inside an unquoted field is text like any other.
//! - Lines end with LF or CRLF, mixed as they come, or else all with CR, whichever the first line does.

use memchr::{memchr, memchr2, memchr3};

/// The bytes that shape a file; all ASCII, so that text can be cut at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    /// Makes a quote after it, or another of its kind, text of a quoted field.
    pub(crate) escape: Option<u8>,
}

/// What ends the lines of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// LF, or CRLF.
    LineFeed,
    CarriageReturn,
}

/// One field: its text, and whether quotes stood around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) text: &'a str,
    pub(crate) quoted: bool,
}

/// The fields of the record that was split last, as places in its text.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    spans: Vec<Span>,
    /// All fields of the record; those beyond [`COLUMNS_MAX`] have no span.
    pub(crate) count: usize,
    pub(crate) any_quoted: bool,
    /// The texts of fields with doubled quotes, each quote once.
    unescaped: String,
}

/// More columns than any table has; it bounds what a hostile record can make us remember.
pub(crate) const COLUMNS_MAX: usize = 16_384;

#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Quoted,
    /// Quoted, and found in [`Fields::unescaped`].
    Unescaped,
}

impl Fields {
    /// The fields in order; `record` is the text that was split.
    pub(crate) fn iter<'a>(&'a self, record: &'a str) -> impl Iterator<Item = Field<'a>> {
        self.spans.iter().map(move |span| Field {
            text: match span.form {
                Form::Plain | Form::Quoted => &record[span.start..span.end],
                Form::Unescaped => &self.unescaped[span.start..span.end],
            },
            quoted: span.form != Form::Plain,
        })
    }

    /// Whether the record is a line without a character.
    pub(crate) fn is_blank(&self) -> bool {
        self.count == 1
            && self
                .spans
                .iter()
                .all(|span| span.form == Form::Plain && span.start == span.end)
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.count = 0;
        self.any_quoted = false;
        self.unescaped.clear();
    }

    fn push(&mut self, start: usize, end: usize, form: Form) {
        self.count += 1;
        self.any_quoted |= form != Form::Plain;
        if self.spans.len() < COLUMNS_MAX {
            self.spans.push(Span { start, end, form });
        }
    }
}

/// What the text starts with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// A record of so many bytes, its line end among them.
    Record { length: usize },
    /// A record that goes on after the text.
    Incomplete,
}

/// A breach of the grammar at a byte of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SplitError {
    pub(crate) at: usize,
    pub(crate) breach: Breach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    UnterminatedQuote,
    /// After the field whose quote opens at this byte.
    TextAfterQuote {
        open: usize,
    },
    MixedLineEnds,
}

/// Splits the record at the start of `text` into `fields`. `ended`: nothing follows `text`.
///
/// The first line end that is met settles `line_end`. After an error `fields` holds the fields before it.
pub(crate) fn split(
    text: &str,
    ended: bool,
    dialect: Dialect,
    line_end: &mut Option<LineEnd>,
    fields: &mut Fields,
) -> Result<Split, SplitError> {
    let bytes = text.as_bytes();
    fields.clear();
    let mut start = 0;
    loop {
        let after = if bytes.get(start) == Some(&dialect.quote) {
            match quoted_field(text, start, ended, dialect, fields)? {
                Some(after) => after,
                None => return Ok(Split::Incomplete),
            }
        } else {
            match memchr3(dialect.delimiter, b'\n', b'\r', &bytes[start..]) {
                Some(length) => {
                    fields.push(start, start + length, Form::Plain);
                    start + length
                }
                None if ended => {
                    fields.push(start, bytes.len(), Form::Plain);
                    bytes.len()
                }
                None => return Ok(Split::Incomplete),
            }
        };
        match bytes.get(after) {
            Some(byte) if *byte == dialect.delimiter => start = after + 1,
            None if ended => return Ok(Split::Record { length: after }),
            None => return Ok(Split::Incomplete),
            Some(b'\n') if *line_end != Some(LineEnd::CarriageReturn) => {
                *line_end = Some(LineEnd::LineFeed);
                return Ok(Split::Record { length: after + 1 });
            }
            Some(b'\r') if *line_end == Some(LineEnd::CarriageReturn) => {
                return Ok(Split::Record { length: after + 1 });
            }
            Some(b'\r') => match bytes.get(after + 1) {
                Some(b'\n') => {
                    *line_end = Some(LineEnd::LineFeed);
                    return Ok(Split::Record { length: after + 2 });
                }
                None if !ended => return Ok(Split::Incomplete),
                _ if line_end.is_none() => {
                    *line_end = Some(LineEnd::CarriageReturn);
                    return Ok(Split::Record { length: after + 1 });
                }
                _ => {
                    return Err(SplitError {
                        at: after,
                        breach: Breach::MixedLineEnds,
                    });
                }
            },
            Some(b'\n') => {
                return Err(SplitError {
                    at: after,
                    breach: Breach::MixedLineEnds,
                });
            }
            Some(_) => {
                return Err(SplitError {
                    at: after,
                    breach: Breach::TextAfterQuote { open: start },
                });
            }
        }
    }
}

/// The bytes of the line at the start of `text`, its line end among them; `None` if it goes on after `text`.
///
/// The first line end that is met settles `line_end`, as in [`split`].
pub(crate) fn first_line(text: &str, ended: bool, line_end: &mut Option<LineEnd>) -> Option<usize> {
    let bytes = text.as_bytes();
    let all = ended.then_some(bytes.len());
    match line_end {
        Some(LineEnd::LineFeed) => return memchr(b'\n', bytes).map(|place| place + 1).or(all),
        Some(LineEnd::CarriageReturn) => return memchr(b'\r', bytes).map(|place| place + 1).or(all),
        None => {}
    }
    let Some(place) = memchr2(b'\n', b'\r', bytes) else {
        return all;
    };
    let (kind, length) = match (bytes[place], bytes.get(place + 1)) {
        (b'\n', _) => (LineEnd::LineFeed, place + 1),
        (_, Some(b'\n')) => (LineEnd::LineFeed, place + 2),
        (_, None) if !ended => return None,
        _ => (LineEnd::CarriageReturn, place + 1),
    };
    *line_end = Some(kind);
    Some(length)
}

/// Takes the quoted field whose quote is at `open`; the place after its closing quote, if the text has it.
fn quoted_field(
    text: &str,
    open: usize,
    ended: bool,
    dialect: Dialect,
    fields: &mut Fields,
) -> Result<Option<usize>, SplitError> {
    let Dialect { quote, escape, .. } = dialect;
    let bytes = text.as_bytes();
    let unescaped_start = fields.unescaped.len();
    let (mut piece, mut searched) = (open + 1, open + 1);
    let mut form = Form::Quoted;
    loop {
        let found = match escape {
            Some(escape) => memchr2(quote, escape, &bytes[searched..]),
            None => memchr(quote, &bytes[searched..]),
        };
        let Some(length) = found else {
            return if ended {
                Err(SplitError {
                    at: open,
                    breach: Breach::UnterminatedQuote,
                })
            } else {
                Ok(None)
            };
        };
        let place = searched + length;
        let is_escape = bytes[place] != quote;
        match bytes.get(place + 1) {
            None if !ended => return Ok(None),
            Some(next) if *next == quote || is_escape && *next == bytes[place] => {
                form = Form::Unescaped;
                fields.unescaped.push_str(&text[piece..place]);
                piece = place + 1;
                searched = place + 2;
            }
            _ if is_escape => searched = place + 1,
            _ if form == Form::Unescaped => {
                fields.unescaped.push_str(&text[piece..place]);
                fields.push(unescaped_start, fields.unescaped.len(), form);
                return Ok(Some(place + 1));
            }
            _ => {
                fields.push(piece, place, form);
                return Ok(Some(place + 1));
            }
        }
    }
}
