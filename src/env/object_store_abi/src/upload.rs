//! A multipart upload whose parts go up while the next fills.

use crate::failure::{self, Failure};
use crate::store::{Result, Store};
use bytes::Bytes;
use object_store::{MultipartUpload, PutPayload};
use std::time::Duration;
use tokio::task::JoinSet;

const PARTS_AT_ONCE: usize = 4;
const ABANDON_WITHIN: Duration = Duration::from_secs(3);

pub struct Upload<'a> {
    store: &'a Store,
    path: String,
    parts: JoinSet<object_store::Result<()>>,
    upload: Option<Box<dyn MultipartUpload>>,
}

impl<'a> Upload<'a> {
    pub fn new(store: &'a Store, path: &str) -> Self {
        Upload { store, path: path.to_string(), parts: JoinSet::new(), upload: None }
    }

    fn failed(&self, error: &object_store::Error) -> Failure {
        let mut failed = self.store.failed("write", &self.path, error);
        failed.status = failure::RETRY; // also where the store has forgotten the upload: it is not visible
        if failed.message.ends_with("does not exist") {
            failed.message = format!("cannot write {}{}: the store has forgotten its multipart upload", self.store.place.root, self.path);
        }
        failed
    }

    async fn wait_for_one(&mut self) -> Result<()> {
        match self.parts.join_next().await {
            Some(Ok(part)) => part.map_err(|e| self.failed(&e)),
            Some(Err(e)) => Err(Failure { status: failure::RETRY, message: format!("cannot write {}: {e}", self.path) }),
            None => Ok(()),
        }
    }

    pub async fn part(&mut self, bytes: Bytes) -> Result<()> {
        if self.upload.is_none() {
            let key = self.store.key(&self.path)?;
            self.upload = Some(self.store.client().put_multipart_opts(&key, Default::default()).await.map_err(|e| self.failed(&e))?);
        }
        while self.parts.len() >= PARTS_AT_ONCE {
            self.wait_for_one().await?;
        }
        if let Some(upload) = &mut self.upload {
            let part = upload.put_part(PutPayload::from_bytes(bytes));
            self.parts.spawn_on(part, self.store.runtime.handle());
        }
        Ok(())
    }

    pub async fn complete(&mut self) -> Result<()> {
        while !self.parts.is_empty() {
            self.wait_for_one().await?;
        }
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        match upload.complete().await {
            Ok(_) => Ok(()),
            Err(e) => {
                let refused = matches!(e, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. });
                let mut failed = self.failed(&e);
                if refused {
                    self.upload = Some(upload);
                } else {
                    failed.status = failure::UNKNOWN;
                    failed.message = format!("it is not known whether {}{} was written: {}", self.store.place.root, self.path, failed.message);
                }
                Err(failed)
            }
        }
    }

    /// Best effort: what a crash leaves, the bucket's lifecycle rule for incomplete uploads removes.
    pub async fn abandon(&mut self) {
        self.parts.shutdown().await;
        if let Some(mut upload) = self.upload.take() {
            let _ = tokio::time::timeout(ABANDON_WITHIN, upload.abort()).await;
        }
    }
}
