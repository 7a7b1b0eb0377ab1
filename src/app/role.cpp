#include "app/role.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace headpond::app {
namespace {

constexpr base::Duration kBackoffMin = base::Duration::millis(200);
constexpr base::Duration kBackoffMax = base::Duration::seconds(30);

bool is_fatal(base::ErrorKind kind) {
  return kind == base::ErrorKind::kInvalid || kind == base::ErrorKind::kCorrupt;
}

}  // namespace

Role::Role(RoleOptions options, Factory factory, Log log)
    : options_(std::move(options)), factory_(std::move(factory)), log_(std::move(log)) {
  last_.branch = options_.name;
  last_.kind = options_.kind;
  last_.engine = options_.engine;
  last_.promise_s = options_.promise_s;
  last_.state = "starting";
}

Role::~Role() {
  stop();
}

void Role::start() {
  thread_ = std::thread([this] { run(); });
}

void Role::ask_to_stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    if (current_ != nullptr) current_->interrupt();
  }
  wake_.notify_all();
}

void Role::stop() {
  ask_to_stop();
  if (thread_.joinable()) thread_.join();
}

bool Role::stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_;
}

bool Role::wait(base::Duration d) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, std::chrono::microseconds(d.value()), [this] { return stop_; });
}

std::optional<base::Error> Role::fatal() const {
  const std::lock_guard lock(mutex_);
  return fatal_;
}

bool Role::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_;
}

bronze::BranchStatus Role::status() const {
  const std::lock_guard lock(mutex_);
  if (current_ != nullptr) {
    auto status = current_->status();
    status.promise_s = options_.promise_s;
    return status;
  }
  return last_;
}

void Role::fail(const base::Error& error, bool for_good) {
  ++failures_;
  const std::lock_guard lock(mutex_);
  last_.message = error.message;
  last_.state = for_good ? "failed" : "backing off";
  if (for_good) fatal_ = error;
}

base::Result<void> Role::run_engine(Steppable& engine) {
  {
    const std::lock_guard lock(mutex_);
    current_ = &engine;
  }
  base::Result<void> end;
  while (!stopping()) {
    const auto worked = engine.step();
    if (!worked) {
      end = std::unexpected(worked.error());
      break;
    }
    failures_ = 0;
    if (engine.finished()) break;
    if (!*worked && wait(options_.idle_poll)) break;
  }
  if (end) end = engine.drain();
  const std::lock_guard lock(mutex_);
  last_ = engine.status();
  last_.promise_s = options_.promise_s;
  if (end) last_.state = "stopped";
  finished_ = end && engine.finished();
  current_ = nullptr;
  return end;
}

void Role::run() {
  pthread_setname_np(pthread_self(), options_.name.substr(0, 15).c_str());
  if (options_.nice != 0) setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), options_.nice);
  std::string last_line;
  while (!stopping()) {
    auto engine = factory_();
    const auto end = engine ? run_engine(**engine) : base::Result<void>(std::unexpected(engine.error()));
    if (end) return;
    const bool for_good = is_fatal(end.error().kind) || (!engine && !opened_ && options_.first_open_must_succeed);
    opened_ = opened_ || engine.has_value();
    fail(end.error(), for_good);
    if (for_good) {
      log_(options_.name, end.error().message);
      return;
    }
    const auto backoff = std::min(kBackoffMax, kBackoffMin * (1LL << std::min(failures_ - 1, 8)));
    if (end.error().message != last_line) log_(options_.name, end.error().message + "; trying again");
    last_line = end.error().message;
    if (wait(backoff)) return;
  }
}

}  // namespace headpond::app
