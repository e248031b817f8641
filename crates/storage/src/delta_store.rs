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
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
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

#[async_trait]
impl ObjectStore for DeltaStore {
    async fn put_opts(&self, location: &Location, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let path = self.local.path_to_filesystem(location)?;
        let staged = self.staging.join(uuid::Uuid::new_v4().to_string());
        let is_new = matches!(opts.mode, PutMode::Create);
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

    async fn put_multipart_opts(
        &self,
        location: &Location,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // A checkpoint of more than 10 MB: it is an extract of the log, and one that is torn is told and set aside.
        self.local.put_multipart_opts(location, opts).await
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
