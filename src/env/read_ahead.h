// A store in front of another that holds the objects a reader is about to read: expect() fetches them whole, many at a time, and what is
// then asked of them costs no round trip. An object that could not be fetched is read as if it had never been expected, with its own error.
//
// Only for objects that nobody replaces. Threads: any, but expect() not beside the reads of what it lets go.
#pragma once

#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "env/object_store.h"

namespace headpond::env {

class ReadAhead final : public ObjectStore {
 public:
  explicit ReadAhead(ObjectStore& inner) : inner_(inner) {}  // borrowed

  // Holds these objects and no others. Nothing is fetched of a store that gains nothing by it (reads_at_once() of 1).
  void expect(const std::vector<std::string>& paths);

  base::Result<std::string> get(const std::string& path) override;
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override;
  base::Result<ObjectMeta> head(const std::string& path) override;  // `modified` is 0 of what is held
  base::Result<void> put(const std::string& path, std::string_view bytes) override { return inner_.put(path, bytes); }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override { return inner_.put_if_absent(path, bytes); }
  base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& start_after, std::size_t limit) override {
    return inner_.list(prefix, start_after, limit);
  }
  base::Result<void> remove(const std::string& path) override { return inner_.remove(path); }
  base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) override { return inner_.open_write(path); }
  std::string describe() const override { return inner_.describe(); }
  std::optional<std::string> local_path(const std::string& path) const override { return inner_.local_path(path); }
  int reads_at_once() const override { return inner_.reads_at_once(); }

 private:
  ObjectStore& inner_;
  std::shared_mutex mutex_;
  std::unordered_map<std::string, std::string> held_;
};

}  // namespace headpond::env
