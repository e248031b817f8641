//! Locks that die with their holder.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Local};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::{Error, Result};

/// Who holds a lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it runs, e.g. `lake extract`.
    pub command: String,
    /// Since when.
    pub since: DateTime<Local>,
}

impl Holder {
    fn this_process(command: &str) -> Self {
        Self {
            pid: std::process::id(),
            command: command.into(),
            since: Local::now(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.format("%Y-%m-%d %H:%M:%S");
        write!(f, "process {} ({}, since {since})", self.pid, self.command)
    }
}

/// A lock file held by this process until dropped.
///
/// The operating system lets go of the lock when its holder dies, however it dies, so there is
/// nothing to take over and no timeout to guess.
#[derive(Debug)]
pub(crate) struct FileLock {
    path: PathBuf,
    /// The file stays, as that of a killed holder does.
    stays: AtomicBool,
    _file: File,
}

/// What a holder says that only clears up after others, and is soon done.
pub(crate) const CLEARING: &str = "clearing up after a killed run";

/// What came of asking for a lock.
pub(crate) enum Acquired {
    Ours(FileLock),
    HeldBy(Holder),
}

impl FileLock {
    pub(crate) fn acquire(path: &Path, command: &str) -> Result<Acquired> {
        if let Some(parent) = path.parent() {
            disk::create_dir_all(parent)?;
        }
        loop {
            let options = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .clone();
            let mut file = disk::open(path, &options, "open the lock")?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Acquired::HeldBy(read_holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(disk::io("lock", path)(error)),
            }
            // The holder before us removes the file as it ends: then this lock is on a file that
            // nobody else will ever open, and the next try makes a new one.
            let locked = file.metadata().map_err(disk::io("lock", path))?;
            match fs::symlink_metadata(path) {
                Ok(present) if present.ino() == locked.ino() && present.dev() == locked.dev() => {}
                _ => continue,
            }
            if locked.nlink() > 1 {
                // Another name of the file is none of the lake's, and what is in it is not ours to replace.
                fs::remove_file(path).map_err(disk::io("replace the lock", path))?;
                continue;
            }
            let text = serde_json::to_vec(&Holder::this_process(command)).map_err(|source| Error::Json {
                path: path.into(),
                source,
            })?;
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(&text))
                .map_err(disk::io("write the lock", path))?;
            return Ok(Acquired::Ours(Self {
                path: path.into(),
                stays: AtomicBool::new(false),
                _file: file,
            }));
        }
    }

    /// Says whether the file stays behind, because there is something to look after.
    pub(crate) fn keep_file(&self, stays: bool) {
        self.stays.store(stays, Ordering::Relaxed);
    }

    pub(crate) fn keeps_file(&self) -> bool {
        self.stays.load(Ordering::Relaxed)
    }

    /// Tells whether a living process holds the lock.
    pub(crate) fn is_held(path: &Path) -> bool {
        disk::open_to_read(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// Keeps the files of a source's manifests from being deleted while it is held.
///
/// Take it before reading the manifest. A day replaced meanwhile is visible at once; the files that
/// it replaces stay until their readers are done.
#[derive(Debug)]
pub struct ReadGuard {
    _file: Option<File>,
}

/// How long a publisher waits for readers of what it replaced.
const READERS_PATIENCE: Duration = Duration::from_secs(5);
const READERS_PAUSE: Duration = Duration::from_millis(20);

impl ReadGuard {
    /// A lake that can't be written can't be replaced under the reader either: then there is no lock.
    ///
    /// # Errors
    /// [`Error::Link`].
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let locked = open_readers(path).and_then(|file| {
            file.lock_shared().map_err(disk::io("lock", path))?;
            Ok(file)
        });
        match locked {
            Err(error @ Error::Link { .. }) => Err(error),
            locked => Ok(Self { _file: locked.ok() }),
        }
    }
}

/// Waits until nobody reads any more, and keeps new readers waiting; `None` if some go on reading.
pub(crate) async fn without_readers(path: &Path) -> Result<Option<File>> {
    let file = open_readers(path)?;
    let patience = Instant::now() + READERS_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < patience => tokio::time::sleep(READERS_PAUSE).await,
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(disk::io("lock", path)(error)),
        }
    }
}

fn open_readers(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        disk::create_dir_all(parent)?;
    }
    let options = OpenOptions::new().read(true).append(true).create(true).clone();
    disk::open(path, &options, "open the lock")
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if !self.keeps_file() {
            let _ = fs::remove_file(&self.path); // while still held, see `acquire`
        }
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    // The holder writes its name just after it takes the lock: an empty file is one that starts.
    match file.read_to_string(&mut text).map(|_| serde_json::from_str(&text)) {
        Ok(Ok(holder)) => holder,
        _ => Holder {
            pid: 0,
            command: "just starting".into(),
            since: Local::now(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("day.lock");
        let Acquired::Ours(first) = FileLock::acquire(&path, "lake extract").unwrap() else {
            panic!("the lock was free");
        };
        assert!(FileLock::is_held(&path));
        let Acquired::HeldBy(holder) = FileLock::acquire(&path, "lake run").unwrap() else {
            panic!("the lock was taken");
        };
        assert_eq!(
            (holder.pid, holder.command.as_str()),
            (std::process::id(), "lake extract")
        );
        drop(first);
        assert!(!FileLock::is_held(&path));
        assert!(matches!(
            FileLock::acquire(&path, "lake run").unwrap(),
            Acquired::Ours(_)
        ));
    }

    #[test]
    fn a_file_left_by_a_dead_holder_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("day.lock");
        fs::write(
            &path,
            r#"{"pid":1,"command":"lake run","since":"2026-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        assert!(matches!(
            FileLock::acquire(&path, "lake run").unwrap(),
            Acquired::Ours(_)
        ));
    }
}
