//! Files that are on disk when a call returns, and errors that name them.
//!
//! No link is followed: whoever can put one into the lake would choose what is read, written and removed elsewhere.
//! The path of the lake's own folder has none any more, see [`resolve`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::{Error, Result};

/// Adds the action and the path to an I/O error.
pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io {
        action,
        path: path.into(),
        source,
    }
}

/// The absolute path that a folder has, or will have, with no link in it.
pub(crate) fn resolve(folder: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(folder).map_err(io("use", folder))?;
    match absolute.canonicalize() {
        Ok(path) => Ok(path),
        // It isn't there yet, which a link to it would not be mended by.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !absolute.is_symlink() => {
            match (absolute.parent(), absolute.file_name()) {
                (Some(parent), Some(name)) => Ok(resolve(parent)?.join(name)),
                _ => Ok(absolute),
            }
        }
        // Whatever it is, the first use of the folder says it.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(absolute),
        Err(error) => Err(io("use", &absolute)(error)),
    }
}

/// Refuses a path that has a link in it.
pub(crate) fn refuse_links(path: &Path) -> Result<()> {
    let mut below = PathBuf::new();
    for component in path.components() {
        below.push(component);
        match fs::symlink_metadata(&below) {
            Ok(found) if found.is_symlink() => return Err(Error::Link { path: below }),
            Ok(_) => {}
            Err(_) => return Ok(()), // the operation that follows says what is missing
        }
    }
    Ok(())
}

/// Refuses a folder that is a link, is below one, or has one in it.
pub(crate) fn refuse_links_in(dir: &Path) -> Result<()> {
    refuse_links(dir)?;
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("list", dir)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(io("list", dir))?;
        if entry.file_type().map_err(io("list", dir))?.is_symlink() {
            return Err(Error::Link { path: entry.path() });
        }
    }
    Ok(())
}

/// Opens a file or a folder with these options, not through a link.
pub(crate) fn open(path: &Path, options: &OpenOptions, action: &'static str) -> Result<File> {
    refuse_links(path)?;
    let mut options = options.clone();
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options.open(path).map_err(io(action, path))
}

/// Opens a file, or a folder, to be read.
pub(crate) fn open_to_read(path: &Path) -> Result<File> {
    open(path, OpenOptions::new().read(true), "read")
}

/// Makes a new file; one of the name is removed before, so that nothing else that has its bytes is changed.
pub(crate) fn create(path: &Path) -> Result<File> {
    refuse_links(path)?;
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(io("replace", path)(error));
    }
    open(path, OpenOptions::new().write(true).create_new(true), "create")
}

/// Creates a folder and those above it; each new one is synced into its parent.
pub(crate) fn create_dir_all(dir: &Path) -> Result<()> {
    refuse_links(dir)?;
    create_missing(dir)
}

fn create_missing(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_missing(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => sync_parent(dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(io("create the folder", dir)(error)),
    }
}

/// Syncs a file's content, or a folder's list of entries.
pub(crate) fn sync(path: &Path) -> Result<()> {
    open(path, OpenOptions::new().read(true), "sync")?
        .sync_all()
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
    refuse_links(path)?;
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    // Always the same name: what a killed process left is written over by the next.
    let temporary = path.with_extension("tmp");
    let mut file = create(&temporary)?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io("write", path))?;
    sync_parent(path)
}

/// Reads a file; `None` if there is none.
pub(crate) fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut file = match open_to_read(path) {
        Ok(file) => file,
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(io("read", path))?;
    Ok(Some(content))
}

/// Removes a file or a folder with its content; nothing there is fine. Of a link, the link itself goes.
pub(crate) fn remove_if_exists(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        refuse_links(parent)?;
    }
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The names in a folder, sorted; none if there is no such folder.
pub(crate) fn list(dir: &Path) -> Result<Vec<String>> {
    refuse_links(dir)?;
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
