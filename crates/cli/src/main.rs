//! The `lake` command line: arguments, config, messages; the work is in the other crates.

mod args;
mod commands;
mod config;
mod failure;
mod pipeline;
mod process_memory;
mod states;
mod terminal;
mod ui;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use config::Dotenv;

fn main() -> ExitCode {
    // As much stack as the runtime's threads have, which the system need not give to the first one.
    let main = std::thread::Builder::new()
        .stack_size(lake_query::STACK_BYTES)
        .spawn(run);
    match main.map(std::thread::JoinHandle::join) {
        Ok(Ok(status)) => status,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            terminal::write(format!("error: cannot start a thread: {error}\n").as_bytes());
            ExitCode::from(failure::Status::Failed as u8)
        }
    }
}

fn run() -> ExitCode {
    // Before the arguments are read, since every flag has its variable, and before there are threads that read them.
    let dotenv = Dotenv::load(Path::new(".env"));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return no_command(&answer),
    };
    ui::init(&cli.global);
    failure::set_config(&cli.global.config);
    let result = match dotenv {
        Ok(dotenv) => execute(cli, dotenv),
        Err(error) => Err(error.into()),
    };
    if let Some(bytes) = process_memory::peak() {
        tracing::debug!("peak memory: {}", ui::bytes_text(bytes));
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", failure::chain(&error));
            ExitCode::from(failure::status(&error) as u8)
        }
    }
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn no_command(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        Err(error) if !answer.use_stderr() && error.kind() != std::io::ErrorKind::BrokenPipe => {
            terminal::write(format!("error: {}: {error}\n", failure::StdoutError::TEXT).as_bytes());
            ExitCode::from(failure::Status::Failed as u8)
        }
        _ => ExitCode::from(answer.exit_code() as u8),
    }
}

fn execute(cli: Cli, dotenv: Option<Dotenv>) -> anyhow::Result<()> {
    // What needs neither the config nor a runtime.
    let command = match cli.command {
        Command::Completions(args) => return commands::completions::run(&args),
        Command::Generate(args) => return commands::generate::run(&args),
        command => command,
    };
    if let Some(folder) = cli.global.config.parent().filter(|f| !f.as_os_str().is_empty()) {
        let beside = Dotenv::load(&folder.join(".env"))?;
        beside.iter().for_each(Dotenv::warn_if_readable);
    }
    dotenv.iter().for_each(Dotenv::warn_if_readable);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(lake_query::STACK_BYTES)
        .build()?;
    let global = cli.global;
    // A task of its own: the command's may stay with a file, or a statement, for as long as that takes.
    runtime.spawn(async { std::process::exit(interrupted().await) });
    let result = runtime.block_on(async {
        match command {
            Command::Check(args) => commands::check::run(&global, &args).await,
            Command::Extract(args) => commands::extract::run(&global, &args).await,
            Command::Transform(args) => commands::transform::run(&global, &args).await,
            Command::Load(args) => commands::load::run(&global, &args).await,
            Command::Export(args) => commands::export::run(&global, &args).await,
            Command::Run(args) => commands::run::run(&global, &args).await,
            Command::Backfill(args) => commands::backfill::run(&global, &args).await,
            Command::Query(args) => commands::query::run(&global, &args).await,
            Command::Status(args) => commands::status::run(&global, &args).await,
            Command::Verify(args) => commands::verify::run(&global, &args).await,
            Command::Adopt(args) => commands::adopt::run(&global, &args).await,
            Command::Demo(args) => commands::demo::run(&global, &args).await,
            Command::Completions(_) | Command::Generate(_) => Ok(()), // done above
        }
    });
    // A thread that is still reading a file or a terminal is not waited for.
    runtime.shutdown_background();
    result
}

/// Ends with the exit status of the signal that asks the process to stop. Stopping at any moment is
/// safe: nothing is visible before it is whole.
async fn interrupted() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => if !commands::query::shell_is_open() { return 130 },
                _ = terminate.recv() => return 143,
            }
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
            130
        }
    }
}
