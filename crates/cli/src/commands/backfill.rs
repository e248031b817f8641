//! `lake backfill`

use clap::ValueEnum;
use lake_storage::{Lake, RunDate};
use serde::Serialize;

use crate::args::{Global, Json, TakeOver};
use crate::commands::print_json;
use crate::config::Config;
use crate::failure::{self, Status, WithStatus, usage};
use crate::pipeline::Pipeline;
use crate::states::{self, DayState, State};
use crate::ui::plural;

/// Run each day of a range; one that fails does not stop the others.
///
/// What is done already is left alone, so a backfill that was stopped goes on where it was.
#[derive(clap::Args)]
pub struct Args {
    /// The first day.
    #[arg(long, value_name = "DATE", env = "LAKE_FROM")]
    from: RunDate,
    /// The last day.
    #[arg(long, value_name = "DATE", env = "LAKE_TO")]
    to: RunDate,
    /// Which days: those not wholly done, those whose last run failed, or all.
    #[arg(long, value_enum, default_value = "missing", env = "LAKE_ONLY")]
    only: Only,
    /// Say which days would be run, and run none.
    #[arg(long, env = "LAKE_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    dry_run: bool,
    #[command(flatten)]
    take_over: TakeOver,
    #[command(flatten)]
    json: Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    Missing,
    Failed,
    All,
}

/// What became of a day.
#[derive(Serialize)]
struct Outcome {
    date: RunDate,
    /// `done`, `failed`, `skipped`, or with --dry-run `would run`.
    outcome: &'static str,
    error: Option<String>,
    command: Option<String>,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    if args.to < args.from {
        return Err(usage(format!("--from {} is after --to {}", args.from, args.to)));
    }
    let config = Config::read(&global.config)?;
    let lake = global.open_lake(&config)?;
    let latest_loaded = latest_loaded(&config, &lake)?;
    let mut outcomes = Vec::new();
    for date in args.from.through(args.to) {
        let state = match states::day(&config, &lake, date) {
            Ok(state) => state,
            Err(error) => {
                let text = failure::chain(&error);
                tracing::error!("{date}: {text}");
                outcomes.push(outcome(date, "failed", Some(text)));
                continue;
            }
        };
        let wanted = match args.only {
            Only::All => true,
            Only::Missing => !state.is_done(),
            Only::Failed => state.has_failed(),
        };
        let outcome = if !wanted {
            outcome(date, "skipped", None)
        } else if args.dry_run {
            tracing::info!("{date}  would run: {}", why(&state));
            outcome(date, "would run", None)
        } else {
            tracing::info!("{date}");
            match run_day(global, date, args.take_over).await {
                Ok(()) => outcome(date, "done", None),
                Err(error) => {
                    let text = failure::chain(&error);
                    tracing::error!("{text}");
                    outcome(date, "failed", Some(text))
                }
            }
        };
        outcomes.push(outcome);
    }
    summary(&outcomes);
    if let Some(latest) = latest_loaded
        && let Some(last) = outcomes.iter().rfind(|o| o.outcome == "done" && o.date != latest)
        && latest > last.date
    {
        tracing::warn!(
            "the target holds {} now; `lake load --date {latest}` puts the latest day back",
            last.date
        );
    }
    if args.json.json {
        print_json(&outcomes)?;
    }
    let failed = outcomes.iter().filter(|o| o.outcome == "failed").count();
    if failed > 0 {
        return Err(WithStatus {
            status: Status::Failed,
            message: format!("{} of {} failed", failed, plural(outcomes.len() as u64, "day")),
        }
        .into());
    }
    Ok(())
}

async fn run_day(global: &Global, date: RunDate, take_over: TakeOver) -> anyhow::Result<()> {
    Pipeline::begin(global, "lake backfill", date)
        .await?
        .run(take_over.take_over)
        .await
        .map(drop)
}

fn outcome(date: RunDate, outcome: &'static str, error: Option<String>) -> Outcome {
    Outcome {
        date,
        outcome,
        command: error.is_some().then(|| format!("lake run --date {date}")),
        error,
    }
}

fn why(state: &DayState) -> String {
    if state.is_untouched() {
        return "nothing of it is there".into();
    }
    let open: Vec<String> = state
        .steps
        .iter()
        .filter(|step| step.state != State::Done)
        .map(|step| format!("{} is {}", step.step, format!("{:?}", step.state).to_lowercase()))
        .collect();
    if open.is_empty() {
        "it is done, and all were asked for".into()
    } else {
        open.join(", ")
    }
}

fn summary(outcomes: &[Outcome]) {
    let count = |wanted: &str| outcomes.iter().filter(|o| o.outcome == wanted).count();
    let parts: Vec<String> = ["done", "failed", "skipped", "would run"]
        .into_iter()
        .filter(|outcome| count(outcome) > 0)
        .map(|outcome| format!("{} {outcome}", count(outcome)))
        .collect();
    tracing::info!(
        "backfill  {}: {}",
        plural(outcomes.len() as u64, "day"),
        parts.join(", ")
    );
    for Outcome {
        date, error, command, ..
    } in outcomes
    {
        if let (Some(error), Some(command)) = (error, command) {
            let hint = failure::with_config(&format!("run `{command}`"));
            tracing::info!("  {date}  {error}\n              {hint}");
        }
    }
}

/// The latest day whose last load succeeded: what the target should show.
fn latest_loaded(config: &Config, lake: &Lake) -> anyhow::Result<Option<RunDate>> {
    if !config.has_target() {
        return Ok(None);
    }
    for date in states::known_days(config, lake)?.into_iter().rev() {
        let loaded = |step: &states::StepState| step.step == "load" && matches!(step.state, State::Done | State::Stale);
        // A day that can't be read is told of when its turn comes, if it does.
        if states::day(config, lake, date).is_ok_and(|day| day.steps.iter().any(loaded)) {
            return Ok(Some(date));
        }
    }
    Ok(None)
}
