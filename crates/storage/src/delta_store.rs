//! The store that Delta commits and checkpoints are written through: a file is whole and on disk
//! before it has its name.
//!
//! `LocalFileSystem` names a file before it is synced, so that a power loss can leave a log entry that
//! is empty or torn, and writes it beside the others, where a killed process leaves it.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::{Error, disk};

/// The local disk, with puts of our own; everything else is `LocalFileSystem`'s.
#[derive(Debug)]
pub(crate) struct DeltaStore {
    local: Arc<LocalFileSystem>,
    /// Where files are until they are whole: cleared by who next holds the day's lock.
    staging: PathBuf,
}

impl DeltaStore {
    pub(crate) fn new(staging: &Path) -> Self {
        Self {
            local: Arc::new(LocalFileSystem::new()),
            staging: staging.to_owned(),
        }
    }
}

impl fmt::Display for DeltaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.local.fmt(f)
    }
}

fn put_whole(path: &Path, staged: &Path, payload: &PutPayload, is_new: bool) -> crate::Result<()> {
    let (folder, staging) = (path.parent().unwrap_or(path), staged.parent().unwrap_or(staged));
    disk::create_dir_all(staging)?;
    disk::create_dir_all(folder)?;
    let mut file = disk::create(staged)?;
    payload
        .iter()
        .try_for_each(|bytes| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(disk::io("write", staged))?;
    // Unlike a rename, a link takes nobody's place.
    let named = if is_new {
        fs::hard_link(staged, path)
    } else {
        fs::rename(staged, path)
    };
    named.map_err(disk::io("write", path))?;
    disk::sync(folder)
}

/// Puts a file under its name.
async fn put(path: PathBuf, staging: &Path, payload: PutPayload, is_new: bool) -> Result<PutResult> {
    let staged = staging.join(uuid::Uuid::new_v4().to_string());
    let put = move || {
        let put = put_whole(&path, &staged, &payload, is_new);
        let _ = fs::remove_file(&staged); // there unless it was moved
        match put {
            Err(Error::Io { source, .. }) if is_new && source.kind() == ErrorKind::AlreadyExists => {
                Err(object_store::Error::AlreadyExists {
                    path: path.display().to_string(),
                    source: source.into(),
                })
            }
            Err(error) => Err(object_store::Error::Generic {
                store: "LocalFileSystem",
                source: error.into(),
            }),
            Ok(()) => Ok(PutResult {
                e_tag: None,
                version: None,
            }),
        }
    };
    tokio::task::spawn_blocking(put).await?
}

/// A file that comes in parts, a checkpoint of more than 10 MB: held until it is whole, then put as any other.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    staging: PathBuf,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        Box::pin(async { Ok(()) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let bytes = self.parts.drain(..).flatten();
        put(self.path.clone(), &self.staging, bytes.collect(), false).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for DeltaStore {
    async fn put_opts(&self, location: &Location, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let path = self.local.path_to_filesystem(location)?;
        put(path, &self.staging, payload, matches!(opts.mode, PutMode::Create)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload {
            path: self.local.path_to_filesystem(location)?,
            staging: self.staging.clone(),
            parts: Vec::new(),
        }))
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        self.local.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Location>>) -> BoxStream<'static, Result<Location>> {
        self.local.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Location>, offset: &Location) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Location, to: &Location, options: CopyOptions) -> Result<()> {
        self.local.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_comes_in_parts_has_its_name_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("staging");
        let store = DeltaStore::new(&staging);
        let path = folder.path().join("log/checkpoint");
        let location = Location::from_absolute_path(&path).unwrap();
        for text in ["first", "second"] {
            let mut upload = store
                .put_multipart_opts(&location, PutMultipartOptions::default())
                .await
                .unwrap();
            let before = fs::read_to_string(&path).ok();
            let (start, end) = text.split_at(3);
            upload.put_part(PutPayload::from(start.to_owned())).await.unwrap();
            upload.put_part(PutPayload::from(end.to_owned())).await.unwrap();
            assert_eq!(fs::read_to_string(&path).ok(), before);
            upload.complete().await.unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
    }
}
