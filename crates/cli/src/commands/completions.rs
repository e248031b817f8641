//! `lake completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;

/// Print a shell's completions, e.g. `lake completions bash > ~/.local/share/bash-completion/completions/lake`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    // Not into stdout directly: clap_complete panics where the reader has gone.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lake", &mut script);
    Ok(super::print(String::from_utf8(script)?)?)
}
