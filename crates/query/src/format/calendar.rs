//! Dates and times of the whole range of Arrow's types, in the proleptic Gregorian calendar.
//!
//! chrono ends at the year 262142, a timestamp in microseconds at 294247: its last years would be
//! errors.

use std::io::Write as _;

use arrow::datatypes::TimeUnit;

const SECONDS_PER_DAY: i64 = 86_400;

/// How a point in time looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// `2021-01-31 12:00:00+00`; years before 1 end in ` BC`, as psql shows them.
    Sql,
    /// `2021-01-31T12:00:00Z`; years before 0 and after 9999 are signed and have six digits.
    Iso,
}

/// Days since 1970-01-01 as a date.
pub(super) fn date(days: i64, look: Look, out: &mut Vec<u8>) {
    let year = date_without_era(days, look, out);
    if look == Look::Sql && year < 1 {
        out.extend_from_slice(b" BC");
    }
}

/// A count since 1970-01-01 as date and time, with all digits of its fraction but trailing zeros.
pub(super) fn timestamp(count: i64, unit: TimeUnit, utc: bool, look: Look, out: &mut Vec<u8>) {
    let (per_second, digits) = match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    };
    let seconds = count.div_euclid(per_second);
    let fraction = count.rem_euclid(per_second);
    let year = date_without_era(seconds.div_euclid(SECONDS_PER_DAY), look, out);
    out.push(if look == Look::Sql { b' ' } else { b'T' });
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write(out, format_args!("{hour:02}:{minute:02}:{second:02}"));
    if fraction > 0 {
        write(out, format_args!(".{fraction:0digits$}"));
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    match look {
        Look::Sql => {
            if utc {
                out.extend_from_slice(b"+00");
            }
            if year < 1 {
                out.extend_from_slice(b" BC");
            }
        }
        Look::Iso if utc => out.push(b'Z'),
        Look::Iso => {}
    }
}

/// Writes the date and returns its year, where 0 is the year before 1.
fn date_without_era(days: i64, look: Look, out: &mut Vec<u8>) -> i64 {
    let (year, month, day) = civil(days);
    match look {
        Look::Sql => write(out, format_args!("{:04}", if year < 1 { 1 - year } else { year })),
        Look::Iso if (0..=9999).contains(&year) => write(out, format_args!("{year:04}")),
        Look::Iso => write(out, format_args!("{year:+07}")),
    }
    write(out, format_args!("-{month:02}-{day:02}"));
    year
}

/// Year, month and day of a number of days since 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last of its year, in eras of 400 years,
/// which all have as many days.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    const MARCH_1_OF_YEAR_0: i64 = -719_468;
    let days = days - MARCH_1_OF_YEAR_0;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // writing to a Vec can't fail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(count: i64, unit: TimeUnit, utc: bool, look: Look) -> String {
        let mut out = Vec::new();
        timestamp(count, unit, utc, look, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn agrees_with_chrono_on_every_day_that_it_knows() {
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (-800_000..3_000_000).step_by(13) {
            let day = epoch + chrono::Duration::days(days);
            use chrono::Datelike as _;
            let expected = (i64::from(day.year()), i64::from(day.month()), i64::from(day.day()));
            assert_eq!(civil(days), expected);
        }
    }

    #[test]
    fn shows_the_ends_of_the_range() {
        let micros = TimeUnit::Microsecond;
        assert_eq!(
            shown(i64::MAX, micros, false, Look::Sql),
            "294247-01-10 04:00:54.775807"
        );
        assert_eq!(
            shown(i64::MAX, micros, true, Look::Iso),
            "+294247-01-10T04:00:54.775807Z"
        );
        assert_eq!(
            shown(i64::MIN, micros, false, Look::Sql),
            "290309-12-21 19:59:05.224192 BC"
        );
        assert_eq!(
            shown(i64::MIN, micros, false, Look::Iso),
            "-290308-12-21T19:59:05.224192"
        );
        assert_eq!(
            shown(i64::MAX, TimeUnit::Second, false, Look::Sql).len(),
            "292277026596-12-04 15:30:07".len()
        );
    }

    #[test]
    fn shows_fractions_without_trailing_zeros() {
        let micros = TimeUnit::Microsecond;
        assert_eq!(shown(1_500_000, micros, true, Look::Sql), "1970-01-01 00:00:01.5+00");
        assert_eq!(shown(-1, micros, false, Look::Sql), "1969-12-31 23:59:59.999999");
        assert_eq!(shown(0, TimeUnit::Nanosecond, true, Look::Iso), "1970-01-01T00:00:00Z");
    }
}
