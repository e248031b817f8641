//! `lake status`

use std::io::IsTerminal as _;

use lake_storage::RunDate;

use crate::args::{Global, Json};
use crate::commands::print_json;
use crate::config::Config;
use crate::failure::{self, usage};
use crate::states::{self, DayState, State, StepState};
use crate::ui::{count_text, path_text, plural, visible};

const DAYS_SHOWN: usize = 14;

/// Show what is done, what failed and why, and what to run: days by steps.
#[derive(clap::Args)]
pub struct Args {
    /// One day.
    #[arg(short, long, value_name = "DATE", conflicts_with_all = ["from", "to"])]
    date: Option<RunDate>,
    /// The first day [default: the last fourteen that the lake knows].
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<RunDate>,
    /// The last day.
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<RunDate>,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let config = Config::read(&global.config)?;
    let lake = global.open_lake(&config)?;
    let dates: Vec<RunDate> = match (args.date, args.from, args.to) {
        (Some(date), ..) => vec![date],
        (None, Some(from), Some(to)) if from <= to => from.through(to).collect(),
        (None, Some(from), Some(to)) => return Err(usage(format!("--from {from} is after --to {to}"))),
        _ => {
            let known = states::known_days(&config, &lake)?;
            known[known.len().saturating_sub(DAYS_SHOWN)..].to_vec()
        }
    };
    let days = dates
        .into_iter()
        .map(|date| states::day(&config, &lake, date))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if args.json.json {
        return print_json(&days);
    }
    if days.is_empty() {
        let hint = failure::with_config("run `lake run`");
        tracing::info!("the lake {} is empty: {hint}", lake.root().display());
        return Ok(());
    }
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let runs_dir = |date: RunDate| path_text(&lake.runs_dir(date));
    let text = table(&states::step_names(&config), &days, color) + &failure::with_config(&problems(&days, runs_dir));
    Ok(super::print(text)?)
}

fn table(steps: &[String], days: &[DayState], color: bool) -> String {
    let width = |i: usize| {
        let cells = days.iter().map(|day| cell(&day.steps[i]).len());
        cells.chain([steps[i].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..steps.len()).map(width).collect();
    let mut text = format!("{:10}", "day");
    for (step, width) in steps.iter().zip(&widths) {
        text += &format!("  {step:width$}");
    }
    text = text.trim_end().to_owned() + "\n";
    for day in days {
        let mut line = day.date.to_string();
        for (step, width) in day.steps.iter().zip(&widths) {
            let cell = format!("{:width$}", cell(step));
            line += "  ";
            line += &match (color, step.state) {
                (true, State::Done) => format!("\x1b[32m{cell}\x1b[0m"),
                (true, State::Failed | State::Interrupted) => format!("\x1b[31m{cell}\x1b[0m"),
                (true, State::Stale | State::Running) => format!("\x1b[33m{cell}\x1b[0m"),
                _ => cell,
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn cell(step: &StepState) -> String {
    match step.state {
        State::Missing => "-".into(),
        State::Done => format!("done {}", count_text(step.rows)),
        State::Stale => "stale".into(),
        State::Failed => "FAILED".into(),
        State::Interrupted => "INTERRUPTED".into(),
        State::Running => "running".into(),
    }
}

fn problems(days: &[DayState], runs_dir: impl Fn(RunDate) -> String) -> String {
    let mut text = String::new();
    for day in days {
        for step in &day.steps {
            if step.quarantined > 0 {
                let rows = plural(step.quarantined, "bad row");
                text += &format!(
                    "\n{}  {}: {rows} left out, kept in {}\n",
                    day.date,
                    step.step,
                    runs_dir(day.date)
                );
            }
            let why = match (&step.error, step.state) {
                (Some(error), _) => error.as_str(),
                (None, State::Interrupted) => "its process ended before the step did",
                (None, State::Stale) => "what it was made from has been made again since",
                _ => continue,
            };
            text += &format!("\n{}  {}: {}\n", day.date, step.step, visible(why));
            if let Some(command) = &step.command {
                text += &format!("            run `{command}`\n");
            }
        }
    }
    text
}
