// S3, GCS and Azure through the object_store crate (object_store_abi/): the C ABI's calls as an ObjectStore.
#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "env/object_store_abi/headpond_object_store.h"
#include "env/real.h"

namespace headpond::env {
namespace {

using base::ErrorKind;

// Parts of a multipart upload; what is smaller is one PUT.
constexpr std::size_t kPartBytes = 8u << 20;
constexpr int kReadsAtOnce = 32;
// Stays in the store, so that all but the first opening ask once.
constexpr const char* kProbe = "_headpond/put-if-absent";

hp_text text_of(std::string_view text) {
  return {text.data(), text.size()};
}

hp_sink sink_into(std::string& text) {
  return {&text, [](void* context, std::size_t size) {
            auto& into = *static_cast<std::string*>(context);
            into.resize(size);
            return into.data();
          }};
}

// Gives the bytes away: they live until the store has sent them.
hp_body adopt(std::string bytes) {
  auto* owner = new std::string(std::move(bytes));
  return {owner->data(), owner->size(), owner, [](void* kept) { delete static_cast<std::string*>(kept); }};
}

ErrorKind kind_of(int status) {
  switch (status) {
    case kHpNotFound: return ErrorKind::kNotFound;
    case kHpConflict: return ErrorKind::kConflict;
    case kHpUnknown: return ErrorKind::kUnknown;
    case kHpInvalid: return ErrorKind::kInvalid;
    default: return ErrorKind::kRetry;
  }
}

base::Result<void> result_of(int status, std::string& failure) {
  if (status == kHpOk) return {};
  return base::fail(kind_of(status), std::move(failure));
}

class RemoteWriteStream final : public WriteStream {
 public:
  RemoteWriteStream(hp_store* store, std::string path) : store_(store), path_(std::move(path)) {}
  ~RemoteWriteStream() override {
    if (upload_ != nullptr) hp_upload_close(upload_);
  }

  base::Result<void> append(std::string_view bytes) override {
    if (dead_) return base::fail(ErrorKind::kRetry, "an earlier part of " + path_ + " was not written; begin it anew");
    while (!bytes.empty()) {
      if (part_.capacity() < kPartBytes) part_.reserve(kPartBytes);
      const auto take = std::min(bytes.size(), kPartBytes - part_.size());
      part_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (part_.size() == kPartBytes) TRY_VOID(send_part());
    }
    return {};
  }

  base::Result<void> close() override {
    if (dead_) return base::fail(ErrorKind::kRetry, "an earlier part of " + path_ + " was not written; begin it anew");
    std::string failure;
    if (upload_ == nullptr)
      return result_of(hp_store_put(store_, text_of(path_), adopt(std::exchange(part_, {})), sink_into(failure)), failure);
    if (!part_.empty()) TRY_VOID(send_part());
    return result_of(hp_upload_complete(upload_, sink_into(failure)), failure);
  }

  std::int64_t sent() const override { return sent_; }

 private:
  base::Result<void> send_part() {
    if (upload_ == nullptr) upload_ = hp_upload_open(store_, text_of(path_));
    std::string failure;
    sent_ += static_cast<std::int64_t>(part_.size());
    auto sent = result_of(hp_upload_part(upload_, adopt(std::exchange(part_, {})), sink_into(failure)), failure);
    dead_ = !sent;
    return sent;
  }

  hp_store* store_;
  const std::string path_;
  std::string part_;
  hp_upload* upload_ = nullptr;
  std::int64_t sent_ = 0;
  bool dead_ = false;
};

class RemoteStore final : public ObjectStore {
 public:
  RemoteStore(hp_store* store, std::string name) : store_(store), name_(std::move(name)) {}
  ~RemoteStore() override { hp_store_close(store_); }

  base::Result<void> check() {
    std::string failure;
    return result_of(hp_store_check(store_, sink_into(failure)), failure);
  }

  // Two writers of one Delta version must not both win: creating what exists already has to fail.
  base::Result<void> check_put_if_absent() {
    for (int attempt = 0, created = 0; attempt < 4; ++attempt) {
      const auto result = put_if_absent(kProbe, "");
      if (result && ++created < 2) continue;
      if (result) {
        return base::fail(ErrorKind::kInvalid, name_ +
                                                   ": this store ignores 'If-None-Match: *' and so lets two writers overwrite each other; "
                                                   "choose a store with conditional writes");
      }
      if (result.error().kind == ErrorKind::kConflict) return {};
      // Whoever may not write overwrites nothing: a reader.
      if (result.error().message.find("not permitted") != std::string::npos) return {};
      if (result.error().kind != ErrorKind::kUnknown) return result;
    }
    return base::fail(ErrorKind::kRetry, name_ + ": the store did not answer whether it honours 'If-None-Match: *'; try again");
  }

  base::Result<std::string> get(const std::string& path) override { return read(path, {0, -1}); }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    return read(path, {offset, std::max<std::int64_t>(0, length)});
  }
  base::Result<ObjectMeta> head(const std::string& path) override {
    std::int64_t size = 0, modified = 0;
    std::string failure;
    TRY_VOID(result_of(hp_store_head(store_, text_of(path), &size, &modified, sink_into(failure)), failure));
    return ObjectMeta{path, size, base::Micros(modified)};
  }
  base::Result<void> put(const std::string& path, std::string_view bytes) override {
    std::string failure;
    return result_of(hp_store_put(store_, text_of(path), adopt(std::string(bytes)), sink_into(failure)), failure);
  }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override {
    std::string failure;
    return result_of(hp_store_put_if_absent(store_, text_of(path), adopt(std::string(bytes)), sink_into(failure)), failure);
  }
  base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& start_after, std::size_t limit) override {
    std::vector<ObjectMeta> found;
    std::string failure;
    const hp_listing listing{
        &found, [](void* context, hp_text path, std::int64_t size, std::int64_t modified_us) {
          static_cast<std::vector<ObjectMeta>*>(context)->push_back({std::string(path.data, path.size), size, base::Micros(modified_us)});
        }};
    TRY_VOID(result_of(hp_store_list(store_, text_of(prefix), text_of(start_after), limit, listing, sink_into(failure)), failure));
    std::ranges::sort(found, {}, &ObjectMeta::path);
    return found;
  }
  base::Result<void> remove(const std::string& path) override {
    std::string failure;
    return result_of(hp_store_remove(store_, text_of(path), sink_into(failure)), failure);
  }
  base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) override {
    return std::make_unique<RemoteWriteStream>(store_, path);
  }
  std::string describe() const override { return name_; }
  std::optional<std::string> local_path(const std::string&) const override { return std::nullopt; }
  int reads_at_once() const override { return kReadsAtOnce; }

 private:
  base::Result<std::string> read(const std::string& path, hp_range range) {
    std::string bytes, failure;
    TRY_VOID(result_of(hp_store_get(store_, text_of(path), range, sink_into(bytes), sink_into(failure)), failure));
    return bytes;
  }

  hp_store* store_;
  const std::string name_;
};

}  // namespace

bool is_remote(std::string_view location) {
  static constexpr std::array<std::string_view, 6> kSchemes{"s3://", "s3a://", "gs://", "az://", "abfs://", "abfss://"};
  return std::ranges::any_of(kSchemes, [&](std::string_view scheme) { return location.starts_with(scheme); });
}

base::Result<std::unique_ptr<ObjectStore>> open_remote_store(const std::string& location) {
  std::string failure;
  hp_store* opened = hp_store_open(text_of(location), sink_into(failure));
  if (opened == nullptr) return base::fail(ErrorKind::kInvalid, std::move(failure));
  auto store = std::make_unique<RemoteStore>(opened, location.ends_with('/') ? location : location + "/");
  TRY_VOID(store->check());
  TRY_VOID(store->check_put_if_absent());
  return store;
}

}  // namespace headpond::env
