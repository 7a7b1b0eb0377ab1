// A state store in memory, for tests of other folders. What was written outlives whoever used it: a crash is dropping the user, not the
// store.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "state/store.h"

namespace headpond::state {

// Threads: any.
class MemoryStateStore final : public Store {
 public:
  base::Result<std::optional<std::string>> get(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto it = rows_.find(key);
    return it == rows_.end() ? std::nullopt : std::optional(it->second);
  }
  base::Result<void> scan(std::string_view prefix,
                          const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    const std::lock_guard lock(mutex_);
    for (auto it = rows_.lower_bound(prefix); it != rows_.end() && it->first.starts_with(prefix); ++it) {
      if (!visit(it->first, it->second)) break;
    }
    return {};
  }
  base::Result<void> write(const WriteBatch& batch) override {
    const std::lock_guard lock(mutex_);
    if (fail_writes) return base::fail(base::ErrorKind::kRetry, "a planted fault");
    for (const auto& change : batch.changes()) {
      if (change.value) {
        rows_[change.key] = *change.value;
      } else {
        rows_.erase(change.key);
      }
    }
    return {};
  }
  base::Result<void> checkpoint(env::ObjectStore&, const std::string&, const std::string&) override {
    return base::fail(base::ErrorKind::kInvalid, "a store in memory has no image to upload");
  }

  // Becomes what `other` is now.
  void copy_from(MemoryStateStore& other) {
    const std::scoped_lock lock(mutex_, other.mutex_);
    rows_ = other.rows_;
  }

  bool fail_writes = false;

 private:
  std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> rows_;
};

}  // namespace headpond::state
