#include "env/real.h"

#include <fcntl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>

namespace headpond::env {
namespace {

base::Duration read_clock(clockid_t id) {
  timespec t{};
  ::clock_gettime(id, &t);
  return base::Duration(static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000);
}

class RealClock final : public Clock {
 public:
  base::Micros now() override { return base::Micros(read_clock(CLOCK_REALTIME).value()); }
  base::Duration monotonic() override { return read_clock(CLOCK_MONOTONIC); }
};

class RealRandom final : public Random {
 public:
  std::uint64_t next() override {
    std::uint64_t value = 0;
    while (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
    }
    return value;
  }
};

class EnvironmentFailpoints final : public Failpoints {
 public:
  EnvironmentFailpoints(std::map<std::string, std::uint64_t, std::less<>> kill_at, const char* log)
      : kill_at_(std::move(kill_at)), log_fd_(log == nullptr ? -1 : ::open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {}
  ~EnvironmentFailpoints() override {
    if (log_fd_ >= 0) ::close(log_fd_);
  }

  void reach(std::string_view name) override {
    const std::lock_guard lock(mutex_);
    if (log_fd_ >= 0) {
      const std::string line = std::string(name) + "\n";
      if (::write(log_fd_, line.data(), line.size()) < 0) return;  // a lost line only makes a coverage count smaller
    }
    const auto it = kill_at_.find(name);
    if (it == kill_at_.end() || it->second == 0) return;
    if (--it->second == 0) ::kill(::getpid(), SIGKILL);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::uint64_t, std::less<>> kill_at_;  // hits still to come
  int log_fd_;
};

// "name:N,name:N"; a part without a number means the first hit.
std::map<std::string, std::uint64_t, std::less<>> parse_failpoints(std::string_view text) {
  std::map<std::string, std::uint64_t, std::less<>> result;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto part = text.substr(0, comma);
    const auto colon = part.find(':');
    std::uint64_t hits = 1;
    if (colon != std::string_view::npos) std::from_chars(part.data() + colon + 1, part.data() + part.size(), hits);
    if (!part.empty()) result.emplace(part.substr(0, colon), hits);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return result;
}

}  // namespace

std::unique_ptr<Clock> real_clock() {
  return std::make_unique<RealClock>();
}
std::unique_ptr<Random> real_random() {
  return std::make_unique<RealRandom>();
}

std::unique_ptr<Failpoints> failpoints_from_environment() {
  const char* spec = std::getenv("HEADPOND_FAILPOINT");
  const char* log = std::getenv("HEADPOND_FAILPOINT_LOG");
  if (spec == nullptr && log == nullptr) return std::make_unique<Failpoints>();
  return std::make_unique<EnvironmentFailpoints>(parse_failpoints(spec == nullptr ? "" : spec), log);
}

}  // namespace headpond::env
