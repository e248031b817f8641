//! A file that takes its place once it is whole and on disk.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

const BUFFER_BYTES: usize = 1 << 20;

/// A file being written beside the one that it replaces; dropped before [`OutputFile::publish`], it
/// leaves that one as it was and nothing else.
pub struct OutputFile {
    file: BufWriter<File>,
    /// None for a device or a pipe, which is written as it is.
    temporary: Option<PathBuf>,
    path: PathBuf,
    published: bool,
}

impl OutputFile {
    /// Begins to write `path`, creating the folders above it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn create(path: &Path) -> Result<Self> {
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            let file = File::options().write(true).open(path).map_err(error("open", path))?;
            return Ok(Self {
                file: BufWriter::with_capacity(BUFFER_BYTES, file),
                temporary: None,
                path: path.to_owned(),
                published: false,
            });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Beside the file, where a rename is one step. With a dot, so that who collects the folder's files leaves it alone.
        let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let folder = folder_of(path);
        fs::create_dir_all(folder).map_err(error("create the folder", folder))?;
        remove_leftovers(folder, &name)?;
        let file = File::create(&temporary).map_err(error("create", &temporary))?;
        file.lock().map_err(error("lock", &temporary))?;
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            temporary: Some(temporary),
            path: path.to_owned(),
            published: false,
        })
    }

    /// Puts the file in its place, synced, and returns its size.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn publish(mut self) -> Result<u64> {
        self.file.flush().map_err(error("write", &self.path))?;
        let file = self.file.get_ref();
        let Some(temporary) = &self.temporary else {
            return Ok(0);
        };
        file.sync_all().map_err(error("sync", &self.path))?;
        let bytes = file.metadata().map_err(error("read", &self.path))?.len();
        fs::rename(temporary, &self.path).map_err(error("replace", &self.path))?;
        self.published = true;
        let folder = folder_of(&self.path);
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(error("sync", folder))?;
        Ok(bytes)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.as_ref().filter(|_| !self.published) {
            let _ = fs::remove_file(temporary); // an error is being reported already
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Removes the temporary files of writers of the same file that were killed: a living one holds a
/// lock on its own.
fn remove_leftovers(folder: &Path, name: &str) -> Result<()> {
    let prefix = format!(".{name}.");
    for entry in fs::read_dir(folder).map_err(error("list", folder))? {
        let path = entry.map_err(error("list", folder))?.path();
        let is_ours = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(&prefix)?.strip_suffix(".part"))
            .is_some_and(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()));
        if is_ours && File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(&path); // another may be faster
        }
    }
    Ok(())
}

fn error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}
