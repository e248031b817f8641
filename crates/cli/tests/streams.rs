//! What becomes of a command whose stdout or stderr takes nothing.

use std::fs;
use std::process::Stdio;

use crate::workshop::{DAY, Workshop};

/// A command whose stderr can't be written.
fn status_with_stderr(workshop: &Workshop, line: &str, stderr: impl Into<Stdio>) -> Option<i32> {
    let mut command = workshop.command(line);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    command.status().unwrap().code()
}

#[test]
fn messages_that_nobody_can_read_stop_no_run() {
    let workshop = Workshop::new();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for format in ["text", "json"] {
        let run = format!("run --date {DAY} --log-format {format}");
        assert_eq!(status_with_stderr(&workshop, &run, full()), Some(0));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(status_with_stderr(&workshop, &run, writer), Some(0));
    }
    assert_eq!(status_with_stderr(&workshop, "extract --nonsense", full()), Some(2));
    assert_eq!(status_with_stderr(&workshop, "load --date 2001-01-01", full()), Some(3));
}

#[test]
fn what_cannot_be_written_to_stdout_is_an_error_and_a_reader_that_has_gone_is_none() {
    let workshop = Workshop::with_day();
    let commands = [
        "--help",
        "--version",
        "completions bash",
        "status",
        "status --json",
        "check",
        "extract --json --quiet",
        "query --date 2026-01-31 --file one.sql",
    ];
    workshop.write("one.sql", "select 1");
    for line in commands {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = workshop.command(line).stdout(full).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{line}: {error}");
        assert!(error.contains("cannot write"), "{line}: {error}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = workshop.command(line).stdout(writer).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""), "{line}");
    }
    let message = workshop.lake("query --file one.sql --output /dev/full").failed(1);
    assert!(
        message.starts_with("cannot write /dev/full: No space left"),
        "{message}"
    );
}
