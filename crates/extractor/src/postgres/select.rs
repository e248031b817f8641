//! Which tables: patterns as the config and `--table` write them.

use std::fmt;
use std::str::FromStr;

use lake_postgres::NamePart;
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

    /// The schema, if it can only ever match one.
    pub(super) fn exact_schema(&self) -> Option<&str> {
        self.schema.is_exact().then_some(&self.schema.text)
    }

    /// The first settings whose pattern names the relation, or else of a pattern that matches it.
    pub(super) fn find<'a, T>(settings: &'a [(Self, T)], relation: &Relation) -> Option<&'a T> {
        let matching = || settings.iter().filter(|(pattern, _)| pattern.matches(relation));
        let exact = matching().find(|(pattern, _)| pattern.is_exact());
        exact.or_else(|| matching().next()).map(|(_, settings)| settings)
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
        let mut parts = lake_postgres::parse_name(body)
            .map_err(error)?
            .into_iter()
            .map(|NamePart { text, quoted }| Part { text, literal: quoted });
        let (schema, table) = match (parts.next(), parts.next(), parts.next()) {
            (Some(schema), Some(table), None) => (schema, table),
            (Some(table), None, _) => {
                let public = Part {
                    text: "public".into(),
                    literal: true,
                };
                (public, table)
            }
            _ => {
                return Err(error(
                    "it has more than a schema and a table; names with dots are quoted",
                ));
            }
        };
        Ok(Self {
            text: text.into(),
            exclude,
            schema,
            table,
        })
    }
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
