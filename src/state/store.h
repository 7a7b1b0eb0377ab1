// Keyed state that survives: one RocksDB, written by atomic batches, checkpointed to object storage. The only user of RocksDB.
//
// Threads: get and scan from any, write and checkpoint one at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/object_store.h"

namespace headpond::state {

class WriteBatch {
 public:
  void put(std::string key, std::string value) { changes_.push_back({std::move(key), std::move(value)}); }
  void remove(std::string key) { changes_.push_back({std::move(key), std::nullopt}); }
  bool empty() const { return changes_.empty(); }
  struct Change {
    std::string key;
    std::optional<std::string> value;
  };
  const std::vector<Change>& changes() const { return changes_; }

 private:
  std::vector<Change> changes_;
};

class Store {
 public:
  // Opens or creates the store in `directory`; one process at a time (kFenced: held by another).
  static base::Result<std::unique_ptr<Store>> open(const std::string& directory);
  virtual ~Store() = default;

  virtual base::Result<std::optional<std::string>> get(std::string_view key) = 0;
  // All keys that start with `prefix`, in byte order; `visit` returns false to stop.
  virtual base::Result<void> scan(std::string_view prefix,
                                  const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
  // All or nothing, synced to disk.
  virtual base::Result<void> write(const WriteBatch& batch) = 0;

  // Uploads a consistent image to `prefix`: SST files not there yet, then a manifest object; the manifest is the checkpoint.
  virtual base::Result<void> checkpoint(env::ObjectStore& objects, const std::string& prefix, const std::string& name) = 0;
};

// Fills an empty `directory` from the newest checkpoint below `prefix`. Returns its name, or none if there is no checkpoint.
base::Result<std::optional<std::string>> restore_newest(env::ObjectStore& objects, const std::string& prefix, const std::string& directory);

}  // namespace headpond::state
