#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <set>

#include "env/real.h"

namespace headpond::env {
namespace {

using base::ErrorKind;
using base::fail;

// What went wrong, and what a person can do about it.
std::string explain(int error) {
  std::string text = std::strerror(error);
  switch (error) {
    case ENOSPC:
    case EDQUOT: return text + "; free some space there or move the data to a larger disk";
    case EFBIG: return text + "; raise the file size limit (ulimit -f)";
    case EACCES:
    case EPERM: return text + "; make it readable and writable for the user Headpond runs as";
    case EROFS: return text + "; mount it writable or choose another location";
    case EMFILE:
    case ENFILE: return text + "; raise the limit of open files (ulimit -n)";
    case ENOTDIR: return text + "; a file stands where a directory is needed: remove it or choose another location";
    case ENAMETOOLONG: return text + "; choose a shorter location";
    default: return text;
  }
}

std::unexpected<base::Error> io_error(std::string_view verb, const std::string& file, int error) {
  return fail(ErrorKind::kRetry, "cannot " + std::string(verb) + " " + file + ": " + explain(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

base::Result<void> write_all(int fd, std::string_view bytes, const std::string& file) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("write", file, errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

base::Result<void> sync_directory(const std::string& directory) {
  Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return io_error("open", directory, errno);
  if (::fsync(fd.get()) != 0) return io_error("sync", directory, errno);
  return {};
}

std::string parent_of(const std::string& file) {
  const auto slash = file.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : file.substr(0, slash);
}

// mkdir -p; each directory made is durable in its parent.
base::Result<void> make_directories(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0777) == 0) return sync_directory(parent_of(directory));
  if (errno == EEXIST) {
    struct stat status;
    if (::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return io_error("create directory", directory, ENOTDIR);
  }
  if (errno != ENOENT) return io_error("create directory", directory, errno);
  TRY_VOID(make_directories(parent_of(directory)));
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) return io_error("create directory", directory, errno);
  return sync_directory(parent_of(directory));
}

base::Result<void> check_path(const std::string& path) {
  const bool odd = path.empty() || path.front() == '/' || path.back() == '/' || path == ".." || path.starts_with("../") ||
                   path.ends_with("/..") || path.find("/../") != std::string::npos || path.find('\0') != std::string::npos;
  if (odd) return fail(ErrorKind::kInvalid, "'" + path + "' is not a path of an object: relative, without '..', not ending in '/'");
  return {};
}

// Removes what crashed writers left in `directory`: a stream that is still being written is never that old.
void remove_leftovers(const std::string& directory) {
  constexpr std::int64_t kSecondsMax = 3600;
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(directory.c_str()), ::closedir);
  if (!handle) return;
  while (const dirent* entry = ::readdir(handle.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with('.') || !name.ends_with(".tmp")) continue;
    const std::string file = directory + "/" + entry->d_name;
    struct stat status;
    if (::stat(file.c_str(), &status) == 0 && status.st_mtim.tv_sec + kSecondsMax < ::time(nullptr)) ::unlink(file.c_str());
  }
}

// A hidden file beside `target`, unlinked unless it is published.
class TemporaryFile {
 public:
  static base::Result<TemporaryFile> create(const std::string& target) {
    static std::atomic<std::uint64_t> counter{0};
    const std::string directory = parent_of(target);
    std::string file = directory + "/." + target.substr(target.rfind('/') + 1) + "." + std::to_string(::getpid()) + "-" +
                       std::to_string(counter++) + ".tmp";
    int fd = open_new(file);
    if (fd < 0 && errno == ENOENT) {
      TRY_VOID(make_directories(directory));
      fd = open_new(file);
    }
    if (fd < 0) return io_error("create", file, errno);
    return TemporaryFile(std::move(file), Descriptor(fd));
  }

  TemporaryFile(TemporaryFile&& other) noexcept : file_(std::exchange(other.file_, {})), fd_(std::move(other.fd_)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (!file_.empty()) ::unlink(file_.c_str());
  }

  base::Result<void> append(std::string_view bytes) { return write_all(fd_.get(), bytes, file_); }

  base::Result<void> finish() {
    if (::fsync(fd_.get()) != 0) return io_error("sync", file_, errno);
    if (fd_.close() != 0) return io_error("close", file_, errno);
    return {};
  }

  // Replaces `target`. The rename is one step; a failed sync of the directory after it may be repeated by putting again.
  base::Result<void> rename_to(const std::string& target) {
    if (::rename(file_.c_str(), target.c_str()) != 0) return io_error("create", target, errno);
    file_.clear();
    return sync_directory(parent_of(target));
  }

  base::Result<void> link_to(const std::string& target) {
    if (::link(file_.c_str(), target.c_str()) != 0) {
      if (errno == EEXIST) return fail(ErrorKind::kConflict, target + " exists already");
      return io_error("create", target, errno);
    }
    ::unlink(file_.c_str());
    file_.clear();
    if (auto synced = sync_directory(parent_of(target)); !synced) return fail(ErrorKind::kUnknown, synced.error().message);
    return {};
  }

 private:
  TemporaryFile(std::string file, Descriptor fd) : file_(std::move(file)), fd_(std::move(fd)) {}
  static int open_new(const std::string& file) { return ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }

  std::string file_;
  Descriptor fd_;
};

class LocalWriteStream final : public WriteStream {
 public:
  LocalWriteStream(TemporaryFile file, std::string target) : file_(std::move(file)), target_(std::move(target)) {}

  base::Result<void> append(std::string_view bytes) override {
    if (dead_) return fail(ErrorKind::kRetry, "writing " + target_ + " failed before; start it again");
    auto result = file_.append(bytes);
    dead_ = !result;
    if (result) sent_ += static_cast<std::int64_t>(bytes.size());
    return result;
  }

  base::Result<void> close() override {
    if (dead_) return fail(ErrorKind::kRetry, "writing " + target_ + " failed before or ended; start it again");
    dead_ = true;
    TRY_VOID(file_.finish());
    return file_.rename_to(target_);
  }

  std::int64_t sent() const override { return sent_; }

 private:
  TemporaryFile file_;
  std::string target_;
  std::int64_t sent_ = 0;
  bool dead_ = false;
};

base::Micros modified_at(const struct stat& status) {
  return base::Micros(static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000 + status.st_mtim.tv_nsec / 1000);
}

// Walks the tree below one directory in the byte order of whole paths, reading only directories that can hold a match.
class Lister {
 public:
  Lister(std::string root, const std::string& prefix, const std::string& start_after, std::size_t limit)
      : root_(std::move(root)), prefix_(prefix), start_after_(start_after), limit_(limit) {}

  base::Result<std::vector<ObjectMeta>> run() {
    const auto slash = prefix_.rfind('/');
    TRY_VOID(walk(slash == std::string::npos ? "" : prefix_.substr(0, slash + 1)));
    return std::move(found_);
  }

 private:
  bool full() const { return limit_ != 0 && found_.size() >= limit_; }

  // Whether any path that starts with `folder` ("a/b/") can be wanted.
  bool reaches(const std::string& folder) const {
    const bool matches = folder.starts_with(prefix_) || prefix_.starts_with(folder);
    return matches && (folder > start_after_ || start_after_.starts_with(folder));
  }

  bool wants(const std::string& path) const { return path.starts_with(prefix_) && path > start_after_; }

  // Names below `folder` that are wanted, directories with a '/' at the end: that is how whole paths sort.
  base::Result<std::vector<std::string>> names(const std::string& folder) const {
    const std::string directory = root_ + folder;
    DIR* handle = ::opendir(directory.c_str());
    if (handle == nullptr) {
      if (errno == ENOENT || errno == ENOTDIR) return std::vector<std::string>{};
      return io_error("list", directory, errno);
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> closer(handle, ::closedir);
    std::vector<std::string> result;
    errno = 0;
    while (const dirent* entry = ::readdir(handle)) {
      if (entry->d_name[0] == '.') continue;
      std::string name = entry->d_name;
      bool is_directory = entry->d_type == DT_DIR;
      if (entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
        struct stat status;
        is_directory = ::stat((directory + name).c_str(), &status) == 0 && S_ISDIR(status.st_mode);
      }
      if (is_directory) name += '/';
      if (is_directory ? reaches(folder + name) : wants(folder + name)) result.push_back(std::move(name));
      errno = 0;
    }
    if (errno != 0) return io_error("list", directory, errno);
    std::sort(result.begin(), result.end());
    return result;
  }

  base::Result<void> walk(const std::string& folder) {
    TRY(const auto entries, names(folder));
    for (const auto& name : entries) {
      if (full()) return {};
      if (name.back() == '/') {
        TRY_VOID(walk(folder + name));
        continue;
      }
      struct stat status;
      if (::stat((root_ + folder + name).c_str(), &status) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        return io_error("read", root_ + folder + name, errno);
      }
      found_.push_back({folder + name, status.st_size, modified_at(status)});
    }
    return {};
  }

  const std::string root_;  // with '/' at the end
  const std::string& prefix_;
  const std::string& start_after_;
  const std::size_t limit_;
  std::vector<ObjectMeta> found_;
};

class LocalStore final : public ObjectStore {
 public:
  explicit LocalStore(std::string root) : root_(std::move(root)) {}

  base::Result<std::string> get(const std::string& path) override { return read(path, 0, -1); }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    HP_ASSERT(offset >= 0 && length >= 0);
    return read(path, offset, length);
  }

  base::Result<ObjectMeta> head(const std::string& path) override {
    TRY_VOID(check_path(path));
    struct stat status;
    if (::stat(file(path).c_str(), &status) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return not_found(path);
      return io_error("read", file(path), errno);
    }
    if (S_ISDIR(status.st_mode)) return not_found(path);
    return ObjectMeta{path, status.st_size, modified_at(status)};
  }

  base::Result<void> put(const std::string& path, std::string_view bytes) override {
    TRY(auto temporary, stage(path, bytes));
    return temporary.rename_to(file(path));
  }

  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override {
    TRY_VOID(check_path(path));
    if (::access(file(path).c_str(), F_OK) == 0) return fail(ErrorKind::kConflict, file(path) + " exists already");
    TRY(auto temporary, stage(path, bytes));
    return temporary.link_to(file(path));
  }

  base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& start_after, std::size_t limit) override {
    return Lister(root_, prefix, start_after, limit).run();
  }

  base::Result<void> remove(const std::string& path) override {
    TRY_VOID(check_path(path));
    if (::unlink(file(path).c_str()) == 0) return sync_directory(parent_of(file(path)));
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return io_error("remove", file(path), errno);
  }

  base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) override {
    TRY_VOID(check_path(path));
    sweep_once(parent_of(file(path)));
    TRY(auto temporary, TemporaryFile::create(file(path)));
    return std::make_unique<LocalWriteStream>(std::move(temporary), file(path));
  }

  std::string describe() const override { return "file://" + root_; }
  std::optional<std::string> local_path(const std::string& path) const override { return file(path); }

 private:
  std::string file(const std::string& path) const { return root_ + path; }

  std::unexpected<base::Error> not_found(const std::string& path) const {
    return fail(ErrorKind::kNotFound, file(path) + " does not exist");
  }

  base::Result<TemporaryFile> stage(const std::string& path, std::string_view bytes) {
    TRY_VOID(check_path(path));
    sweep_once(parent_of(file(path)));
    TRY(auto temporary, TemporaryFile::create(file(path)));
    TRY_VOID(temporary.append(bytes));
    TRY_VOID(temporary.finish());
    return temporary;
  }

  // `length` -1: to the end. A range beyond the end yields what there is.
  base::Result<std::string> read(const std::string& path, std::int64_t offset, std::int64_t length) const {
    TRY_VOID(check_path(path));
    Descriptor fd(::open(file(path).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
      if (errno == ENOENT || errno == ENOTDIR) return not_found(path);
      return io_error("read", file(path), errno);
    }
    struct stat status;
    if (::fstat(fd.get(), &status) != 0) return io_error("read", file(path), errno);
    if (S_ISDIR(status.st_mode)) return not_found(path);
    const std::int64_t rest = std::max<std::int64_t>(0, status.st_size - offset);
    std::string bytes(static_cast<std::size_t>(length < 0 ? rest : std::min(rest, length)), '\0');
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = ::pread(fd.get(), bytes.data() + done, bytes.size() - done, offset + static_cast<std::int64_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return io_error("read", file(path), errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    return bytes;
  }

  // The first write into a directory looks for what others left there.
  void sweep_once(const std::string& directory) {
    {
      const std::lock_guard lock(mutex_);
      if (!swept_.insert(directory).second) return;
    }
    remove_leftovers(directory);
  }

  std::string root_;  // absolute, with '/' at the end
  std::mutex mutex_;
  std::set<std::string> swept_;
};

}  // namespace

base::Result<std::unique_ptr<ObjectStore>> open_local_store(const std::string& directory) {
  if (directory.empty()) return fail(ErrorKind::kInvalid, "the location of the store is empty: name a directory");
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(directory, error).lexically_normal();
  if (error) return fail(ErrorKind::kInvalid, "cannot resolve directory " + directory + ": " + error.message());
  std::string root = absolute.string();
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (auto made = make_directories(root); !made) return fail(ErrorKind::kInvalid, made.error().message);
  if (::access(root.c_str(), R_OK | W_OK | X_OK) != 0) {
    return fail(ErrorKind::kInvalid, "cannot write to directory " + root + ": " + explain(errno));
  }
  if (root.back() != '/') root += '/';
  return std::make_unique<LocalStore>(std::move(root));
}

base::Result<std::unique_ptr<ObjectStore>> open_store(const std::string& location) {
  if (is_remote(location)) return open_remote_store(location);
  if (location.starts_with("http://") || location.starts_with("https://"))
    return fail(ErrorKind::kInvalid, location +
                                         ": a lake is a directory, s3://bucket/…, gs://bucket/… or abfss://…; the endpoint of an S3 "
                                         "that is not Amazon's is AWS_ENDPOINT_URL");
  if (location.starts_with("file://")) return open_local_store(location.substr(std::string_view("file://").size()));
  return open_local_store(location);
}

}  // namespace headpond::env
