//! What a command did: its exit status and what it wrote.

use std::process::Output;

/// Words that belong into no message.
const NOISE: &[&str] = &["panicked", "backtrace", "Caused by", "stack trace", "   0:", "src/"];

/// A command that has ended.
pub(crate) struct Outcome {
    pub(crate) command: String,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(command: String, output: Output) -> Self {
        Self {
            command,
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.status, Some(0), "{self}");
        assert_eq!(self.errors(), 0, "{self}");
        self
    }

    /// It failed with this status, one message and no data; returns the message.
    #[track_caller]
    pub(crate) fn failed(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{self}");
        assert_eq!(self.stdout, "", "{self}");
        assert_eq!(self.errors(), 1, "{self}");
        for noise in NOISE {
            assert!(!self.stderr.contains(noise), "{noise:?} in {self}");
        }
        let (_, message) = self.stderr.split_once("error: ").unwrap();
        message.trim_end().to_owned()
    }

    fn errors(&self) -> usize {
        self.stderr.lines().filter(|line| line.starts_with("error: ")).count()
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            status,
            stdout,
            stderr,
        } = self;
        let stdout: String = stdout.chars().take(2000).collect();
        write!(
            f,
            "`{command}` ended with {status:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}
