//! Numbers as they are written, and their exact conversions: what a type can't give back is `None`.

use std::fmt::Write;

/// A number taken apart: `[-]digits[.digits][e[±]digits]`, the digits before the point left out at will.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    pub(crate) negative: bool,
    pub(crate) integer: &'a [u8],
    pub(crate) fraction: &'a [u8],
    pub(crate) exponent: Option<i64>,
}

/// Beyond any exponent that a number here can use, and far from overflow when lengths are added.
const EXPONENT_MAX: i64 = 1 << 40;

/// No double needs more characters to be written out; longer cells are not worth the search.
const DOUBLE_CHARS_MAX: usize = 1100;

impl<'a> Number<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (integer, rest) = leading_digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => match leading_digits(rest) {
                ([], _) => return None,
                digits => digits,
            },
            _ if integer.is_empty() => return None,
            rest => (&[][..], rest),
        };
        let exponent = match rest {
            [] => None,
            [b'e' | b'E', rest @ ..] => Some(exponent(rest)?),
            _ => return None,
        };
        Some(Self {
            negative,
            integer,
            fraction,
            exponent,
        })
    }

    /// Whether zeros stand before the number, as in codes: `007`, `00.5`.
    pub(crate) fn is_padded(&self) -> bool {
        matches!(self.integer, [b'0', _, ..])
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.integer.iter().chain(self.fraction).all(|digit| *digit == b'0')
    }

    /// The digits from the first to the last that is not zero, and the power of ten of the first.
    fn significant(&self) -> Significant<'a> {
        let integer = without_leading_zeros(self.integer);
        let (fraction, power) = if integer.is_empty() {
            let fraction = without_leading_zeros(self.fraction);
            (fraction, -1 - length(self.fraction) + length(fraction))
        } else {
            (self.fraction, length(integer) - 1)
        };
        let fraction = without_trailing_zeros(fraction);
        let integer = if fraction.is_empty() {
            without_trailing_zeros(integer)
        } else {
            integer
        };
        Significant {
            integer,
            fraction,
            power: power + self.exponent.unwrap_or(0),
        }
    }

    /// The number times ten to the `scale`, if that is whole and has no more than `precision` digits.
    pub(crate) fn units(&self, precision: u8, scale: u8) -> Option<i128> {
        let significant = self.significant();
        if significant.is_zero() {
            return Some(0);
        }
        let digits = significant.count() as i64;
        let digits_of_units = significant.power + 1 + i64::from(scale);
        if digits_of_units < digits || digits_of_units > i64::from(precision.min(38)) {
            return None;
        }
        let all = significant
            .digits()
            .fold(0_i128, |units, digit| units * 10 + i128::from(digit - b'0'));
        let units = all * 10_i128.pow(u32::try_from(digits_of_units - digits).ok()?);
        Some(if self.negative { -units } else { units })
    }

    /// Whether `written` is the same number, its sign aside.
    fn equals(&self, written: &str) -> bool {
        Number::parse(written).is_some_and(|written| {
            let (own, written) = (self.significant(), written.significant());
            own.is_zero() && written.is_zero() || own.power == written.power && own.digits().eq(written.digits())
        })
    }

    /// Any 15 digits survive in a double that is neither subnormal nor infinite (`DBL_DIG` of the C standard).
    fn surely_survives_as_double(&self) -> bool {
        if self.exponent.is_none() && self.integer.len() + self.fraction.len() <= 15 {
            return true;
        }
        let significant = self.significant();
        significant.count() <= 15 && (-300..300).contains(&significant.power)
    }

    /// Whether this number, spelled `text`, is what a double is when it is written in the shortest way.
    pub(crate) fn is_shortest_double(&self, text: &str) -> bool {
        text.len() <= DOUBLE_CHARS_MAX
            && (self.surely_survives_as_double()
                || text.parse::<f64>().is_ok_and(|double| self.equals(&shortest(double))))
    }

    /// The double that gives back this number, spelled `text`, when it is written with as many digits.
    fn double(&self, text: &str) -> Option<f64> {
        if text.len() > DOUBLE_CHARS_MAX {
            return None;
        }
        let double = text.parse::<f64>().ok()?;
        let decimals = self.significant().count().saturating_sub(1);
        let survives = self.surely_survives_as_double()
            || self.equals(&shortest(double))
            || self.equals(&format!("{double:.decimals$e}"));
        survives.then_some(double)
    }
}

/// The double with as few digits as tell it from all others.
fn shortest(double: f64) -> String {
    // Room for the longest: a `String` that grows as it is written costs more than the digits.
    let mut written = String::with_capacity(32);
    let _infallible = write!(written, "{double:e}");
    written
}

struct Significant<'a> {
    integer: &'a [u8],
    fraction: &'a [u8],
    power: i64,
}

impl Significant<'_> {
    fn is_zero(&self) -> bool {
        self.count() == 0
    }

    fn count(&self) -> usize {
        self.integer.len() + self.fraction.len()
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.integer.iter().chain(self.fraction).copied()
    }
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|digit| **digit == b'0').count()..]
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    &digits[..digits.len() - digits.iter().rev().take_while(|digit| **digit == b'0').count()]
}

fn length(digits: &[u8]) -> i64 {
    digits.len() as i64
}

fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (digits @ [_, ..], []) = leading_digits(text) else {
        return None;
    };
    let magnitude = digits.iter().fold(0_i64, |magnitude, digit| {
        (magnitude * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    Some(if negative { -magnitude } else { magnitude })
}

/// Whether `text` is NaN or an infinity, in any case.
pub(crate) fn is_not_finite(text: &str) -> bool {
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    text.eq_ignore_ascii_case("nan")
        || magnitude.eq_ignore_ascii_case("inf")
        || magnitude.eq_ignore_ascii_case("infinity")
}

/// The double that `text` spells, if it gives back each of its digits when it is written with as many.
pub(crate) fn double(text: &str) -> Option<f64> {
    match Number::parse(text) {
        Some(number) => number.double(text),
        None if is_not_finite(text) => text.parse().ok(),
        None => None,
    }
}

/// The integer that `text` spells.
pub(crate) fn bigint(text: &str) -> Option<i64> {
    text.parse()
        .ok()
        .or_else(|| Number::parse(text)?.units(38, 0)?.try_into().ok())
}

/// The unscaled value of a decimal, if none of its digits is lost.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    Number::parse(text)?.units(precision, scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Random;

    #[test]
    fn only_numbers_are_numbers() {
        for text in [
            "0", "-0", "12", "1.50", ".5", "-.5", "1e5", "1E+05", "1.5e-3", "007", "00.5",
        ] {
            assert!(Number::parse(text).is_some(), "{text}");
        }
        for text in [
            "", "-", ".", "5.", "+1", " 1", "1 ", "1,000", "1_0", "0x1F", "1e", "1e+", "--1", "1.2.3", "e5",
        ] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn decimals_keep_every_digit_or_are_none() {
        let nines = "9".repeat(38);
        for (text, precision, scale, units) in [
            ("1.50", 18, 2, Some(150)),
            ("1.5", 18, 2, Some(150)),
            ("1.500", 18, 2, Some(150)),
            ("1.505", 18, 2, None),
            ("-0.05", 18, 2, Some(-5)),
            (".05", 18, 2, Some(5)),
            ("0", 1, 1, Some(0)),
            ("0.000", 1, 0, Some(0)),
            ("1", 1, 1, None),
            ("123", 3, 0, Some(123)),
            ("1230", 3, 0, None),
            ("00123", 3, 0, Some(123)),
            ("1.5e1", 3, 0, Some(15)),
            ("1.5e-1", 3, 2, Some(15)),
            ("150e-1", 3, 0, Some(15)),
            ("1e38", 38, 0, None),
            ("1e999999999999999999999", 38, 0, None),
            ("1e-999999999999999999999", 38, 0, None),
            ("0e999999999999999999999", 38, 0, Some(0)),
            (nines.as_str(), 38, 0, Some(10_i128.pow(38) - 1)),
            (&format!("-0.{nines}"), 38, 38, Some(1 - 10_i128.pow(38))),
            (&format!("1{nines}"), 38, 0, None),
        ] {
            assert_eq!(
                decimal(text, precision, scale),
                units,
                "{text} as decimal({precision},{scale})"
            );
        }
    }

    #[test]
    fn integers_are_read_to_their_limits() {
        assert_eq!(bigint("9223372036854775807"), Some(i64::MAX));
        assert_eq!(bigint("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(bigint("9223372036854775808"), None);
        assert_eq!(bigint("12.00"), Some(12));
        assert_eq!(bigint("12e2"), Some(1200));
        assert_eq!(bigint("12.5"), None);
        assert_eq!(bigint(""), None);
    }

    /// Whether a text is a double to the inference, and to a column that is set to be one.
    fn is_double(text: &str) -> (bool, bool) {
        let inferred = Number::parse(text).is_some_and(|number| number.is_shortest_double(text));
        let set = double(text);
        if let Some(double) = set {
            assert_eq!(
                double.to_bits(),
                text.parse::<f64>().expect("a number").to_bits(),
                "{text}"
            );
        }
        (inferred, set.is_some())
    }

    #[test]
    fn doubles_come_back_as_the_same_number() {
        for text in [
            "0",
            "-0.0",
            "0e99",
            "0.1",
            "1e5",
            "1e+05",
            "1.50",
            "0.1e1",
            "1e22",
            "1e23",
            "5e-324",
            "2.2250738585072014e-308",
            "1.7976931348623157e308",
            "0.30000000000000004",
            "1277669927162256.3",
            &format!("1{}", "0".repeat(308)),
        ] {
            assert_eq!(is_double(text), (true, true), "{text}");
        }
        for text in [
            "1e309",
            "1e-400",
            "4e-324",
            "1277669927162256.1",
            "9007199254740993e0",
            "12345678901234567",
            "0.10000000000000000001",
            "0.1234567890123456789",
            "1e99999999999999999999",
            "0x1p3",
            "",
            &format!("0.{}1e{}", "0".repeat(2000), 2001),
        ] {
            assert_eq!(is_double(text), (false, false), "{text}");
        }
    }

    #[test]
    fn doubles_with_other_than_the_shortest_digits_must_be_asked_for() {
        for text in [
            // 0.1 by `%.17g` and `%.18e`.
            "0.10000000000000001",
            "1.000000000000000056e-01",
            // Halfway between two shortest spellings, of which the other one is ours.
            "1277669927162256.2",
            // By PostgreSQL, which spells out a whole number beyond 2^53 where a digit less would do.
            "2.7573525760730272e+16",
            // 2^100.
            "1267650600228229401496703205376",
        ] {
            assert_eq!(is_double(text), (false, true), "{text}");
        }
    }

    #[test]
    fn not_all_doubles_are_finite() {
        assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(double("INF"), Some(f64::INFINITY));
        assert!(double("nan").is_some_and(f64::is_nan));
        assert_eq!(double("-nan"), None);
    }

    #[test]
    fn every_double_survives_being_written() {
        let mut random = Random::seeded();
        for _ in 0..20_000 {
            let value = f64::from_bits(random.next());
            if value.is_finite() {
                for text in [format!("{value:e}"), format!("{value}")] {
                    assert_eq!(is_double(&text), (true, true), "{text}");
                }
                for text in [format!("{value:.16e}"), format!("{value:.18e}")] {
                    assert_eq!(double(&text).map(f64::to_bits), Some(value.to_bits()), "{text}");
                }
            }
        }
    }

    #[test]
    fn the_short_cut_for_15_digits_agrees_with_writing_the_double() {
        let mut random = Random::seeded();
        for _ in 0..20_000 {
            let digits = random.below(1_000_000_000_000_000);
            let text = format!("{digits}e{}", random.below(500).cast_signed() - 250);
            let value: f64 = text.parse().expect("a number");
            let number = Number::parse(&text).expect("a number");
            assert!(number.surely_survives_as_double());
            assert!(number.equals(&format!("{value:e}")), "{text}");
        }
    }
}
