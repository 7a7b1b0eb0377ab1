/* The C ABI of the object_store crate, as src/lib.rs exports it. Private to env.
 *
 * Every call blocks until it is done and returns a Headpond status; anything but kHpOk has put one line for a person into `failure`.
 * Bytes come out through a sink, written in place; bytes go in as a body, which the callee owns until it calls `release`, maybe after the
 * call has returned and on another thread. Paths are UTF-8, relative to the store's root. Threads: any; an upload: one at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum hp_status { kHpOk = 0, kHpRetry = 1, kHpNotFound = 2, kHpConflict = 3, kHpUnknown = 4, kHpInvalid = 5 };

typedef struct hp_store hp_store;
typedef struct hp_upload hp_upload;

typedef struct {
  const char* data;
  size_t size;
} hp_text;

/* Gives `size` writable bytes, which stay where they are until the call returns. */
typedef struct {
  void* context;
  char* (*room)(void* context, size_t size);
} hp_sink;

typedef struct {
  const char* data;
  size_t size;
  void* owner;
  void (*release)(void* owner);
} hp_body;

typedef struct {
  int64_t offset;
  int64_t length;
} hp_range;

typedef struct {
  void* context;
  void (*object)(void* context, hp_text path, int64_t size, int64_t modified_us);
} hp_listing;

/* `url`: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or abfss://container@account…/prefix; endpoint and credentials come
 * from the environment. No request is made. NULL: refused (kHpInvalid), see failure. */
hp_store* hp_store_open(hp_text url, hp_sink failure);
void hp_store_close(hp_store* store);
/* Asks the store for one object under the root: is it there, are we let in? */
int hp_store_check(hp_store* store, hp_sink failure);

/* length -1: the whole object. A range beyond the end yields what there is. */
int hp_store_get(hp_store* store, hp_text path, hp_range range, hp_sink bytes, hp_sink failure);
/* All ranges, 32 at a time; bytes[i] is filled from ranges[i]. */
int hp_store_get_ranges(hp_store* store, hp_text path, const hp_range* ranges, hp_sink* bytes, size_t count, hp_sink failure);
int hp_store_head(hp_store* store, hp_text path, int64_t* size, int64_t* modified_us, hp_sink failure);
int hp_store_put(hp_store* store, hp_text path, hp_body body, hp_sink failure);
/* kHpConflict: it was there before. kHpUnknown: this call may have created it. */
int hp_store_put_if_absent(hp_store* store, hp_text path, hp_body body, hp_sink failure);
/* Objects whose path starts with `prefix` and is greater than `start_after`, in no order, `limit` at most (0: all). */
int hp_store_list(hp_store* store, hp_text prefix, hp_text start_after, size_t limit, hp_listing listing, hp_sink failure);
int hp_store_remove(hp_store* store, hp_text path, hp_sink failure);

/* A multipart upload. Parts (all of one size but the last, 5 MiB at least) go up while the next fills, four at a time. */
hp_upload* hp_upload_open(hp_store* store, hp_text path);
int hp_upload_part(hp_upload* upload, hp_body part, hp_sink failure);
/* kHpUnknown: the object may be there. */
int hp_upload_complete(hp_upload* upload, hp_sink failure);
/* Abandons what was not completed. */
void hp_upload_close(hp_upload* upload);

#ifdef __cplusplus
}
#endif
