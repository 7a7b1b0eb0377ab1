#include "app/notifier_thread.h"

#include <chrono>

namespace headpond::app {
namespace {

constexpr base::Duration kNotifierPoll = base::Duration::millis(10);
constexpr base::Duration kLeasePoll = base::Duration::seconds(1);  // while another sends; each look is a LIST
constexpr base::Duration kNotifierBackoff = base::Duration::seconds(1);

}  // namespace

base::Result<std::vector<notify::TargetConfig>> targets_of(const spec::Branch& branch) {
  std::vector<notify::TargetConfig> targets;
  for (const auto& target : branch.notify) {
    TRY(const auto kind, notify::parse_target_kind(target.kind));
    targets.push_back({.name = target.name, .kind = kind, .urls = target.urls, .secret = target.secret});
  }
  if (targets.empty()) targets.push_back({.name = "stdout", .kind = notify::TargetKind::kStdout, .urls = {}, .secret = ""});
  return targets;
}

void NotifierThread::join() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string NotifierThread::message() const {
  const std::lock_guard lock(mutex_);
  return message_;
}

std::optional<base::Error> NotifierThread::fatal() const {
  const std::lock_guard lock(mutex_);
  return fatal_;
}

bool NotifierThread::wait(base::Duration d) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, std::chrono::microseconds(d.value()), [this] { return stop_; });
}

bool NotifierThread::note(const base::Error& error) {
  const std::lock_guard lock(mutex_);
  message_ = error.message;
  if (error.kind != base::ErrorKind::kInvalid && error.kind != base::ErrorKind::kCorrupt) return true;
  fatal_ = error;
  return false;
}

void NotifierThread::note(const notify::NotifierStatus& status) {
  const std::lock_guard lock(mutex_);
  message_ = status.message;
}

void NotifierThread::run() {
  while (true) {
    if (!notifier_) {
      auto opened = opener_();
      if (!opened) {
        if (!note(opened.error()) || wait(kNotifierBackoff)) return;
        continue;
      }
      notifier_ = std::move(*opened);
    }
    const auto more = notifier_->step();
    if (more) {
      const auto status = notifier_->status();
      note(status);
      if (wait(*more ? base::Duration(0) : status.holds_lease ? kNotifierPoll : kLeasePoll)) return;
      continue;
    }
    if (more.error().kind == base::ErrorKind::kFenced) notifier_.reset();
    if (!note(more.error()) || wait(kNotifierBackoff)) return;
  }
}

}  // namespace headpond::app
