// A pager's notifier on a thread of its own, so that a slow target never holds up what makes the pages.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "notify/notifier.h"
#include "spec/topology.h"

namespace headpond::app {

// What the branch's `notify` names; stdout when it names nothing. Errors: kInvalid: a target.
base::Result<std::vector<notify::TargetConfig>> targets_of(const spec::Branch& branch);

// Steps a notifier, opening it again when another sender had fenced it.
class NotifierThread {
 public:
  using Opener = std::function<base::Result<std::unique_ptr<notify::Notifier>>()>;
  explicit NotifierThread(Opener opener) : opener_(std::move(opener)), thread_([this] { run(); }) {}
  ~NotifierThread() { join(); }

  void join();  // stops stepping; the notifier stays for drain()
  base::Result<void> drain() { return notifier_ ? notifier_->drain() : base::Result<void>{}; }
  std::string message() const;
  std::optional<base::Error> fatal() const;

 private:
  bool wait(base::Duration d);
  bool note(const base::Error& error);  // false: ended for good
  void note(const notify::NotifierStatus& status);
  void run();

  const Opener opener_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::string message_;
  std::optional<base::Error> fatal_;
  std::unique_ptr<notify::Notifier> notifier_;
  std::thread thread_;
};

}  // namespace headpond::app
