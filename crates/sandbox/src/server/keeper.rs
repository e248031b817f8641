//! Holds a throwaway server, and lets nothing of it outlive this process.
//!
//! A small shell, the keeper, runs the server. Its standard input is a pipe that this process holds
//! open: when the pipe closes, the keeper stops the server and removes the folder. It closes when a
//! [`Keeper`] is dropped, and also when the process ends, be it by a panic, by SIGKILL, or because a
//! `static` is never dropped:
//!
//! ```text
//!  test process ──pipe──► sh (the keeper) ──► { the server; echo $? > exit } &
//!                          │ end of file
//!                          └─► a signal to the server until `exit` is there, then rm -rf
//! ```

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::installation::{self, User};
use crate::Error;

/// `initdb` and the first start together; a second on an idle machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The folder of a server, and the user that it runs as if that is another.
pub(super) struct Folder {
    dir: TempDir,
    user: Option<User>,
}

impl Folder {
    /// Makes a folder that is the server's own.
    pub(super) fn make() -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix("lake-postgres-")
            .tempdir()
            .map_err(folder_error(&std::env::temp_dir()))?;
        let error = || folder_error(dir.path());
        // A folder belongs to the user that makes it.
        let user = match fs::metadata(dir.path()).map_err(error())?.uid() {
            0 => Some(installation::unprivileged_user().ok_or(Error::ServerUser)?),
            _ => None,
        };
        if let Some(user) = &user {
            chown(dir.path(), Some(user.uid), Some(user.gid)).map_err(error())?;
        }
        Ok(Self { dir, user })
    }

    /// Writes a file that the server reads.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        fs::write(self.dir.path().join(name), text).map_err(folder_error(self.dir.path()))
    }
}

fn folder_error(folder: &Path) -> impl FnOnce(io::Error) -> Error {
    let folder = folder.to_owned();
    move |source| Error::ServerFolder { folder, source }
}

/// The shell that holds the server, and the pipe that holds the shell.
#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
    pipe: Option<ChildStdin>,
    folder: PathBuf,
}

impl Keeper {
    /// Starts the keeper, whose script gets the folder and these arguments. It runs a server that writes to `log`.
    pub(super) fn spawn(
        folder: Folder,
        script: &str,
        arguments: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        if let Some(user) = &folder.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
            .args(["-c", script, "lake-postgres-keeper"])
            .arg(folder.dir.path())
            .args(arguments);
        // A Ctrl-C at the terminal goes to its whole process group: the keeper must outlive it.
        command
            .process_group(0)
            .current_dir(folder.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for name in ["PGDATA", "PGOPTIONS", "PGPORT"] {
            command.env_remove(name);
        }

        let mut shell = command.spawn().map_err(|source| Error::ServerSpawn { source })?;
        Ok(Self {
            pipe: shell.stdin.take(),
            shell,
            folder: folder.dir.keep(),
        })
    }

    /// Waits until the server takes connections, or has ended.
    pub(super) fn wait_until_ready(&self, is_ready: impl Fn(&Path) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let reason = if self.folder.join("exit").exists() {
                "it ended"
            } else if is_ready(&self.folder) {
                return Ok(());
            } else if Instant::now() > deadline {
                "it was not ready in time"
            } else {
                thread::sleep(POLL_INTERVAL);
                continue;
            };
            return Err(Error::ServerStart {
                reason,
                log: self.log_end(),
            });
        }
    }

    fn log_end(&self) -> String {
        const LINES_MAX: usize = 20;
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Err(error) = self.shell.wait() {
            tracing::warn!(%error, "can't wait for a throwaway PostgreSQL to stop");
        }
        // The keeper empties the folder, but can't remove it from a parent that is root's alone.
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %self.folder.display(), "can't remove the folder");
            }
            _ => {}
        }
    }
}
