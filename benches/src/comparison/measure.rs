//! Programs as child processes: their time, their processor time, their peak memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use wait4::Wait4 as _;

use super::server::Server;

/// How much of a failed program's stderr is reported.
const STDERR_BYTES_MAX: usize = 600;

/// One run of a program.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// From before its start until it has ended, in seconds.
    pub wall_s: f64,
    /// Its processor time, in seconds.
    pub cpu_s: f64,
    /// The server's processor time meanwhile, in seconds.
    pub server_cpu_s: Option<f64>,
    /// Its largest resident memory.
    pub peak_rss_bytes: u64,
}

/// A program, or several that run at once and are measured as one.
pub struct Program<'a> {
    /// What is run. The environment is cleared but for what is set here and a few names that every program needs.
    pub commands: Vec<Command>,
    /// Where stdout goes; nowhere unless told.
    pub stdout: Option<&'a Path>,
    /// A program that takes longer is killed, and has failed.
    pub limit: Duration,
}

impl Program<'_> {
    /// Runs it after everything that was written before is on disk, so that it pays for no other's writes.
    ///
    /// # Errors
    /// The end of its stderr, if its exit status is not 0 or it took too long.
    pub fn measure(self, server: &Server, scratch: &Path) -> anyhow::Result<Measured> {
        rustix::fs::sync();
        let before = server.cpu();
        let measured = self.run(scratch);
        if measured.is_err() {
            // Of a program that was killed, the server may go on with the statement.
            server.end_sessions()?;
        }
        let after = server.cpu();
        let server_cpu = after.zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(Measured {
            server_cpu_s: server_cpu.map(|cpu| cpu.as_secs_f64()),
            ..measured?
        })
    }

    fn run(self, scratch: &Path) -> anyhow::Result<Measured> {
        let stderr_path = scratch.join("stderr");
        let stderr = File::create(&stderr_path)?;
        let mut children = Vec::new();
        let started = Instant::now();
        for mut command in self.commands {
            let environment = environment(&command);
            command.env_clear().envs(environment).env("TMPDIR", scratch);
            if command.get_current_dir().is_none() {
                command.current_dir(scratch);
            }
            command.stdin(Stdio::null()).stderr(stderr.try_clone()?);
            command.stdout(match self.stdout {
                Some(path) => File::create(path)?.into(),
                None => Stdio::null(),
            });
            let name = command.get_program().to_string_lossy().into_owned();
            children.push(command.spawn().with_context(|| format!("cannot start {name}"))?);
        }
        let pids: Vec<Pid> = children.iter().map(Pid::from_child).collect();
        let (alive, ended) = mpsc::channel::<()>();
        let limit = self.limit;
        let watchdog = thread::spawn(move || {
            let late = ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if late {
                for pid in pids {
                    let _ = kill_process(pid, Signal::KILL); // one of several may have ended
                }
            }
            late
        });
        let mut measured = Measured {
            wall_s: 0.0,
            cpu_s: 0.0,
            server_cpu_s: None,
            peak_rss_bytes: 0,
        };
        let mut failed = None;
        for child in children {
            let used = child.wait4()?;
            measured.cpu_s += (used.rusage.utime + used.rusage.stime).as_secs_f64();
            measured.peak_rss_bytes += used.rusage.maxrss;
            if !used.status.success() {
                failed = Some(used.status);
            }
        }
        measured.wall_s = started.elapsed().as_secs_f64();
        drop(alive);
        let late = watchdog.join().unwrap_or(false);
        if let Some(status) = failed {
            anyhow::bail!(failure(status, late.then_some(limit), &fs::read(&stderr_path)?));
        }
        Ok(measured)
    }
}

/// What the command sets itself, and what a program can't do without. Settings of whoever runs the
/// measurements (`LAKE_JOBS`, `PGOPTIONS`, `OMP_NUM_THREADS`) are not to decide them.
fn environment(command: &Command) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let inherited = ["PATH", "HOME", "LANG"];
    let inherited = inherited
        .iter()
        .filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
    let own = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    inherited.chain(own).collect()
}

fn failure(status: ExitStatus, late_after: Option<Duration>, stderr: &[u8]) -> String {
    let why = match late_after {
        Some(limit) => format!("not done after {} s", limit.as_secs()),
        None => status.to_string(),
    };
    match tail(stderr) {
        stderr if stderr.is_empty() => why,
        stderr => format!("{why}: {stderr}"),
    }
}

/// The end of what a program printed, on one line.
pub fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let from = line.len().saturating_sub(STDERR_BYTES_MAX);
    let from = (from..line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    line[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, limit: Duration) -> Result<Measured, String> {
        let scratch = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        let program = Program {
            commands: vec![shell],
            stdout: None,
            limit,
        };
        program.run(scratch.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_is_measured_and_its_failure_told() {
        const MINUTE: Duration = Duration::from_secs(60);
        let measured = run("exit 0", MINUTE).unwrap();
        assert!(measured.peak_rss_bytes > 0 && measured.wall_s > 0.0);
        let failed = run("echo no such table >&2; exit 3", MINUTE).unwrap_err();
        assert_eq!(failed, "exit status: 3: no such table");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        assert_eq!(run("exec sleep 600", Duration::ZERO).unwrap_err(), "not done after 0 s");
    }

    #[test]
    fn the_tail_is_one_line_cut_between_characters() {
        assert_eq!(tail(b"a\n  b\n"), "a b");
        let long = "ö".repeat(STDERR_BYTES_MAX) + "!";
        assert!(tail(long.as_bytes()).ends_with("ö!"));
        assert!(tail(long.as_bytes()).len() <= STDERR_BYTES_MAX);
        assert_eq!(tail(b""), "");
    }
}
