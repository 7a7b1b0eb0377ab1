#include "app/pager_role.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "app/wiring.h"
#include "env/http.h"
#include "notify/notifier.h"
#include "pager/engine.h"

namespace headpond::app {
namespace {

constexpr base::Duration kNotifierPoll = base::Duration::millis(10);
constexpr base::Duration kNotifierBackoff = base::Duration::seconds(1);

base::Result<std::vector<notify::TargetConfig>> targets_of(const spec::Branch& branch) {
  std::vector<notify::TargetConfig> targets;
  for (const auto& target : branch.notify) {
    TRY(const auto kind, notify::parse_target_kind(target.kind));
    targets.push_back({.name = target.name, .kind = kind, .urls = target.urls, .secret = target.secret});
  }
  if (targets.empty()) targets.push_back({.name = "stdout", .kind = notify::TargetKind::kStdout, .urls = {}, .secret = ""});
  return targets;
}

// Steps a notifier on a thread of its own, opening it again when another sender had fenced it.
class NotifierThread {
 public:
  using Opener = std::function<base::Result<std::unique_ptr<notify::Notifier>>()>;
  explicit NotifierThread(Opener opener) : opener_(std::move(opener)), thread_([this] { run(); }) {}
  ~NotifierThread() { join(); }

  // Stops stepping; the notifier stays for drain().
  void join() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  base::Result<void> drain() { return notifier_ ? notifier_->drain() : base::Result<void>{}; }

  std::string message() const {
    const std::lock_guard lock(mutex_);
    return message_;
  }
  std::optional<base::Error> fatal() const {
    const std::lock_guard lock(mutex_);
    return fatal_;
  }

 private:
  bool wait(base::Duration d) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, std::chrono::microseconds(d.value()), [this] { return stop_; });
  }

  // False: ended for good.
  bool note(const base::Error& error) {
    const std::lock_guard lock(mutex_);
    message_ = error.message;
    if (error.kind != base::ErrorKind::kInvalid && error.kind != base::ErrorKind::kCorrupt) return true;
    fatal_ = error;
    return false;
  }

  void note(const notify::NotifierStatus& status) {
    const std::lock_guard lock(mutex_);
    message_ = status.message;
  }

  void run() {
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
        note(notifier_->status());
        if (wait(*more ? base::Duration(0) : kNotifierPoll)) return;
        continue;
      }
      if (more.error().kind == base::ErrorKind::kFenced) notifier_.reset();
      if (!note(more.error()) || wait(kNotifierBackoff)) return;
    }
  }

  const Opener opener_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::string message_;
  std::optional<base::Error> fatal_;
  std::unique_ptr<notify::Notifier> notifier_;
  std::thread thread_;
};

class PagerRole final : public Steppable {
 public:
  PagerRole(std::unique_ptr<env::ObjectStore> checkpoints, std::unique_ptr<pager::Engine> engine, std::unique_ptr<env::HttpClient> http,
            std::shared_ptr<bool> afresh)
      : checkpoints_(std::move(checkpoints)), engine_(std::move(engine)), http_(std::move(http)), afresh_(std::move(afresh)) {}

  void start(NotifierThread::Opener opener) { notifier_ = std::make_unique<NotifierThread>(std::move(opener)); }
  pager::Engine& engine() { return *engine_; }
  env::HttpClient& http() { return *http_; }

  base::Result<bool> step() override {
    if (const auto error = notifier_->fatal()) return std::unexpected(*error);
    auto worked = engine_->step();
    if (engine_->generation() > 0) *afresh_ = false;  // claimed: opened again, it goes on with that one
    return worked;
  }

  // First the evaluation becomes durable, then what it made is sent once more and receipted.
  base::Result<void> drain() override {
    notifier_->join();
    TRY_VOID(engine_->drain());
    return notifier_->drain();
  }

  bronze::BranchStatus status() const override {
    auto status = engine_->status();
    if (status.message.empty()) status.message = notifier_->message();
    return status;
  }

 private:
  std::unique_ptr<env::ObjectStore> checkpoints_;  // null: in the lake
  std::unique_ptr<pager::Engine> engine_;
  std::unique_ptr<env::HttpClient> http_;
  std::shared_ptr<bool> afresh_;
  std::unique_ptr<NotifierThread> notifier_;
};

}  // namespace

base::Result<std::vector<pager::RuleFile>> read_rule_files(const spec::Topology& topology, const spec::Branch& branch) {
  TRY(const auto paths, expand_globs(topology, branch.rules));
  std::vector<pager::RuleFile> files;
  for (const auto& path : paths) {
    TRY(auto text, read_file(path));
    files.push_back({path, std::move(text)});
  }
  return files;
}

Role::Factory pager_factory(Session& session, const spec::Branch& branch, std::function<void(const std::string& page)> print,
                            bool new_generation) {
  return [&session, &branch, print = std::move(print),
          afresh = std::make_shared<bool>(new_generation)]() -> base::Result<std::unique_ptr<Steppable>> {
    TRY(const auto targets, targets_of(branch));
    TRY(const auto files, read_rule_files(session.topology, branch));
    const std::string directory = session.data_directory + "/" + branch.name;
    std::unique_ptr<env::ObjectStore> checkpoints;
    if (branch.state && !branch.state->checkpoints.empty()) {
      TRY(checkpoints, env::open_store(branch.state->checkpoints));
    }
    TRY(auto engine, pager::Engine::open(
                         session.topology, branch, files,
                         {*session.lake, session.paths, *session.clock, *session.random, *session.failpoints, directory, checkpoints.get()},
                         {.new_generation = *afresh}));
    auto role = std::make_unique<PagerRole>(std::move(checkpoints), std::move(engine), env::real_http_client(), afresh);
    notify::NotifierOptions options;
    options.branch = branch.name;
    options.pages_root = session.paths.pages(branch.name);
    options.local_directory = directory + "/notify";
    role->start([&session, targets, options, print, role = role.get()] {
      return notify::Notifier::open(options, targets, role->engine().outbox(),
                                    {*session.lake, *session.clock, *session.random, role->http(), *session.failpoints, print});
    });
    return role;
  };
}

}  // namespace headpond::app
