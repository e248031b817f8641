//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lake_query::Settings;
use lake_storage::{Lake, Memory, MemorySize, RunDate};

use crate::commands;
use crate::config::Config;
use crate::process_memory;

/// Copies Postgres databases and CSV files into a lakehouse every day, queries it, and delivers the
/// results.
#[derive(Parser)]
#[command(name = "lake", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Clone)]
pub struct Global {
    /// The config file.
    #[arg(
        short,
        long,
        global = true,
        env = "LAKE_CONFIG",
        default_value = "lake.yaml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// Connections to a database, and tables read or written at a time [default: the machine's cores, at most 8].
    #[arg(short, long, global = true, env = "LAKE_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// How much memory a command may take, e.g. 256MB or 1GiB, whatever `memory` in the config says
    /// [default: 400MB for extracts and loads, and for queries 80 % of the machine's].
    #[arg(long, global = true, env = "LAKE_MEMORY", value_name = "SIZE")]
    pub memory: Option<MemorySize>,
    /// How progress is shown: bars on a terminal, else lines.
    #[arg(
        long,
        global = true,
        env = "LAKE_PROGRESS",
        value_enum,
        default_value = "auto",
        value_name = "HOW"
    )]
    pub progress: ProgressMode,
    /// How messages are written to stderr.
    #[arg(
        long,
        global = true,
        env = "LAKE_LOG_FORMAT",
        value_enum,
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
    /// Only warnings and errors.
    #[arg(short, long, global = true, env = "LAKE_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    pub quiet: bool,
    /// More detail; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    pub fn jobs(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
        self.jobs.map_or_else(cores, usize::from)
    }

    /// The config's lake, with the memory that it says, or the flag.
    pub fn open_lake(&self, config: &Config) -> lake_storage::Result<Lake> {
        let size = self.memory.or(config.memory).unwrap_or(MemorySize::DEFAULT);
        Ok(config.open_lake()?.with_memory(Memory::new(size, self.jobs())))
    }

    /// A query's share of the machine: all of its processors, or `jobs` threads; the memory that the
    /// config says, or the flag, or most of what there is.
    pub fn query_settings(&self, config: &Config) -> Settings {
        let all = Settings::default();
        let settings = Settings {
            target_partitions: self.jobs.map_or(all.target_partitions, usize::from),
            ..all
        };
        match self.memory.or(config.memory) {
            Some(size) => settings.within(size),
            None => Settings {
                memory_bytes_max: process_memory::of_machine().map(|bytes| bytes / 5 * 4),
                ..settings
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    Auto,
    Bars,
    Log,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// The day of a command.
#[derive(Args, Clone, Copy)]
pub struct Day {
    /// The day: YYYY-MM-DD, today or yesterday.
    #[arg(short, long, env = "LAKE_DATE", default_value = "today", value_name = "DATE")]
    pub date: RunDate,
}

/// What a load may do to the target.
#[derive(Args, Clone, Copy)]
pub struct TakeOver {
    /// Replace also the rows of the target's tables that no load has filled before.
    #[arg(long, env = "LAKE_TAKE_OVER", value_parser = clap::builder::FalseyValueParser::new())]
    pub take_over: bool,
}

/// How a report is printed.
#[derive(Args, Clone, Copy)]
pub struct Json {
    /// Print the report to stdout as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Command {
    Check(commands::check::Args),
    Extract(commands::extract::Args),
    Transform(commands::transform::Args),
    Load(commands::load::Args),
    Export(commands::export::Args),
    Run(commands::run::Args),
    Backfill(commands::backfill::Args),
    Query(commands::query::Args),
    Status(commands::status::Args),
    Verify(commands::verify::Args),
    Adopt(commands::adopt::Args),
    Demo(commands::demo::Args),
    Generate(commands::generate::Args),
    Completions(commands::completions::Args),
}
