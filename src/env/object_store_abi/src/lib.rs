//! The C ABI of headpond_object_store.h, which says what each call promises.

mod failure;
mod store;
mod upload;

use bytes::Bytes;
use failure::Failure;
use std::ffi::c_void;
use std::ops::Range;
use store::{Result, Store};
use upload::Upload;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    data: *const u8,
    size: usize,
}

impl Text {
    /// SAFETY: `data` points to `size` bytes for the duration of the call.
    unsafe fn get<'a>(self) -> Result<&'a str> {
        let bytes = if self.size == 0 { &[][..] } else { std::slice::from_raw_parts(self.data, self.size) };
        std::str::from_utf8(bytes).map_err(|_| Failure { status: failure::INVALID, message: "a path is not UTF-8".into() })
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sink {
    context: *mut c_void,
    room: extern "C" fn(*mut c_void, usize) -> *mut u8,
}

impl Sink {
    fn room(self) -> impl FnOnce(usize) -> *mut u8 {
        move |size| (self.room)(self.context, size)
    }

    fn write(self, text: &str) {
        let destination = (self.room)(self.context, text.len());
        // SAFETY: room() gives as many bytes as were asked for.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), destination, text.len()) };
    }
}

#[repr(C)]
pub struct Body {
    data: *const u8,
    size: usize,
    owner: *mut c_void,
    release: extern "C" fn(*mut c_void),
}

// SAFETY: the caller gave the bytes away until release(), which may be called on any thread.
unsafe impl Send for Body {}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        if self.size == 0 {
            return &[];
        }
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        (self.release)(self.owner);
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ByteRange {
    offset: i64,
    length: i64,
}

impl ByteRange {
    fn get(self) -> Option<Range<u64>> {
        (self.length >= 0).then(|| self.offset as u64..(self.offset + self.length) as u64)
    }
}

#[repr(C)]
pub struct Listing {
    context: *mut c_void,
    object: extern "C" fn(*mut c_void, Text, i64, i64),
}

fn finish(result: Result<()>, failure: Sink) -> i32 {
    match result {
        Ok(()) => failure::OK,
        Err(error) => {
            failure.write(&error.message);
            error.status
        }
    }
}

/// # Safety
/// As headpond_object_store.h says, here and below: pointers are valid for the call, handles until their close.
#[no_mangle]
pub unsafe extern "C" fn hp_store_open(url: Text, failure: Sink) -> *mut Store {
    match url.get().and_then(Store::open) {
        Ok(store) => Box::into_raw(Box::new(store)),
        Err(error) => {
            failure.write(&error.message);
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_close(store: *mut Store) {
    let store = *Box::from_raw(store);
    store.runtime.shutdown_background(); // what is still under way belongs to nobody
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_check(store: &Store, failure: Sink) -> i32 {
    finish(store.runtime.block_on(store.check()), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_get(store: &Store, path: Text, range: ByteRange, bytes: Sink, failure: Sink) -> i32 {
    let run = |path: &str| store.runtime.block_on(store.get(path, range.get(), bytes.room()));
    finish(path.get().and_then(run), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_get_ranges(
    store: &Store,
    path: Text,
    ranges: *const ByteRange,
    bytes: *const Sink,
    count: usize,
    failure: Sink,
) -> i32 {
    let wanted = |i| ((*ranges.add(i)).get().unwrap_or(0..0), (*bytes.add(i)).room());
    let run = |path: &str| store.runtime.block_on(store.get_ranges(path, (0..count).map(wanted).collect()));
    finish(path.get().and_then(run), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_head(store: &Store, path: Text, size: *mut i64, modified_us: *mut i64, failure: Sink) -> i32 {
    let run = |path: &str| store.runtime.block_on(store.head(path));
    let found = path.get().and_then(run).map(|meta| {
        *size = meta.size as i64;
        *modified_us = meta.last_modified.timestamp_micros();
    });
    finish(found, failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_put(store: &Store, path: Text, body: Body, failure: Sink) -> i32 {
    let run = |path: &str| store.runtime.block_on(store.put(path, Bytes::from_owner(body)));
    finish(path.get().and_then(run), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_put_if_absent(store: &Store, path: Text, body: Body, failure: Sink) -> i32 {
    let run = |path: &str| store.runtime.block_on(store.put_if_absent(path, Bytes::from_owner(body)));
    finish(path.get().and_then(run), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_list(
    store: &Store,
    prefix: Text,
    start_after: Text,
    limit: usize,
    listing: Listing,
    failure: Sink,
) -> i32 {
    let object = |path: &str, meta: &object_store::ObjectMeta| {
        let text = Text { data: path.as_ptr(), size: path.len() };
        (listing.object)(listing.context, text, meta.size as i64, meta.last_modified.timestamp_micros());
    };
    let texts = prefix.get().and_then(|prefix| start_after.get().map(|after| (prefix, after)));
    finish(texts.and_then(|(prefix, after)| store.runtime.block_on(store.list(prefix, after, limit, object))), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_store_remove(store: &Store, path: Text, failure: Sink) -> i32 {
    finish(path.get().and_then(|path| store.runtime.block_on(store.remove(path))), failure)
}

pub struct UploadHandle<'a> {
    store: &'a Store,
    upload: Upload<'a>,
}

/// # Safety
/// See hp_store_open. The store outlives the upload.
#[no_mangle]
pub unsafe extern "C" fn hp_upload_open(store: &'static Store, path: Text) -> *mut UploadHandle<'static> {
    let upload = Upload::new(store, path.get().unwrap_or_default());
    Box::into_raw(Box::new(UploadHandle { store, upload }))
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_upload_part(handle: &mut UploadHandle, part: Body, failure: Sink) -> i32 {
    finish(handle.store.runtime.block_on(handle.upload.part(Bytes::from_owner(part))), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_upload_complete(handle: &mut UploadHandle, failure: Sink) -> i32 {
    finish(handle.store.runtime.block_on(handle.upload.complete()), failure)
}

/// # Safety
/// See hp_store_open.
#[no_mangle]
pub unsafe extern "C" fn hp_upload_close(handle: *mut UploadHandle) {
    let mut handle = *Box::from_raw(handle);
    handle.store.runtime.block_on(handle.upload.abandon());
}
