// One role of Headpond (ingest, a branch, the notifier) on a thread of its own: opens its engine, steps it, and when it fails opens it
// again with backoff. A role never takes another down.
//
//   Role role({.name = "incident-pager", .kind = "pager"}, [&] { return open_pager(…); });
//   role.start();  …  role.stop();      // stop() drains the engine
//
// Threads: start/stop from one; status from any.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "bronze/cursor.h"

namespace headpond::app {

// What app needs of an engine; adapt<E>() makes one of any engine of the usual shape.
class Steppable {
 public:
  virtual ~Steppable() = default;
  virtual base::Result<bool> step() = 0;
  virtual base::Result<void> drain() = 0;
  virtual bronze::BranchStatus status() const = 0;
  // There is nothing left to do for good but drain().
  virtual bool finished() const { return false; }
  // A long step ends soon, with an error. Threads: any.
  virtual void interrupt() {}
};

template <class E>
class Adapter final : public Steppable {
 public:
  explicit Adapter(std::unique_ptr<E> engine) : engine_(std::move(engine)) {}
  base::Result<bool> step() override { return engine_->step(); }
  base::Result<void> drain() override { return engine_->drain(); }
  bronze::BranchStatus status() const override { return engine_->status(); }
  bool finished() const override {
    if constexpr (requires { engine_->finished(); }) return engine_->finished();
    return false;
  }
  void interrupt() override {
    if constexpr (requires { engine_->interrupt(); }) engine_->interrupt();
  }

 private:
  std::unique_ptr<E> engine_;
};

template <class E>
base::Result<std::unique_ptr<Steppable>> adapt(base::Result<std::unique_ptr<E>> engine) {
  if (!engine) return std::unexpected(std::move(engine).error());
  return std::make_unique<Adapter<E>>(std::move(*engine));
}

struct RoleOptions {
  std::string name;  // of the branch; "ingest" for ingest
  std::string kind;
  std::string engine = "embedded";
  double promise_s = 0;
  int nice = 0;
  bool first_open_must_succeed = false;  // ingest: a broker or topic that is not there is said at once, not retried for ever
  base::Duration idle_poll = base::Duration::millis(20);
};

class Role {
 public:
  using Factory = std::function<base::Result<std::unique_ptr<Steppable>>()>;
  // Called from the role's thread at each event worth a line: "starting again in 2s: …".
  using Log = std::function<void(const std::string& role, const std::string& line)>;

  Role(RoleOptions options, Factory factory, Log log);
  ~Role();

  void start();
  void ask_to_stop();  // returns at once
  void stop();         // drains and joins
  bronze::BranchStatus status() const;
  // The error that ended it for good (the user's input, damage), if any.
  std::optional<base::Error> fatal() const;
  // It has done all there was to do, for good.
  bool finished() const;

 private:
  void run();
  base::Result<void> run_engine(Steppable& engine);
  void fail(const base::Error& error, bool for_good);
  bool wait(base::Duration d);  // true = asked to stop
  bool stopping() const;

  const RoleOptions options_;
  const Factory factory_;
  const Log log_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  Steppable* current_ = nullptr;  // while its engine runs
  bronze::BranchStatus last_;
  std::optional<base::Error> fatal_;
  bool finished_ = false;
  int failures_ = 0;
  bool opened_ = false;  // an engine has been open once
};

}  // namespace headpond::app
