//! Which tables: patterns as the config and `--table` write them.

use std::fmt;
use std::str::FromStr;

use lake_storage::Relation;

use crate::{Error, Result};

/// `schema.table`, either part with `*` and `?`, or quoted and then literal; `!` leaves out.
///
/// As in SQL, an unquoted part is lower case whatever it was written in, and a lone part is a table
/// of the schema `public`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePattern {
    text: String,
    exclude: bool,
    schema: Part,
    table: Part,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    text: String,
    literal: bool,
}

impl Part {
    fn matches(&self, name: &str) -> bool {
        if self.literal {
            self.text == name
        } else {
            glob(self.text.as_bytes(), name.as_bytes())
        }
    }

    fn is_exact(&self) -> bool {
        self.literal || !self.text.contains(['*', '?'])
    }
}

impl TablePattern {
    /// Whether it leaves tables out.
    pub fn excludes(&self) -> bool {
        self.exclude
    }

    /// Whether it can only ever match one relation.
    pub fn is_exact(&self) -> bool {
        self.schema.is_exact() && self.table.is_exact()
    }

    /// Whether a relation is meant.
    pub fn matches(&self, relation: &Relation) -> bool {
        self.schema.matches(&relation.schema) && self.table.matches(&relation.name)
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TablePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = |reason| Error::Pattern {
            pattern: text.into(),
            reason,
        };
        let trimmed = text.trim();
        let (exclude, body) = match trimmed.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, trimmed),
        };
        let (first, rest) = part(body).map_err(error)?;
        let (schema, table) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (second, rest) = part(rest).map_err(error)?;
                if !rest.is_empty() {
                    return Err(error(
                        "it has more than a schema and a table; names with dots are quoted",
                    ));
                }
                (first, second)
            }
            None if rest.is_empty() => (
                Part {
                    text: "public".into(),
                    literal: true,
                },
                first,
            ),
            None => return Err(error("after a quoted name comes a dot or nothing")),
        };
        Ok(Self {
            text: text.into(),
            exclude,
            schema,
            table,
        })
    }
}

/// Takes one name off the front: quoted, or up to the next dot.
fn part(text: &str) -> Result<(Part, &str), &'static str> {
    if let Some(mut rest) = text.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let end = rest.find('"').ok_or("a quote is not closed")?;
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    rest = after;
                }
                None => break,
            }
        }
        if name.is_empty() {
            return Err("a name is empty");
        }
        return Ok((
            Part {
                text: name,
                literal: true,
            },
            rest,
        ));
    }
    let end = text.find('.').unwrap_or(text.len());
    let name = text[..end].trim();
    if name.is_empty() {
        return Err("a name is empty");
    }
    let part = Part {
        text: name.to_lowercase(),
        literal: false,
    };
    Ok((part, &text[end..]))
}

/// `*` stands for any characters, `?` for one.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, schema: &str, name: &str) -> bool {
        let relation = Relation {
            schema: schema.into(),
            name: name.into(),
            oid: 0,
        };
        pattern.parse::<TablePattern>().unwrap().matches(&relation)
    }

    #[test]
    fn patterns_mean_what_sql_means() {
        assert!(matches("public.*", "public", "Orders"));
        assert!(matches("Orders", "public", "orders"));
        assert!(!matches("Orders", "public", "Orders"));
        assert!(matches("\"Orders\"", "public", "Orders"));
        assert!(matches("*.tmp_?", "sales", "tmp_1"));
        assert!(!matches("*.tmp_?", "sales", "tmp_10"));
        assert!(matches(r#""Odd.Schema"."a * b""#, "Odd.Schema", "a * b"));
        assert!(!matches(r#""Odd.Schema"."a * b""#, "Odd.Schema", "a x b"));
        assert!(matches(r#""sa""y".*"#, "sa\"y", "t"));
        assert!(matches("!public.*_old", "public", "x_old"));
        assert!("!public.*_old".parse::<TablePattern>().unwrap().excludes());
        for bad in ["", ".", "a.", "a.b.c", "\"a", "\"a\"b", "\"\"", "!"] {
            assert!(bad.parse::<TablePattern>().is_err(), "{bad:?}");
        }
    }
}
