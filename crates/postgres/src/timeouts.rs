//! How long a connection waits for what others do.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest that the server takes for a timeout, in milliseconds.
const MILLISECONDS_MAX: f64 = i32::MAX as f64;

/// How long may be waited for something, as a user writes it: `30s`, `5 min`, `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit(Option<Duration>);

impl TimeLimit {
    /// A wait without end.
    pub const NEVER: Self = Self(None);

    /// A wait of so many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self(Some(Duration::from_secs(60 * minutes)))
    }

    /// The time; `None` for a wait without end.
    pub fn duration(self) -> Option<Duration> {
        self.0
    }

    /// The milliseconds, as the server's settings have them: 0 for a wait without end.
    pub fn milliseconds(self) -> u128 {
        self.0.map_or(0, |time| time.as_millis())
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    /// A number and a unit (`ms`, `s`, `min`, `h`), or `0` or `never` for no limit.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let milliseconds = match unit.trim_start().to_ascii_lowercase().as_str() {
            "never" if number.is_empty() => return Ok(Self::NEVER),
            "" if number == "0" => return Ok(Self::NEVER),
            "ms" => 1.0,
            "s" | "sec" | "second" | "seconds" => 1e3,
            "m" | "min" | "minute" | "minutes" => 6e4,
            "h" | "hour" | "hours" => 3.6e6,
            _ => f64::NAN,
        };
        match number.parse::<f64>().map_or(f64::NAN, |number| number * milliseconds) {
            0.0 => Ok(Self::NEVER),
            time if (1.0..=MILLISECONDS_MAX).contains(&time) => Ok(Self(Some(Duration::from_millis(time as u64)))),
            time if time > MILLISECONDS_MAX => Err(format!("{text} is more than 24 days: write never for no limit")),
            _ => Err(format!(
                "{text:?} is no time: write a number and a unit, e.g. 30s or 5 min, or never"
            )),
        }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.milliseconds() {
            0 => f.write_str("never"),
            time if time % 60_000 == 0 => write!(f, "{} min", time / 60_000),
            time if time % 1000 == 0 => write!(f, "{} s", time / 1000),
            time => write!(f, "{time} ms"),
        }
    }
}

/// The waits of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a lock that another session holds.
    pub lock: TimeLimit,
    /// For a byte in the middle of a stream of rows.
    pub stall: TimeLimit,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            lock: TimeLimit::minutes(5),
            stall: TimeLimit::minutes(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let read = |text: &str| text.parse::<TimeLimit>().map(TimeLimit::milliseconds);
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("5 min", 300_000),
            ("1.5 h", 5_400_000),
            ("250ms", 250),
            ("0", 0),
            ("0s", 0),
            ("never", 0),
        ] {
            assert_eq!(read(text), Ok(milliseconds), "{text}");
        }
        for text in ["", "5", "min", "-1s", "5 days", "1e3s", "0.1ms", "1.2.3s", "never 5"] {
            assert!(read(text).is_err(), "{text:?} was taken");
        }
        assert!(read("1000 h").is_err());
        for text in ["5 min", "30 s", "1500 ms", "never"] {
            assert_eq!(text.parse::<TimeLimit>().map(|time| time.to_string()), Ok(text.into()));
        }
    }
}
