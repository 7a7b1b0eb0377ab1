// The one thing Headpond's processes share: objects under paths, immutable once written unless put() replaces them whole.
//
// Paths are relative to the store's root, '/'-separated, without a leading '/'. An object becomes visible whole or not at all.
// Every error message names the object and, where a person can mend it, the mend ("cannot create …: No space left on device; free some").
//
// Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::env {

struct ObjectMeta {
  std::string path;
  std::int64_t size = 0;  // bytes
  base::Micros modified;
};

// One object being written front to back. Threads: one at a time.
class WriteStream {
 public:
  // Discards what was not closed.
  virtual ~WriteStream() = default;
  // Errors: kRetry: store unreachable or full; the stream is then dead, discard it.
  virtual base::Result<void> append(std::string_view bytes) = 0;
  // Makes the object visible and durable. Errors: kRetry: not visible. kUnknown: perhaps visible.
  virtual base::Result<void> close() = 0;
  // Bytes that are with the store by now, or on their way, and not visible before close(): what a process that dies leaves behind.
  virtual std::int64_t sent() const { return 0; }
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Errors, all calls: kRetry: unreachable, full, not permitted (the message says which).
  virtual base::Result<std::string> get(const std::string& path) = 0;                                                  // kNotFound
  virtual base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) = 0;  // kNotFound
  virtual base::Result<ObjectMeta> head(const std::string& path) = 0;                                                  // kNotFound
  // Replaces whatever was there, atomically and durably.
  virtual base::Result<void> put(const std::string& path, std::string_view bytes) = 0;
  // Creates, durably. Errors: kConflict: it exists already. kUnknown: perhaps created by this call: read it to find out.
  virtual base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) = 0;
  // All objects whose path starts with `prefix` and is greater than `start_after`, in byte order; `limit` at most (0 = all).
  virtual base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& start_after = "",
                                                     std::size_t limit = 0) = 0;
  // Absent is fine.
  virtual base::Result<void> remove(const std::string& path) = 0;
  virtual base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) = 0;

  // "file:///lake/bronze/" or "s3://bucket/prefix/": for people and for messages.
  virtual std::string describe() const = 0;
  // The file an object is, when the store is a local directory: readers that want a path (DuckDB) use it.
  virtual std::optional<std::string> local_path(const std::string& path) const = 0;
  // How many reads a reader had best have under way at once: each waits for the network and costs little else. 1: no gain by several.
  virtual int reads_at_once() const { return 1; }
};

}  // namespace headpond::env
