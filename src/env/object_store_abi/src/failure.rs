//! What went wrong, as a status and one line that a person can act on.

use object_store::client::{HttpError, HttpErrorKind};
use object_store::Error;
use std::error::Error as StdError;

pub const OK: i32 = 0;
pub const RETRY: i32 = 1;
pub const NOT_FOUND: i32 = 2;
pub const CONFLICT: i32 = 3;
pub const UNKNOWN: i32 = 4;
pub const INVALID: i32 = 5;

#[derive(Debug)]
pub struct Failure {
    pub status: i32,
    pub message: String,
}

/// Where a store lives, for messages.
#[derive(Clone, Debug)]
pub struct Place {
    pub root: String,     // "s3://bucket/prefix/"
    pub bucket: String,   // "bucket"
    pub endpoint: String, // "http://127.0.0.1:9000", or the service's name
    pub credentials: &'static str,
    pub region: &'static str,
}

/// Whether a request may have been carried out although it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    NotDone,
    Unclear,
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&(dyn StdError + 'static)| (*e).source())
}

fn http_kind(error: &Error) -> Option<HttpErrorKind> {
    chain(error).find_map(|e| e.downcast_ref::<HttpError>()).map(|e| e.kind())
}

fn root_cause(error: &Error) -> String {
    chain(error).last().map(|e| e.to_string()).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text between <tag> and </tag>.
fn element<'a>(body: &'a str, tag: &str) -> Option<&'a str> {
    let begin = body.find(&format!("<{tag}>"))? + tag.len() + 2;
    let end = begin + body[begin..].find(&format!("</{tag}>"))?;
    Some(&body[begin..end])
}

fn status_code(error: &Error) -> Option<u16> {
    let text = error.to_string();
    let begin = text.find("status code: ")? + "status code: ".len();
    text[begin..].get(..3)?.parse().ok()
}

/// A bucket that is not there answers 404 like an object that is not there.
fn bucket_is_missing(error: &Error) -> bool {
    let text = error.to_string();
    text.contains("NoSuchBucket") || text.contains("ContainerNotFound") || text.contains("The specified bucket does not exist")
}

pub fn is_range_beyond_end(error: &Error) -> bool {
    status_code(error) == Some(416) || error.to_string().contains("InvalidRange")
}

/// S3 answers 409 to a conditional write that met another request in flight: nobody knows who won.
pub fn met_another_write(error: &Error) -> bool {
    error.to_string().contains("ConditionalRequestConflict") || error.to_string().contains("OperationAborted")
}

/// Whether the same request may succeed a moment later, and what became of this one.
pub fn passing(error: &Error) -> Option<Outcome> {
    if let Some(kind) = http_kind(error) {
        return match kind {
            HttpErrorKind::Connect => Some(Outcome::NotDone),
            _ => Some(Outcome::Unclear),
        };
    }
    match status_code(error) {
        Some(408) | Some(429) | Some(500..=599) => Some(Outcome::Unclear),
        _ => None,
    }
}

fn refused(error: &Error, place: &Place, code: u16) -> String {
    let text = error.to_string();
    let name = element(&text, "Code").unwrap_or("no reason given").to_string();
    if name == "AccessDenied" || name == "no reason given" || name.starts_with("Authorization") {
        return format!("not permitted ({code} {name}); let these credentials read, write, list and delete under {}", place.root);
    }
    format!("the store does not accept the credentials ({code} {name}); correct {} (and this machine's clock)", place.credentials)
}

fn reason(error: &Error, place: &Place) -> String {
    match http_kind(error) {
        Some(HttpErrorKind::Connect) => {
            return format!("cannot reach {}: {}; is it up, and is that its address?", place.endpoint, one_line(&root_cause(error)));
        }
        Some(HttpErrorKind::Timeout) => return format!("{} did not answer in time", place.endpoint),
        Some(_) => return format!("the connection to {} broke: {}", place.endpoint, one_line(&root_cause(error))),
        None => {}
    }
    if bucket_is_missing(error) {
        return format!("the bucket {} does not exist; create it or correct the location", place.bucket);
    }
    match error {
        Error::PermissionDenied { .. } => return refused(error, place, 403),
        Error::Unauthenticated { .. } => return refused(error, place, 401),
        _ => {}
    }
    let text = error.to_string();
    if text.contains("incorrectly configured region") || status_code(error) == Some(301) {
        return format!("the bucket {} is in another region; set {}", place.bucket, place.region);
    }
    if let Some(code @ (401 | 403)) = status_code(error) {
        return refused(error, place, code); // of a listing, which the crate does not sort
    }
    if let Some(code) = status_code(error) {
        let name = element(&text, "Code").unwrap_or("");
        let said = element(&text, "Message").unwrap_or("");
        return one_line(&format!("the store answers {code} {name} {said}")).trim_end().to_string();
    }
    if text.contains("169.254.169.254") || text.contains("metadata") {
        return format!("no credentials were found; set {}", place.credentials);
    }
    one_line(&text)
}

/// "cannot read s3://b/k: why".
pub fn describe(verb: &str, path: &str, error: &Error, place: &Place) -> Failure {
    let status = match error {
        Error::NotFound { .. } if !bucket_is_missing(error) => NOT_FOUND,
        Error::AlreadyExists { .. } => CONFLICT,
        Error::InvalidPath { .. } => INVALID,
        _ => RETRY,
    };
    let message = match status {
        NOT_FOUND => format!("{}{path} does not exist", place.root),
        CONFLICT => format!("{}{path} exists already", place.root),
        _ => format!("cannot {verb} {}{path}: {}", place.root, reason(error, place)),
    };
    Failure { status, message }
}
