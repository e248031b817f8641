//! Holds a throwaway server, and lets nothing of it outlive this process.
//!
//! A small shell, the keeper, makes the cluster and runs the server. Its standard input is a pipe
//! that this process holds open: when the pipe closes, the keeper stops the server and removes the
//! folder. It closes when a [`Keeper`] is dropped, and also when the process ends, be it
//! by a panic, by SIGKILL, or because a `static` is never dropped:
//!
//! ```text
//!  test process ──pipe──► sh (the keeper) ──► { initdb; postgres; echo $? > exit } &
//!                          │ end of file
//!                          └─► SIGQUIT to postgres until `exit` is there, then rm -rf
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{PostgresServerBuilder, installation};
use crate::Error;

/// `initdb` and the first start together; a second on an idle machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Arguments: folder, bin folder, encoding, locale, then the server's own.
///
/// The background group's standard input is /dev/null, as POSIX has it for a shell without job
/// control, so that the server does not hold the pipe. The signal is repeated because the pipe may
/// close before there is a server to stop.
const KEEPER: &str = r#"
folder=$1 bin=$2 encoding=$3 locale=$4
shift 4
{
    "$bin/initdb" --pgdata="$folder/data" --username=postgres --auth=trust \
        --encoding="$encoding" --locale="$locale" --no-sync >"$folder/log" 2>&1 &&
        "$bin/postgres" -D "$folder/data" "$@" >>"$folder/log" 2>&1
    echo $? >"$folder/exit"
} &
while read -r _; do :; done
while [ ! -e "$folder/exit" ]; do
    pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)
    [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null
    sleep 0.02
done
wait
cd /
rm -rf "$folder"
"#;

/// Settings that trade the durability nobody needs here for speed.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("lc_messages", "C"),
];

/// The shell that holds the server, and the pipe that holds the shell.
#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
    pipe: Option<ChildStdin>,
    folder: PathBuf,
}

impl Keeper {
    /// Starts the keeper, which makes a cluster in a folder of its own and starts its server.
    pub(super) fn spawn(builder: &PostgresServerBuilder, bin: &Path, port: u16) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("lake-postgres-")
            .tempdir()
            .map_err(|source| Error::ServerFolder {
                folder: std::env::temp_dir(),
                source,
            })?;
        let folder_error = |source| Error::ServerFolder {
            folder: folder.path().to_owned(),
            source,
        };

        let mut command = Command::new("sh");
        // A folder belongs to the user that makes it.
        if fs::metadata(folder.path()).map_err(folder_error)?.uid() == 0 {
            let user = installation::unprivileged_user().ok_or(Error::ServerUser)?;
            chown(folder.path(), Some(user.uid), Some(user.gid)).map_err(folder_error)?;
            command.uid(user.uid).gid(user.gid);
        }
        command
            .args(["-c", KEEPER, "lake-postgres-keeper"])
            .arg(folder.path())
            .arg(bin)
            .args([&builder.encoding, builder.locale_or_default()])
            .args(["-c", &format!("port={port}")]);
        let settings = SETTINGS.iter().copied();
        let more = builder
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in settings.chain(more) {
            command.args(["-c", &format!("{name}={value}")]);
        }
        // A Ctrl-C at the terminal goes to its whole process group: the keeper must outlive it.
        command
            .process_group(0)
            .current_dir(folder.path())
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
            folder: folder.keep(),
        })
    }

    /// Waits until the server takes connections, or has ended.
    pub(super) fn wait_until_ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if self.is_ready() {
                return Ok(());
            }
            let reason = if self.folder.join("exit").exists() {
                "it ended"
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

    /// The eighth line of `postmaster.pid` is the server's state.
    fn is_ready(&self) -> bool {
        fs::read_to_string(self.folder.join("data/postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim_end() == "ready"))
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
