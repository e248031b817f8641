//! A value of the sample as SQL writes it.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};

use chrono::NaiveDate;

/// Hundredths: prices, freight and discounts, shown with as many decimals as they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hundredths(pub(super) u64);

impl Display for Hundredths {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match (rest, rest % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", rest / 10),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}

/// A literal of SQL.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Integer(u64),
    Real(Hundredths),
    Text(Cow<'a, str>),
    Date(NaiveDate),
    Bytes(Vec<u8>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(number)
    }
}

impl From<Hundredths> for Value<'_> {
    fn from(number: Hundredths) -> Self {
        Self::Real(number)
    }
}

impl From<NaiveDate> for Value<'_> {
    fn from(date: NaiveDate) -> Self {
        Self::Date(date)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number}"),
            Self::Text(text) => {
                f.write_char('\'')?;
                for (index, part) in text.split('\'').enumerate() {
                    if index > 0 {
                        f.write_str("''")?;
                    }
                    f.write_str(part)?;
                }
                f.write_char('\'')
            }
            Self::Date(date) => write!(f, "'{date}'"),
            Self::Bytes(bytes) => {
                f.write_str("'\\x")?;
                for byte in bytes {
                    write!(f, "{byte:02x}")?;
                }
                f.write_char('\'')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_as_many_as_needed() {
        let shown: Vec<String> = [0, 5, 15, 20, 980, 1400, 12_379]
            .map(|n| Hundredths(n).to_string())
            .into();
        assert_eq!(shown, ["0", "0.05", "0.15", "0.2", "9.8", "14", "123.79"]);
    }

    #[test]
    fn literals_are_quoted() {
        assert_eq!(Value::from("O'Hara, \"Jo\"").to_string(), "'O''Hara, \"Jo\"'");
        assert_eq!(Value::from(None::<&str>).to_string(), "null");
        assert_eq!(Value::Bytes(vec![0, 255]).to_string(), r"'\x00ff'");
        assert_eq!(Value::Bytes(Vec::new()).to_string(), r"'\x'");
    }
}
