#include "sql/lake_files.h"

#include <algorithm>
#include <cstring>
#include <duckdb/common/file_system.hpp>
#include <mutex>
#include <string>
#include <unordered_map>

#include "env/scan_path.h"

namespace headpond::sql {
namespace {

// Most footers of bronze and gold are smaller.
constexpr std::int64_t kTail = 64 << 10;

template <class T>
T need(base::Result<T> result) {
  if (!result) throw duckdb::IOException("%s", result.error().message);
  return std::move(*result);
}

std::string object_of(const std::string& path) {
  return path.substr(env::kLakeScheme.size());
}

// What the store said of the objects that were opened: DuckDB opens each of a scan's files three or four times. An object of a lake is
// immutable, so it is asked about once; after a failure, again. Threads: any.
class Known {
 public:
  explicit Known(env::ObjectStore& store) : store_(store) {}

  env::ObjectMeta head(const std::string& path) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = metas_.find(path); found != metas_.end()) return found->second;
    }
    auto meta = need(store_.head(path));
    const std::lock_guard lock(mutex_);
    if (metas_.size() >= kObjectsMax) metas_.clear();
    metas_.insert_or_assign(path, meta);
    return meta;
  }
  void forget(const std::string& path) {
    const std::lock_guard lock(mutex_);
    metas_.erase(path);
  }

 private:
  static constexpr std::size_t kObjectsMax = 20'000;  // about 5 MB

  env::ObjectStore& store_;
  std::mutex mutex_;
  std::unordered_map<std::string, env::ObjectMeta> metas_;
};

class LakeFile final : public duckdb::FileHandle {
 public:
  LakeFile(duckdb::FileSystem& system, const std::string& name, duckdb::FileOpenFlags open_flags, env::ObjectStore& store, Known& known)
      : FileHandle(system, name, open_flags), store_(store), known_(known), meta_(known.head(object_of(name))) {}
  void Close() override {}

  const env::ObjectMeta& meta() const { return meta_; }

  // Requires a range inside the object.
  void read(char* to, std::int64_t bytes, std::int64_t offset) {
    if (bytes == 0) return;
    const std::int64_t tail_begin = std::max<std::int64_t>(0, meta_.size - kTail);
    if (offset < tail_begin) {
      copy(get(offset, bytes), 0, bytes, to);
      return;
    }
    const std::lock_guard lock(mutex_);
    if (tail_.empty()) tail_ = get(tail_begin, meta_.size - tail_begin);
    copy(tail_, offset - tail_begin, bytes, to);
  }

  std::int64_t at = 0;  // of reads without a position

 private:
  std::string get(std::int64_t offset, std::int64_t bytes) {
    auto got = store_.get_range(meta_.path, offset, bytes);
    if (got && static_cast<std::int64_t>(got->size()) == bytes) return *std::move(got);
    known_.forget(meta_.path);
    throw duckdb::IOException("%s", got ? meta_.path + ": the store gave " + std::to_string(got->size()) + " bytes where " +
                                              std::to_string(bytes) + " were asked for"
                                        : got.error().message);
  }
  static void copy(const std::string& from, std::int64_t begin, std::int64_t bytes, char* to) {
    std::memcpy(to, from.data() + begin, static_cast<std::size_t>(bytes));
  }

  env::ObjectStore& store_;
  Known& known_;
  const env::ObjectMeta meta_;
  std::mutex mutex_;
  std::string tail_;
};

class LakeFiles final : public duckdb::FileSystem {
 public:
  explicit LakeFiles(env::ObjectStore& store) : store_(store), known_(store) {}

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(const duckdb::string& path, duckdb::FileOpenFlags flags,
                                                  duckdb::optional_ptr<duckdb::FileOpener>) override {
    if (flags.OpenForWriting()) throw duckdb::PermissionException("%s: objects of the lake are read here, never written", path);
    return duckdb::make_uniq<LakeFile>(*this, path, flags, store_, known_);
  }
  void Read(duckdb::FileHandle& handle, void* buffer, std::int64_t bytes, duckdb::idx_t location) override {
    auto& file = static_cast<LakeFile&>(handle);
    const auto offset = static_cast<std::int64_t>(location);
    if (bytes < 0 || offset + bytes > file.meta().size)
      throw duckdb::IOException("%s ends at byte %lld, which is before %lld", file.meta().path, static_cast<long long>(file.meta().size),
                                static_cast<long long>(offset + bytes));
    file.read(static_cast<char*>(buffer), bytes, offset);
  }
  std::int64_t Read(duckdb::FileHandle& handle, void* buffer, std::int64_t bytes) override {
    auto& file = static_cast<LakeFile&>(handle);
    const auto take = std::clamp<std::int64_t>(file.meta().size - file.at, 0, bytes);
    file.read(static_cast<char*>(buffer), take, file.at);
    file.at += take;
    return take;
  }

  std::int64_t GetFileSize(duckdb::FileHandle& handle) override { return static_cast<LakeFile&>(handle).meta().size; }
  duckdb::timestamp_t GetLastModifiedTime(duckdb::FileHandle& handle) override {
    return duckdb::timestamp_t(static_cast<LakeFile&>(handle).meta().modified.value());
  }
  // Without a tag DuckDB forgets what it read of a file that is younger than ten seconds.
  duckdb::string GetVersionTag(duckdb::FileHandle& handle) override {
    const auto& meta = static_cast<LakeFile&>(handle).meta();
    return std::to_string(meta.modified.value()) + "-" + std::to_string(meta.size);
  }
  duckdb::FileType GetFileType(duckdb::FileHandle&) override { return duckdb::FileType::FILE_TYPE_REGULAR; }
  void Seek(duckdb::FileHandle& handle, duckdb::idx_t location) override {
    static_cast<LakeFile&>(handle).at = static_cast<std::int64_t>(location);
  }
  void Reset(duckdb::FileHandle& handle) override { Seek(handle, 0); }
  duckdb::idx_t SeekPosition(duckdb::FileHandle& handle) override { return static_cast<duckdb::idx_t>(static_cast<LakeFile&>(handle).at); }
  bool CanSeek() override { return true; }
  bool OnDiskFile(duckdb::FileHandle&) override { return false; }
  bool IsPipe(const duckdb::string&, duckdb::optional_ptr<duckdb::FileOpener>) override { return false; }

  bool FileExists(const duckdb::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    const auto found = store_.head(object_of(path));
    if (!found && found.error().kind != base::ErrorKind::kNotFound) throw duckdb::IOException("%s", found.error().message);
    return found.has_value();
  }
  bool DirectoryExists(const duckdb::string&, duckdb::optional_ptr<duckdb::FileOpener>) override { return false; }
  // Every scan names its files one by one; whether one is there shows when it is opened.
  duckdb::vector<duckdb::OpenFileInfo> Glob(const duckdb::string& path, duckdb::FileOpener*) override {
    return {duckdb::OpenFileInfo(path)};
  }

  bool CanHandleFile(const duckdb::string& path) override { return path.starts_with(env::kLakeScheme); }
  duckdb::string GetName() const override { return "headpond_lake"; }

 private:
  env::ObjectStore& store_;
  Known known_;
};

}  // namespace

duckdb::unique_ptr<duckdb::FileSystem> lake_files(env::ObjectStore& store) {
  return duckdb::make_uniq<LakeFiles>(store);
}

}  // namespace headpond::sql
