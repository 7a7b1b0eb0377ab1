//! One root in one bucket of S3, GCS or Azure: its clients, and each operation on it.

use crate::failure::{self, describe, Failure, Outcome, Place};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode,
    PutPayload, RetryConfig,
};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use url::Url;

const ANSWER_WITHIN: &str = "20 seconds";
const CONNECT_WITHIN: &str = "3 seconds";
const TRIES_MAX: u32 = 5;
const RANGES_AT_ONCE: usize = 32;
const PAGE_KEYS_MAX: usize = 1000;

pub type Result<T> = std::result::Result<T, Failure>;

/// What env needs of a client: objects, and listing by any prefix, not only by folders.
trait Client: ObjectStore + PaginatedListStore {}
impl<T: ObjectStore + PaginatedListStore> Client for T {}

pub struct Store {
    client: Arc<dyn Client>,
    /// The same without retries, where a repeated request would hide what became of the first.
    once: Arc<dyn Client>,
    prefix: String, // of every key: "" or "lake/"
    pub place: Place,
    pub runtime: Runtime,
}

fn retries(count: usize) -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(2), base: 2. };
    RetryConfig { backoff, max_retries: count, retry_timeout: Duration::from_secs(20) }
}

fn s3(url: &str, retry: RetryConfig) -> object_store::Result<(Arc<dyn Client>, String)> {
    let builder = AmazonS3Builder::from_env().with_url(url);
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    let plain = endpoint.as_deref().is_some_and(|e| e.starts_with("http://"));
    let mut builder = builder
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), ANSWER_WITHIN)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_WITHIN)
        .with_unsigned_payload(!plain) // TLS guards the bytes already; signing them costs a hash of each
        .with_retry(retry);
    if plain {
        builder = builder.with_allow_http(true);
    }
    Ok((Arc::new(builder.build()?), endpoint.unwrap_or_else(|| "Amazon S3".into())))
}

fn gcs(url: &str, retry: RetryConfig) -> object_store::Result<(Arc<dyn Client>, String)> {
    let builder = GoogleCloudStorageBuilder::from_env()
        .with_url(url)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), ANSWER_WITHIN)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_WITHIN)
        .with_retry(retry);
    Ok((Arc::new(builder.build()?), "Google Cloud Storage".into()))
}

fn azure(url: &str, retry: RetryConfig) -> object_store::Result<(Arc<dyn Client>, String)> {
    let builder = MicrosoftAzureBuilder::from_env()
        .with_url(url)
        .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), ANSWER_WITHIN)
        .with_config(AzureConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_WITHIN)
        .with_retry(retry);
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    Ok((Arc::new(builder.build()?), endpoint.unwrap_or_else(|| "Azure Storage".into())))
}

fn invalid(message: String) -> Failure {
    Failure { status: failure::INVALID, message }
}

impl Store {
    pub fn open(location: &str) -> Result<Store> {
        let refuse = |why: String| invalid(format!("cannot use {location}: {why}"));
        let url = Url::parse(location).map_err(|e| refuse(e.to_string()))?;
        let (scheme, path) = ObjectStoreScheme::parse(&url).map_err(|e| refuse(e.to_string()))?;
        let (build, credentials, region): (fn(&str, RetryConfig) -> _, _, _) = match scheme {
            ObjectStoreScheme::AmazonS3 => (s3, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "AWS_REGION"),
            ObjectStoreScheme::GoogleCloudStorage => (gcs, "GOOGLE_APPLICATION_CREDENTIALS", "the bucket's own location"),
            ObjectStoreScheme::MicrosoftAzure => (azure, "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY", "AZURE_ENDPOINT"),
            _ => return Err(refuse("it is no s3://, gs://, az:// or abfss:// location".into())),
        };
        let (client, endpoint) = build(location, retries(4)).map_err(|e| refuse(e.to_string()))?;
        let (once, _) = build(location, retries(0)).map_err(|e| refuse(e.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("object-store")
            .enable_all()
            .build()
            .map_err(|e| refuse(e.to_string()))?;
        let bucket = match url.username() {
            "" => url.host_str().unwrap_or_default().to_string(),
            container => container.to_string(), // abfss://container@account…
        };
        let prefix = if path.as_ref().is_empty() { String::new() } else { format!("{path}/") };
        let root = format!("{}/", location.trim_end_matches('/'));
        Ok(Store { client, once, prefix, place: Place { root, bucket, endpoint, credentials, region }, runtime })
    }

    pub fn key(&self, path: &str) -> Result<Path> {
        let key = Path::parse(format!("{}{path}", self.prefix)).ok().filter(|_| !path.is_empty() && !path.starts_with('/') && !path.ends_with('/'));
        key.ok_or_else(|| invalid(format!("'{path}' is not a path of an object: relative, without '..', not ending in '/'")))
    }

    pub fn client(&self) -> &dyn ObjectStore {
        &self.client
    }

    pub fn failed(&self, verb: &str, path: &str, error: &Error) -> Failure {
        describe(verb, path, error, &self.place)
    }

    pub async fn check(&self) -> Result<()> {
        let options = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
        let listed = self.client.list_paginated(Some(&self.prefix), options).await;
        listed.map(|_| ()).map_err(|e| match self.failed("use", "", &e) {
            Failure { status: failure::NOT_FOUND, .. } => {
                Failure { status: failure::RETRY, message: format!("cannot use {}: the bucket {} does not exist; create it or correct the location", self.place.root, self.place.bucket) }
            }
            other => other,
        })
    }

    /// Writes the bytes into what `room` gives for their number. `range` None: all of the object.
    pub async fn get(&self, path: &str, range: Option<Range<u64>>, room: impl FnOnce(usize) -> *mut u8) -> Result<()> {
        let key = self.key(path)?;
        if range.as_ref().is_some_and(|r| r.is_empty()) {
            self.head(path).await?;
            room(0);
            return Ok(());
        }
        let options = GetOptions { range: range.map(GetRange::Bounded), ..Default::default() };
        let found = match self.client.get_opts(&key, options).await {
            Ok(found) => found,
            Err(e) if failure::is_range_beyond_end(&e) => {
                room(0);
                return Ok(());
            }
            Err(e) => return Err(self.failed("read", path, &e)),
        };
        let size = (found.range.end - found.range.start) as usize;
        let destination = room(size);
        let mut done = 0;
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|e| self.failed("read", path, &e))? {
            if chunk.len() > size - done {
                break; // more than was announced
            }
            // SAFETY: `room` gave `size` bytes, and done + chunk.len() is at most that.
            unsafe { std::ptr::copy_nonoverlapping(chunk.as_ptr(), destination.add(done), chunk.len()) };
            done += chunk.len();
        }
        if done != size {
            let message = format!("cannot read {}{path}: the store sent {done} of {size} bytes", self.place.root);
            return Err(Failure { status: failure::RETRY, message });
        }
        Ok(())
    }

    pub async fn get_ranges<R: FnOnce(usize) -> *mut u8>(&self, path: &str, wanted: Vec<(Range<u64>, R)>) -> Result<()> {
        let reads = wanted.into_iter().map(|(range, room)| self.get(path, Some(range), room));
        futures::stream::iter(reads).buffer_unordered(RANGES_AT_ONCE).try_collect::<()>().await
    }

    pub async fn head(&self, path: &str) -> Result<ObjectMeta> {
        let key = self.key(path)?;
        self.client.head(&key).await.map_err(|e| self.failed("read", path, &e))
    }

    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        let key = self.key(path)?;
        self.client.put(&key, PutPayload::from_bytes(bytes)).await.map(|_| ()).map_err(|e| self.failed("write", path, &e))
    }

    /// A lost answer is never mistaken for somebody else's object: after one, "it exists" is UNKNOWN.
    pub async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<()> {
        let key = self.key(path)?;
        let payload = PutPayload::from_bytes(bytes);
        let mut perhaps_ours = false;
        for attempt in 1.. {
            let error = match self.once.put_opts(&key, payload.clone(), PutMode::Create.into()).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let outcome = if failure::met_another_write(&error) { Some(Outcome::Unclear) } else { failure::passing(&error) };
            perhaps_ours = perhaps_ours || outcome == Some(Outcome::Unclear);
            if outcome.is_none() || attempt == TRIES_MAX {
                let mut failed = self.failed("create", path, &error);
                if perhaps_ours {
                    failed.status = failure::UNKNOWN;
                    failed.message = format!("it is not known whether {}{path} was created: {}", self.place.root, failed.message);
                }
                return Err(failed);
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        unreachable!("the last attempt returns")
    }

    /// `object` sees each path (relative to the root) with its meta.
    pub async fn list(&self, prefix: &str, start_after: &str, limit: usize, mut object: impl FnMut(&str, &ObjectMeta)) -> Result<()> {
        let full = format!("{}{prefix}", self.prefix);
        let offset = (!start_after.is_empty()).then(|| format!("{}{start_after}", self.prefix));
        let mut token = None;
        let mut count = 0;
        loop {
            let options = PaginatedListOptions {
                offset: offset.clone(),
                max_keys: (limit > 0).then(|| (limit - count).min(PAGE_KEYS_MAX)),
                page_token: token,
                ..Default::default()
            };
            let page = self.client.list_paginated(Some(&full), options).await.map_err(|e| self.failed("list", prefix, &e))?;
            for meta in &page.result.objects {
                let Some(path) = meta.location.as_ref().strip_prefix(self.prefix.as_str()) else { continue };
                // Some stores start at the offset itself.
                if !path.starts_with(prefix) || path <= start_after {
                    continue;
                }
                object(path, meta);
                count += 1;
                if count == limit {
                    return Ok(());
                }
            }
            token = page.page_token;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// To remove what is gone succeeds, so a request whose answer was lost is repeated; the client does not repeat it, for on S3 it is a POST.
    pub async fn remove(&self, path: &str) -> Result<()> {
        let key = self.key(path)?;
        for attempt in 1.. {
            let error = match self.client.delete(&key).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if failure::passing(&error).is_none() || attempt == TRIES_MAX {
                return match self.failed("remove", path, &error) {
                    Failure { status: failure::NOT_FOUND, .. } => Ok(()),
                    other => Err(other),
                };
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        unreachable!("the last attempt returns")
    }
}
