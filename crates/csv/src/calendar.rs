//! ISO 8601 dates and timestamps, in the one order that can't be mistaken: `YYYY-MM-DD`.
//!
//! Years run from 0001 to 9999, in the proleptic Gregorian calendar, as PostgreSQL and Delta have it.

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// 0001-01-01T00:00:00 in microseconds since 1970.
const MICROS_MIN: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-12-31T23:59:59.999999.
const MICROS_MAX: i64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// Days since 1970-01-01.
pub(crate) fn date(text: &str) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else {
        return None;
    };
    let year = two_digits(*y1, *y2)? * 100 + two_digits(*y3, *y4)?;
    let (month, day) = (two_digits(*m1, *m2)?, two_digits(*d1, *d2)?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    Some(days_since_1970(year, month, day))
}

/// Microseconds since 1970-01-01T00:00:00, of a text without a zone.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    match local_timestamp(text)? {
        (micros, []) => Some(micros),
        _ => None,
    }
}

/// Microseconds since 1970-01-01T00:00:00Z, of a text that ends with `Z` or an offset.
pub(crate) fn timestamptz(text: &str) -> Option<i64> {
    let (micros, zone) = local_timestamp(text)?;
    let (sign, hours, minutes) = match zone {
        [b'Z'] => (0, 0, 0),
        [sign, h1, h2] => (sign_of(*sign)?, two_digits(*h1, *h2)?, 0),
        [sign, h1, h2, b':', m1, m2] => (sign_of(*sign)?, two_digits(*h1, *h2)?, two_digits(*m1, *m2)?),
        _ => return None,
    };
    // PostgreSQL's widest offset is 15:59.
    if hours > 15 || minutes > 59 {
        return None;
    }
    let micros = micros - sign * i64::from(hours * 60 + minutes) * 60 * MICROS_PER_SECOND;
    (MICROS_MIN..=MICROS_MAX).contains(&micros).then_some(micros)
}

/// The microseconds of `YYYY-MM-DD[ T]HH:MM[:SS[.ffffff]]`, and what follows it.
fn local_timestamp(text: &str) -> Option<(i64, &[u8])> {
    let days = date(text.get(..10)?)?;
    let [b' ' | b'T', h1, h2, b':', m1, m2, rest @ ..] = text.as_bytes().get(10..)? else {
        return None;
    };
    let (hours, minutes) = (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?);
    let (seconds, micros, rest) = match rest {
        [b':', s1, s2, b'.', rest @ ..] => {
            let (fraction, rest) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
            (two_digits(*s1, *s2)?, micros_of(fraction)?, rest)
        }
        [b':', s1, s2, rest @ ..] => (two_digits(*s1, *s2)?, 0, rest),
        rest => (0, 0, rest),
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = i64::from(days) * SECONDS_PER_DAY + i64::from((hours * 60 + minutes) * 60 + seconds);
    Some((seconds * MICROS_PER_SECOND + micros, rest))
}

/// The digits after a second's point; more than six only if the rest are zeros, as SQL Server writes seven.
fn micros_of(fraction: &[u8]) -> Option<i64> {
    let (micros, finer) = fraction.split_at(fraction.len().min(6));
    if micros.is_empty() || finer.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let value = micros
        .iter()
        .fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some((micros.len()..6).fold(value, |value, _| value * 10))
}

fn two_digits(tens: u8, ones: u8) -> Option<i32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
}

fn sign_of(byte: u8) -> Option<i64> {
    match byte {
        b'+' => Some(1),
        b'-' => Some(-1),
        _ => None,
    }
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 => 28 + i32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i32, month: i32, day: i32) -> i32 {
    /// Days from 0001-01-01 to 1970-01-01.
    const EPOCH: i32 = 719_162;
    let years = year - 1;
    let days_before_year = years * 365 + years / 4 - years / 100 + years / 400;
    let days_before_month: i32 = (1..month).map(|month| days_in_month(year, month)).sum();
    days_before_year + days_before_month + day - 1 - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let mut next = date("0001-01-01").expect("the first day");
        assert_eq!(next, -719_162);
        for year in 1..=9999 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    if day <= days_in_month(year, month) {
                        assert_eq!(date(&text), Some(next), "{text}");
                        next += 1;
                    } else {
                        assert_eq!(date(&text), None, "{text}");
                    }
                }
            }
        }
        assert_eq!(date("9999-12-31"), Some(next - 1));
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("2000-02-29"), Some(11_016));
    }

    #[test]
    fn only_iso_dates_are_dates() {
        for text in [
            "",
            "2020-1-01",
            "20200101",
            "2020/01/01",
            "01-02-2020",
            "01/02/2020",
            "0000-01-01",
            "0000-00-00",
            "10000-01-01",
            "-001-01-01",
            "2020-13-01",
            "2020-02-30",
            "1900-02-29",
            "2020-01-01 ",
            "2020-01-0é",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_exact_or_none() {
        for (text, micros) in [
            ("1970-01-01 00:00", 0),
            ("1970-01-01T00:00:01", 1_000_000),
            ("1970-01-01 00:00:00.5", 500_000),
            ("1970-01-01 00:00:00.000001", 1),
            ("1970-01-01 00:00:00.0000010", 1),
            ("1969-12-31 23:59:59.999999", -1),
            ("0001-01-01 00:00:00", MICROS_MIN),
            ("9999-12-31 23:59:59.999999", MICROS_MAX),
        ] {
            assert_eq!(timestamp(text), Some(micros), "{text}");
            assert_eq!(timestamptz(text), None, "{text}");
            assert_eq!(timestamptz(&format!("{text}Z")), Some(micros), "{text}Z");
            assert_eq!(timestamp(&format!("{text}Z")), None, "{text}Z");
        }
        for text in [
            "",
            "2020-01-01",
            "2020-01-01 ",
            "2020-01-01 1:00",
            "2020-01-01 24:00",
            "2020-01-01 23:60",
            "2020-01-01 23:59:60",
            "2020-01-01 10:00:00.",
            "2020-01-01 10:00:00.1234567",
            "2020-01-01t10:00",
            "2020-01-01  10:00",
            "2020-02-30 10:00",
            "2020-01-01 10",
            "2020-01-0é10:00",
            "2020-01-01 10:00 ",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
            assert_eq!(timestamptz(&format!("{text}Z")), None, "{text}Z");
        }
    }

    #[test]
    fn offsets_lead_to_utc() {
        const HOUR: i64 = 3600 * MICROS_PER_SECOND;
        for (text, micros) in [
            ("1970-01-01 00:00+01", -HOUR),
            ("1970-01-01 00:00:00-01", HOUR),
            ("1970-01-01 00:00:00.5+00:30", HOUR / -2 + 500_000),
            ("1970-01-01T00:00:00-15:59", 16 * HOUR - 60 * MICROS_PER_SECOND),
            ("1970-01-01T00:00:00-00:00", 0),
        ] {
            assert_eq!(timestamptz(text), Some(micros), "{text}");
        }
        for zone in [
            "",
            "z",
            " Z",
            "+1",
            "+0100",
            "+16",
            "+01:60",
            "+01:0",
            "UTC",
            "+01:00:00",
            "*01",
            "+é1",
        ] {
            assert_eq!(timestamptz(&format!("2020-01-01 10:00:00{zone}")), None, "{zone}");
        }
        assert_eq!(timestamptz("0001-01-01 00:00+01"), None, "a year 0000 in UTC");
        assert_eq!(timestamptz("9999-12-31 23:59-01"), None, "a year 10000 in UTC");
    }
}
