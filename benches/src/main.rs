//! Measurements that the project's choices rest on, each as ratios within one run.

mod comparison;
mod compression;
mod encodings;
mod lineitem;
mod statistics;
mod tpch;

use clap::{Parser, Subcommand};

/// Measures, and prints Markdown tables. Without a command: `peers`.
#[derive(Parser)]
#[command(
    name = "lake-bench",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    peers: comparison::Args,
}

#[derive(Subcommand)]
enum Command {
    Peers(comparison::Args),
    Compression(compression::Args),
    Encodings(encodings::Args),
    Tpch(tpch::Args),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        None => comparison::run(&cli.peers),
        Some(Command::Peers(args)) => comparison::run(&args),
        Some(Command::Compression(args)) => compression::run(&args),
        Some(Command::Encodings(args)) => encodings::run(&args),
        Some(Command::Tpch(args)) => tpch::run(&args),
    }
}
