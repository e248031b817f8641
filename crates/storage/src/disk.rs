//! Files that are on disk when a call returns, and errors that name them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::{Error, Result};

/// Adds the action and the path to an I/O error.
pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io {
        action,
        path: path.into(),
        source,
    }
}

/// Creates a folder and those above it; each new one is synced into its parent.
pub(crate) fn create_dir_all(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dir_all(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => sync_parent(dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(io("create the folder", dir)(error)),
    }
}

/// Syncs a file's content, or a folder's list of entries.
pub(crate) fn sync(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io("sync", path))
}

fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

/// Replaces a file by `content` in one step: after a crash it holds the old or the new content.
/// The caller sees to it that no other process writes the same file.
pub(crate) fn write_atomic(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    // Always the same name: what a killed process left is written over by the next.
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary).map_err(io("create", &temporary))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io("write", path))?;
    sync_parent(path)
}

/// Reads a file; `None` if there is none.
pub(crate) fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
    }
}

/// Removes a file or a folder with its content; nothing there is fine.
pub(crate) fn remove_if_exists(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The names in a folder, sorted; none if there is no such folder.
pub(crate) fn list(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("list", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        // A name that isn't UTF-8 is none of ours.
        if let Ok(name) = entry.map_err(io("list", dir))?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
