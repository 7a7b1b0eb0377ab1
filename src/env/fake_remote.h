// A store like another one, but whose objects are no local files: as a bucket is. Tests only. Threads: as the inner store.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/object_store.h"

namespace headpond::env {

class FakeRemoteStore final : public ObjectStore {
 public:
  explicit FakeRemoteStore(ObjectStore& inner) : inner_(inner) {}  // borrowed

  base::Result<std::string> get(const std::string& path) override { return inner_.get(path); }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    return inner_.get_range(path, offset, length);
  }
  base::Result<ObjectMeta> head(const std::string& path) override { return inner_.head(path); }
  base::Result<void> put(const std::string& path, std::string_view bytes) override { return inner_.put(path, bytes); }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override { return inner_.put_if_absent(path, bytes); }
  base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& start_after = "",
                                             std::size_t limit = 0) override {
    return inner_.list(prefix, start_after, limit);
  }
  base::Result<void> remove(const std::string& path) override { return inner_.remove(path); }
  base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) override { return inner_.open_write(path); }
  std::string describe() const override { return "s3://somewhere/"; }
  std::optional<std::string> local_path(const std::string&) const override { return std::nullopt; }

 private:
  ObjectStore& inner_;
};

}  // namespace headpond::env
