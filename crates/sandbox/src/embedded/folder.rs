//! The folder of an embedded server, and the end of those that killed processes have left.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const PREFIX: &str = "lake-embedded-";

/// Locked by the process that the folder belongs to, for as long as that lives.
const LOCK: &str = "lock";

/// A temporary folder that goes with a drop, or with the next start after its process was killed.
#[derive(Debug)]
pub(super) struct Folder {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes a folder in the system's temporary one, and removes those without a process there.
    pub(super) fn create() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent)?;
        Self::create_in(&parent)
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // It gets its name when it is locked: no one ever sees it free before its time.
        let unnamed = folder.path().join("unlocked");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        fs::rename(&unnamed, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where the server keeps its data.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// Removes the folders in `parent` whose lock is free. What can't be looked at is someone else's.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let Ok(entry) = entry else { continue };
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let lock = entry.path().join(LOCK);
        // A named pipe would hold the open.
        if !fs::symlink_metadata(&lock).is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let Ok(lock) = File::open(lock) else { continue };
        if lock.try_lock().is_ok()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, folder = %entry.path().display(), "can't remove a left folder");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_without_its_process_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let held = Folder::create_in(parent.path()).unwrap();
        let left = parent.path().join("lake-embedded-left");
        let new = parent.path().join("lake-embedded-new");
        let other = parent.path().join("other");
        for folder in [&left, &new, &other] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(other.join(LOCK), "").unwrap();
        fs::create_dir(left.join("data")).unwrap();

        sweep(parent.path()).unwrap();
        assert!(held.folder.path().exists() && new.exists() && other.exists());
        assert!(!left.exists());
    }
}
