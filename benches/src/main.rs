//! Measurements that the project's choices rest on, each as ratios within one run.

mod compression;
mod lineitem;

use clap::{Parser, Subcommand};

/// Measures, and prints a Markdown table.
#[derive(Parser)]
#[command(name = "lake-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Compression(compression::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compression(args) => compression::run(&args),
    }
}
