#include "billing/turn.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "billing/tables.h"
#include "lease/look.h"

namespace headpond::billing {
namespace {

using base::ErrorKind;

// An engine outside this process is waited for, and its turn renewed meanwhile; one inside renews between its queries, which may be long.
constexpr auto kLease = base::Duration::seconds(15), kEmbeddedLease = base::Duration::minutes(2), kGrace = base::Duration::seconds(5);

// A file that only one process can lock; gone with this object unless it is given away.
class LockFile {
 public:
  explicit LockFile(const std::string& path) : file_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {}
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;
  ~LockFile() {
    if (file_ >= 0) close(file_);
  }
  bool lock() const { return file_ >= 0 && flock(file_, LOCK_EX | LOCK_NB) == 0; }
  int give() { return std::exchange(file_, -1); }

 private:
  int file_;
};

}  // namespace

Turn::Turn(const World& world, lease::LeaseOptions options, std::string branch, int lock_file)
    : lease_(world.lake, world.clock, world.random, std::move(options)), branch_(std::move(branch)), lock_file_(lock_file) {}

Turn::~Turn() {
  (void)lease_.release();  // else it runs out by itself
  close(lock_file_);
}

base::Result<std::unique_ptr<Turn>> Turn::take(const World& world, const Settings& settings, const std::string& word) {
  std::error_code failed;
  std::filesystem::create_directories(world.local_directory, failed);
  if (failed) return base::fail(ErrorKind::kRetry, "cannot create " + world.local_directory + ": " + failed.message());
  LockFile file(world.local_directory + "/engine.lock");
  if (!file.lock())
    return base::fail(ErrorKind::kRetry, "another run is under way in " + world.local_directory + "; wait until it has ended");
  TRY(const auto token, lease::holder_token(world.local_directory, world.random));
  const lease::LeaseOptions options{.root = branch_root(world, settings) + "/_leases/engine",
                                    .holder = word + ":" + token,
                                    .lease = word == "embedded" ? kEmbeddedLease : kLease,
                                    .grace = kGrace};
  std::unique_ptr<Turn> turn(new Turn(world, options, settings.branch, file.give()));
  TRY(const bool held, turn->lease_.acquire());
  if (held) return turn;
  const auto look = lease::look(world.lake, options.root);
  return base::fail(ErrorKind::kRetry, "branch " + settings.branch + " is run by " +
                                           (look && *look ? (*look)->holder : std::string("another engine")) +
                                           " elsewhere; wait until its run has ended");
}

base::Result<void> Turn::keep() {
  const auto kept = lease_.keep();
  if (kept || kept.error().kind != ErrorKind::kFenced) return {};
  return base::fail(ErrorKind::kRetry, "another engine took over branch " + branch_ + "; this one was stopped");
}

}  // namespace headpond::billing
