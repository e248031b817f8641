//! The day that a run is for.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike as _, Days, Local, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::Error;

/// A calendar day: the value of `extract_date`, printed as `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunDate(NaiveDate);

impl RunDate {
    /// Today in the machine's time zone.
    pub fn today() -> Self {
        Self(Local::now().date_naive())
    }

    /// The day as a `NaiveDate`.
    pub fn naive(self) -> NaiveDate {
        self.0
    }

    /// Days since 1970-01-01, as Arrow's Date32 counts them.
    pub fn days_since_epoch(self) -> i32 {
        const EPOCH_FROM_CE: i32 = 719_163;
        self.0.num_days_from_ce() - EPOCH_FROM_CE
    }

    /// Every day from `self` to `last`, both included; empty if `last` is earlier.
    pub fn through(self, last: RunDate) -> impl Iterator<Item = RunDate> {
        self.0.iter_days().take_while(move |day| *day <= last.0).map(RunDate)
    }
}

impl fmt::Display for RunDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl FromStr for RunDate {
    type Err = Error;

    /// Reads `YYYY-MM-DD`, `today` or `yesterday` (local time).
    ///
    /// # Errors
    /// [`Error::Date`] for anything else, including days that do not exist.
    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || Error::Date { text: text.into() };
        match text {
            "today" => Ok(Self::today()),
            "yesterday" => Self::today()
                .0
                .checked_sub_days(Days::new(1))
                .map(Self)
                .ok_or_else(error),
            // `%Y-%m-%d` alone would also take `2026-1-2`: two spellings of one folder.
            _ => NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .ok()
                .map(Self)
                .filter(|date| date.to_string() == text)
                .ok_or_else(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_that_exist_and_no_others() {
        let day: RunDate = "2024-02-29".parse().unwrap();
        assert_eq!(day.to_string(), "2024-02-29");
        assert_eq!(RunDate::from_str("1970-01-02").unwrap().days_since_epoch(), 1);
        for bad in [
            "2021-02-30",
            "2021-2-03",
            "20210203",
            "",
            "tomorrow",
            "2021-02-03 ",
            "+021-02-03",
        ] {
            assert!(bad.parse::<RunDate>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ranges_include_both_ends() {
        let from: RunDate = "2020-12-30".parse().unwrap();
        let to: RunDate = "2021-01-01".parse().unwrap();
        assert_eq!(from.through(to).count(), 3);
        assert_eq!(to.through(from).count(), 0);
    }
}
