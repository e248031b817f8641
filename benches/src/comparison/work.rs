//! A work, the programs that do it in turn, and the bars that `lake` is held to.

use serde::Serialize;

use super::measure::Measured;
use crate::statistics::{median, median_ratio};

/// A work to be measured.
pub struct Work<'a> {
    pub id: &'static str,
    pub title: String,
    pub contenders: Vec<Contender<'a>>,
    pub bars: Vec<Bar>,
}

/// A program that does a work.
pub struct Contender<'a> {
    pub name: String,
    pub note: Option<String>,
    /// For the slow ones: fewer rounds than the others.
    pub rounds_max: usize,
    /// Clears what the last run left, runs the program, and checks its result; only the program is measured.
    run: Box<dyn Fn() -> anyhow::Result<Measured> + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: impl Into<String>, run: impl Fn() -> anyhow::Result<Measured> + 'a) -> Self {
        Self {
            name: name.into(),
            note: None,
            rounds_max: usize::MAX,
            run: Box::new(run),
        }
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    pub fn rounds_max(mut self, rounds: usize) -> Self {
        self.rounds_max = rounds;
        self
    }
}

/// What a program has to keep to.
#[derive(Clone, Serialize)]
pub struct Bar {
    /// The contender.
    pub ours: String,
    pub limit: Limit,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Its time is at most so many times that of another, the fastest of these.
    Times { ratio: f64, of: Vec<String> },
    /// Its time is at most this many seconds.
    Seconds(f64),
    /// Its time is at most this many milliseconds for each of so many tables.
    MillisecondsEach { milliseconds: f64, tables: u64 },
    /// Its peak resident memory in every round is at most this many bytes.
    PeakBytes(u64),
}

impl Bar {
    pub fn new(ours: &str, limit: Limit) -> Self {
        Self {
            ours: ours.into(),
            limit,
        }
    }

    /// Against the time of the fastest of some contenders.
    pub fn times(ours: &str, ratio: f64, of: &[&str]) -> Self {
        let of = of.iter().map(|name| (*name).to_owned()).collect();
        Self::new(ours, Limit::Times { ratio, of })
    }
}

/// All rounds of a work.
#[derive(Serialize)]
pub struct WorkResult {
    pub id: &'static str,
    pub title: String,
    pub contenders: Vec<ContenderResult>,
    pub bars: Vec<BarResult>,
}

impl WorkResult {
    /// Of a work that has no data.
    pub fn of_failure(title: String, error: String) -> Self {
        let preparation = ContenderResult {
            name: "its preparation".into(),
            note: None,
            rounds: Vec::new(),
            error: Some(error),
        };
        Self {
            id: "",
            title,
            contenders: vec![preparation],
            bars: Vec::new(),
        }
    }
}

#[derive(Serialize)]
pub struct ContenderResult {
    pub name: String,
    pub note: Option<String>,
    pub rounds: Vec<Measured>,
    /// Why there are no more rounds.
    pub error: Option<String>,
}

impl ContenderResult {
    pub fn walls(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| round.wall_s).collect()
    }

    /// The largest of all rounds.
    pub fn peak_rss_bytes(&self) -> Option<u64> {
        self.rounds.iter().map(|round| round.peak_rss_bytes).max()
    }
}

/// A bar and what was measured.
#[derive(Serialize)]
pub struct BarResult {
    pub bar: Bar,
    /// The contender that it was held against.
    pub against: Option<String>,
    /// In the bar's unit; none where a program failed.
    pub measured: Option<f64>,
}

impl BarResult {
    /// The bar as a number in its unit.
    pub fn allowed(&self) -> f64 {
        match self.bar.limit {
            Limit::Times { ratio, .. } => ratio,
            Limit::Seconds(seconds) => seconds,
            Limit::MillisecondsEach { milliseconds, .. } => milliseconds,
            Limit::PeakBytes(bytes) => bytes as f64,
        }
    }
}

/// Runs all programs of a work in turn, so many rounds; each round begins with another one.
///
/// A program that fails is not run again, and its error stands in its row.
pub fn play(work: &Work<'_>, rounds: usize) -> WorkResult {
    let count = work.contenders.len();
    let mut results: Vec<ContenderResult> = work
        .contenders
        .iter()
        .map(|contender| ContenderResult {
            name: contender.name.clone(),
            note: contender.note.clone(),
            rounds: Vec::new(),
            error: None,
        })
        .collect();
    for round in 0..rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            let (contender, result) = (&work.contenders[index], &mut results[index]);
            if round >= contender.rounds_max || result.error.is_some() {
                continue;
            }
            let name = &contender.name;
            match (contender.run)() {
                Ok(measured) => {
                    eprintln!(
                        "  {}/{rounds} {name}: {:.2} s, {:.0} MB",
                        round + 1,
                        measured.wall_s,
                        measured.peak_rss_bytes as f64 / 1e6
                    );
                    result.rounds.push(measured);
                }
                Err(error) => {
                    eprintln!("  {}/{rounds} {name}: {error:#}", round + 1);
                    result.error = Some(format!("{error:#}"));
                }
            }
        }
    }
    let bars = work.bars.iter().map(|bar| judge(bar, &results)).collect();
    WorkResult {
        id: work.id,
        title: work.title.clone(),
        contenders: results,
        bars,
    }
}

fn judge(bar: &Bar, results: &[ContenderResult]) -> BarResult {
    // What failed in any round did not do the work.
    let find = |name: &str| {
        results
            .iter()
            .find(|result| result.name == name && result.error.is_none())
    };
    let ours = find(&bar.ours);
    let mut against = None;
    let measured = match &bar.limit {
        Limit::Times { of, .. } => {
            let others = of.iter().filter_map(|name| find(name));
            let others = others.filter_map(|other| Some((median(&other.walls())?, other)));
            let fastest = others.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, other)| other);
            against = fastest.map(|other| other.name.clone());
            ours.zip(fastest)
                .and_then(|(ours, fastest)| median_ratio(&ours.walls(), &fastest.walls()))
        }
        Limit::Seconds(_) => ours.and_then(|ours| median(&ours.walls())),
        Limit::MillisecondsEach { tables, .. } => ours
            .and_then(|ours| median(&ours.walls()))
            .map(|seconds| seconds * 1000.0 / *tables as f64),
        Limit::PeakBytes(_) => ours.and_then(ContenderResult::peak_rss_bytes).map(|bytes| bytes as f64),
    };
    BarResult {
        bar: bar.clone(),
        against,
        measured,
    }
}

#[cfg(test)]
pub mod tests {
    use std::cell::RefCell;

    use super::*;

    pub fn took(wall_s: f64) -> Measured {
        Measured {
            wall_s,
            cpu_s: wall_s / 2.0,
            server_cpu_s: Some(1.0),
            peak_rss_bytes: 100_000_000,
        }
    }

    #[test]
    fn rounds_rotate_and_the_slow_run_fewer() {
        let order = RefCell::new(String::new());
        let contender = |name: &'static str| {
            let order = &order;
            Contender::new(name, move || {
                order.borrow_mut().push_str(name);
                Ok(took(1.0))
            })
        };
        let work = Work {
            id: "w",
            title: String::new(),
            contenders: vec![contender("a"), contender("b"), contender("c").rounds_max(1)],
            bars: vec![],
        };
        play(&work, 3);
        assert_eq!(*order.borrow(), "abcbaab");
    }

    #[test]
    fn a_failure_is_kept_and_not_repeated() {
        let work = Work {
            id: "w",
            title: String::new(),
            contenders: vec![
                Contender::new("ours", || Ok(took(1.0))),
                Contender::new("broken", || anyhow::bail!("no such table")),
            ],
            bars: vec![Bar::times("ours", 0.8, &["broken"])],
        };
        let result = play(&work, 3);
        assert_eq!(result.contenders[1].error.as_deref(), Some("no such table"));
        assert_eq!(result.contenders[0].rounds.len(), 3);
        assert_eq!(result.bars[0].measured, None);
    }

    #[test]
    fn a_bar_is_held_against_the_fastest() {
        let work = Work {
            id: "w",
            title: String::new(),
            contenders: vec![
                Contender::new("ours", || Ok(took(3.0))),
                Contender::new("zstd", || Ok(took(5.0))),
                Contender::new("snappy", || Ok(took(4.0))),
            ],
            bars: vec![
                Bar::times("ours", 0.8, &["zstd", "snappy"]),
                Bar::new("ours", Limit::PeakBytes(1)),
                Bar::new(
                    "ours",
                    Limit::MillisecondsEach {
                        milliseconds: 15.0,
                        tables: 2000,
                    },
                ),
            ],
        };
        let bars = play(&work, 1).bars;
        assert_eq!(bars[0].against.as_deref(), Some("snappy"));
        assert_eq!(bars[0].measured, Some(0.75));
        assert_eq!(bars[1].measured, Some(1e8));
        assert_eq!(bars[2].measured, Some(1.5));
    }
}
