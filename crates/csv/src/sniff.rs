//! The delimiter of a file, by looking at its start.

use crate::split::{Dialect, Fields, Split, first_line, split};

/// The delimiters that are looked for, as bytes and as people call them.
const CANDIDATES: [(u8, &str); 4] = [
    (b',', "the comma"),
    (b';', "the semicolon"),
    (b'\t', "the tab"),
    (b'|', "`|`"),
];

/// The candidate that cuts the first line into more than one field, and every other line of the sample into as many.
///
/// Where two do, both are given back as an error: either guess could be wrong without a sign. Where none does, the
/// one with the most fields in the first line, and the comma where all have one (the semicolon, if the comma is the
/// quote); the ragged rows come out later, with their lines.
///
/// Lines that begin with `comment` are passed over. `lenient`: bad rows are to be passed over. They may make the right candidate uneven and so speak for a wrong one: no
/// other may cut the first line then.
pub(crate) fn delimiter_of(
    sample: &str,
    ended: bool,
    dialect: Dialect,
    comment: Option<u8>,
    lenient: bool,
) -> Result<u8, Doubt> {
    let quote = dialect.quote;
    let mut even: Option<(u8, &'static str)> = None;
    // The quote can be one of them.
    let candidates = CANDIDATES.into_iter().filter(|(delimiter, _)| *delimiter != quote);
    let mut widest = (if quote == b',' { b';' } else { b',' }, 1);
    for (delimiter, name) in candidates {
        let cut = cut(sample, ended, Dialect { delimiter, ..dialect }, comment);
        if cut.first_fields > widest.1 {
            widest = (delimiter, cut.first_fields);
        }
        if cut.first_fields > 1 && (cut.even || lenient) {
            match even {
                Some((_, other)) => return Err(Doubt::Two(other, name)),
                None => even = Some((delimiter, name)),
            }
        }
    }
    if widest.1 == 1 {
        for (delimiter, name) in CANDIDATES {
            // By the comma, which is taken, the rows come out with their lines.
            let others = after_first(sample, ended, Dialect { delimiter, ..dialect }, comment);
            if delimiter != widest.0
                && delimiter != quote
                && others.even
                && others.records > 1
                && others.first_fields > 1
            {
                return Err(Doubt::LinesBefore {
                    fields: others.first_fields,
                    delimiter: name,
                });
            }
        }
    }
    Ok(even.map_or(widest.0, |(delimiter, _)| delimiter))
}

/// Why no delimiter was taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Both could be it, as they are shown to people.
    Two(&'static str, &'static str),
    /// None cuts the first line, and one cuts each of the others into as many fields.
    LinesBefore { fields: usize, delimiter: &'static str },
}

/// How the records after the first line are cut.
fn after_first(sample: &str, ended: bool, dialect: Dialect, comment: Option<u8>) -> Cut {
    let mut line_end = None;
    let mut rest = sample;
    while comment.is_some() && rest.bytes().next() == comment {
        rest = &rest[first_line(rest, true, &mut line_end).unwrap_or(rest.len())..];
    }
    let first = first_line(rest, true, &mut line_end).unwrap_or(rest.len());
    cut(&rest[first..], ended, dialect, comment)
}

struct Cut {
    first_fields: usize,
    even: bool,
    /// Records that are not blank.
    records: usize,
}

fn cut(sample: &str, ended: bool, dialect: Dialect, comment: Option<u8>) -> Cut {
    let mut fields = Fields::default();
    let mut line_end = None;
    let mut first_fields = None;
    let mut rest = sample;
    let mut records = 0;
    while !rest.is_empty() {
        if comment.is_some_and(|comment| rest.as_bytes()[0] == comment) {
            rest = &rest[first_line(rest, true, &mut line_end).unwrap_or(rest.len())..];
            continue;
        }
        match split(rest, ended, dialect, &mut line_end, &mut fields) {
            Ok(Split::Record { length }) => {
                rest = &rest[length..];
                records += usize::from(!fields.is_blank());
                let expected = *first_fields.get_or_insert(fields.count);
                if fields.count != expected && !fields.is_blank() {
                    return Cut {
                        first_fields: expected,
                        even: false,
                        records,
                    };
                }
            }
            Ok(Split::Incomplete) => break,
            Err(_) => {
                return Cut {
                    first_fields: first_fields.unwrap_or(0),
                    even: false,
                    records,
                };
            }
        }
    }
    Cut {
        first_fields: first_fields.unwrap_or(fields.count),
        even: true,
        records,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter_of(sample: &str, ended: bool, quote: u8, lenient: bool) -> Result<u8, Doubt> {
        let dialect = Dialect {
            delimiter: 0,
            quote,
            escape: None,
        };
        super::delimiter_of(sample, ended, dialect, None, lenient)
    }

    #[test]
    fn the_delimiter_that_cuts_evenly_is_taken() {
        for (sample, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2\n", b';'),
            ("a\tb, c\n1\t2\n", b'\t'),
            ("a|b\n1|2\n\n3|4", b'|'),
            ("\"a;b\",c\n\"1;2\",3\n", b','),
            ("\"a\";\"b,c\"\n\"1\";\"2\"\n", b';'),
            ("name\nx\n", b','),
            ("name\nx, y\n", b','),
            ("a;b\n1;2;3\n", b';'),
            ("a;b;c", b';'),
            ("", b','),
        ] {
            assert_eq!(delimiter_of(sample, true, b'"', false), Ok(delimiter), "{sample:?}");
            assert_eq!(
                delimiter_of(&format!("{sample}\n"), true, b'"', false),
                Ok(delimiter),
                "{sample:?}"
            );
        }
    }

    #[test]
    fn the_quote_is_never_the_delimiter() {
        for sample in ["name\nx\n", "a,b\n", ",a,\n", ""] {
            assert_eq!(delimiter_of(sample, true, b',', false), Ok(b';'), "{sample:?}");
        }
        assert_eq!(delimiter_of("a;b\n", true, b';', false), Ok(b','));
    }

    #[test]
    fn a_record_cut_by_the_sample_is_left_out() {
        assert_eq!(delimiter_of("a;b\n1,5;2\n1,", false, b'"', false), Ok(b';'));
    }

    #[test]
    fn where_rows_may_be_bad_only_one_may_cut_the_first_line() {
        let delimiter_of = |sample| delimiter_of(sample, true, b'"', true);
        assert_eq!(delimiter_of("a;b\n1;2;3\n1,5;2\n"), Ok(b';'));
        assert_eq!(delimiter_of("name\n1,2\n"), Ok(b','));
        assert_eq!(
            delimiter_of("id;name, first\n1;x, y\n2;z, w;bad\n"),
            Err(Doubt::Two("the comma", "the semicolon"))
        );
    }

    #[test]
    fn two_that_cut_evenly_are_not_chosen_from() {
        assert_eq!(
            delimiter_of("1,5;2,5\n", true, b'"', false),
            Err(Doubt::Two("the comma", "the semicolon"))
        );
        assert_eq!(
            delimiter_of("a,b|c\n1,2|3\n", true, b'"', false),
            Err(Doubt::Two("the comma", "`|`"))
        );
    }
}
