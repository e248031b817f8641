//! The type of a column from all of its cells: the narrowest that gives back each of them.

use crate::calendar::{date, timestamp, timestamptz};
use crate::number::{Number, is_not_finite};
use crate::settings::ColumnType;

/// Sees every cell of a column that is not NULL.
#[derive(Debug, Clone)]
pub(crate) enum Observer {
    /// The user set the type.
    Set(ColumnType),
    Inferred(Inference),
}

impl Observer {
    pub(crate) fn new(set: Option<ColumnType>) -> Self {
        set.map_or_else(|| Self::Inferred(Inference::default()), Self::Set)
    }

    /// Takes one cell into account. One that a set type can't hold is not shown to it.
    pub(crate) fn observe(&mut self, cell: &str) {
        match self {
            Self::Inferred(inference) => inference.observe(cell),
            Self::Set(_) => {}
        }
    }

    /// The type once every cell was seen.
    pub(crate) fn column_type(&self) -> ColumnType {
        match self {
            Self::Set(column_type) => *column_type,
            Self::Inferred(inference) => inference.column_type(),
        }
    }
}

impl Observer {
    /// Whether neither a setting nor a cell told the type.
    pub(crate) fn has_no_type(&self) -> bool {
        matches!(self, Self::Inferred(Inference::NoCell))
    }

    /// Whether `cell` is a number or a moment as every cell seen is.
    pub(crate) fn is_like(&self, cell: &str) -> bool {
        let Self::Inferred(seen) = self else { return false };
        matches!(
            (Inference::of_first(cell), seen),
            (Inference::Number(one), Inference::Number(_)) if one.any_finite
        ) || matches!(
            (Inference::of_first(cell), seen),
            (Inference::Date, Inference::Date)
                | (Inference::Timestamp, Inference::Timestamp)
                | (Inference::Timestamptz, Inference::Timestamptz)
        )
    }

    /// Whether every cell seen comes back from a type that the column had before. A type that the
    /// user set is not to be changed.
    pub(crate) fn fits(&self, earlier: ColumnType) -> bool {
        match (self, earlier) {
            (Self::Set(_), _) => false,
            (Self::Inferred(Inference::NoCell), _) | (Self::Inferred(_), ColumnType::Text) => true,
            (Self::Inferred(Inference::Number(numbers)), _) => numbers.fit(earlier),
            (Self::Inferred(inference), _) => inference.column_type() == earlier,
        }
    }
}

/// What the cells seen so far allow. NULL is not shown to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Inference {
    #[default]
    NoCell,
    Boolean,
    Number(Numbers),
    Date,
    Timestamp,
    Timestamptz,
    Text,
}

impl Inference {
    fn observe(&mut self, cell: &str) {
        let fits = match self {
            Self::Text => return,
            Self::NoCell => {
                *self = Self::of_first(cell);
                return;
            }
            Self::Boolean => is_boolean(cell),
            Self::Number(numbers) => numbers.observe(cell),
            Self::Date => date(cell).is_some(),
            Self::Timestamp => timestamp(cell).is_some(),
            Self::Timestamptz => timestamptz(cell).is_some(),
        };
        if !fits {
            *self = Self::Text;
        }
    }

    fn of_first(cell: &str) -> Self {
        let mut numbers = Numbers::default();
        if numbers.observe(cell) {
            Self::Number(numbers)
        } else if is_boolean(cell) {
            Self::Boolean
        } else if date(cell).is_some() {
            Self::Date
        } else if timestamp(cell).is_some() {
            Self::Timestamp
        } else if timestamptz(cell).is_some() {
            Self::Timestamptz
        } else {
            Self::Text
        }
    }

    /// A column of NULLs is text.
    fn column_type(&self) -> ColumnType {
        match self {
            Self::NoCell | Self::Text => ColumnType::Text,
            Self::Boolean => ColumnType::Boolean,
            Self::Number(numbers) => numbers.column_type(),
            Self::Date => ColumnType::Date,
            Self::Timestamp => ColumnType::Timestamp,
            Self::Timestamptz => ColumnType::Timestamptz,
        }
    }
}

fn is_boolean(cell: &str) -> bool {
    matches!(cell, "true" | "false" | "True" | "False" | "TRUE" | "FALSE")
}

/// What numbers in a column have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The most digits before the point.
    integer_digits: usize,
    /// The most digits after the point.
    scale: usize,
    /// All are integers within 64 bits.
    bigint: bool,
    /// Each is what a double is when written in the shortest way: it comes back as the same number.
    double: bool,
    any_finite: bool,
    /// An exponent, a NaN or an infinity: the writer had floating-point numbers in hand.
    any_floating: bool,
    /// A zero with a sign, which only a double could keep.
    any_negative_zero: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            integer_digits: 0,
            scale: 0,
            bigint: true,
            double: true,
            any_finite: false,
            any_floating: false,
            any_negative_zero: false,
        }
    }
}

impl Numbers {
    /// Takes one cell into account; false if it is no number, or a code that only looks like one.
    fn observe(&mut self, cell: &str) -> bool {
        let Some(number) = Number::parse(cell) else {
            self.any_floating = true;
            return is_not_finite(cell);
        };
        if number.is_padded() {
            return false;
        }
        let integer_digits = if number.integer == b"0" {
            0
        } else {
            number.integer.len()
        };
        self.integer_digits = self.integer_digits.max(integer_digits);
        self.scale = self.scale.max(number.fraction.len());
        self.bigint &= number.fraction.is_empty() && (integer_digits < 19 || cell.parse::<i64>().is_ok());
        self.double = self.double && number.is_shortest_double(cell);
        self.any_finite = true;
        self.any_floating |= number.exponent.is_some();
        self.any_negative_zero |= number.negative && number.is_zero();
        true
    }

    fn fit(&self, earlier: ColumnType) -> bool {
        let exact = !self.any_floating && !self.any_negative_zero;
        match earlier {
            ColumnType::Bigint => exact && self.bigint,
            ColumnType::Decimal { precision, scale } => {
                let integer_digits = usize::from(precision.saturating_sub(scale));
                exact && self.scale <= usize::from(scale) && self.integer_digits <= integer_digits
            }
            ColumnType::Double => self.double,
            _ => false,
        }
    }

    fn column_type(&self) -> ColumnType {
        if self.any_floating {
            // NaN alone may be a name, or a spelling of NULL.
            return if self.double && self.any_finite {
                ColumnType::Double
            } else {
                ColumnType::Text
            };
        }
        match self.integer_digits + self.scale {
            _ if self.any_negative_zero => ColumnType::Text,
            _ if self.bigint => ColumnType::Bigint,
            // 18 digits fit 64 bits, which Parquet stores in half the space.
            1..=18 => ColumnType::Decimal {
                precision: 18,
                scale: self.scale as u8,
            },
            19..=38 => ColumnType::Decimal {
                precision: 38,
                scale: self.scale as u8,
            },
            _ => ColumnType::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(cells: &[&str]) -> String {
        let mut inference = Inference::default();
        cells.iter().for_each(|cell| inference.observe(cell));
        inference.column_type().to_string()
    }

    #[test]
    fn the_narrowest_type_of_all_cells_is_taken() {
        let digits = |count: usize| "9".repeat(count);
        for (cells, column_type) in [
            (&[][..], "text"),
            (&["true", "FALSE", "False"], "boolean"),
            (&["true", "t"], "text"),
            (&["true", "1"], "text"),
            (&["tRUE"], "text"),
            (&["0", "-1", "42"], "bigint"),
            (&["9223372036854775807", "-9223372036854775808"], "bigint"),
            (&["1", "9223372036854775808"], "decimal(38,0)"),
            (&[&digits(38)], "decimal(38,0)"),
            (&[&digits(39)], "text"),
            (&["1.50", "2.5", "3"], "decimal(18,2)"),
            (&["0.5", ".25"], "decimal(18,2)"),
            (&["0.0", "0"], "decimal(18,1)"),
            (&[&digits(16), "0.25"], "decimal(18,2)"),
            (&[&digits(17), "0.25"], "decimal(38,2)"),
            (&[&digits(36), "0.25"], "decimal(38,2)"),
            (&[&digits(37), "0.25"], "text"),
            (&[&format!("0.{}", digits(38))], "decimal(38,38)"),
            (&[&format!("0.{}", digits(39))], "text"),
            (&["1e5", "2", "0.25"], "double"),
            (&["1e5", "NaN", "-inf", "Infinity", "-0", "-0.0"], "double"),
            (&["1.5", "nan"], "double"),
            (&["NaN", "inf"], "text"),
            (&["1e5", "0.12345678901234567890"], "text"),
            (&["0.12345678901234567890", "1e5"], "text"),
            (&["9007199254740993", "1e5"], "text"),
            (&["0.10000000000000001", "1e5"], "text"),
            (&["1e400"], "text"),
            (&["0x1F"], "text"),
            (&["1", "-0"], "text"),
            (&["1.5", "-0.0"], "text"),
            (&["1", "true"], "text"),
            (&["2020-01-31", "0001-01-01", "9999-12-31"], "date"),
            (&["2020-01-31", "31.01.2020"], "text"),
            (&["2020-02-30"], "text"),
            (&["0000-00-00"], "text"),
            (&["2020-01-31", "20200131"], "text"),
            (&["2020-01-31 10:00", "2020-01-31T10:00:00.123456"], "timestamp"),
            (&["2020-01-31 10:00", "2020-01-31"], "text"),
            (&["2020-01-31 10:00", "2020-01-31 10:00Z"], "text"),
            (&["2020-01-31 10:00Z", "2020-01-31 10:00"], "text"),
            (
                &[
                    "2020-01-31 10:00Z",
                    "2020-01-31T10:00:00.123+02",
                    "2020-01-31 10:00-03:30",
                ],
                "timestamptz",
            ),
            (&["2020-01-31 10:00:00.1234567"], "text"),
            (&["1", ""], "text"),
            (&["", "1"], "text"),
            (&["", ""], "text"),
        ] {
            assert_eq!(inferred(cells), column_type, "{cells:?}");
        }
    }

    #[test]
    fn codes_stay_text() {
        for code in [
            "007", "-01", "00.5", "00", "+1", " 1", "1 ", "1,000", "1 000", "1_000", "5.", "1.2.3", "12-34",
        ] {
            for cells in [&[code][..], &["1", code], &[code, "1"], &["1.5", code], &["1e5", code]] {
                assert_eq!(inferred(cells), "text", "{cells:?}");
            }
        }
    }
}
