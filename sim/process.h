// One ingester process: its clocks, its view of the store, its engine; it may die in any call it makes. Private to the simulation.
// Threads: one at a time.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "env/clock.h"
#include "env/failpoints.h"
#include "env/worker.h"
#include "ingest/engine.h"
#include "sim/lake.h"

namespace headpond::sim {

class ProcessClock final : public env::Clock {
 public:
  explicit ProcessClock(const std::int64_t& now_us) : now_us_(now_us) {}
  base::Micros now() override { return base::Micros(now_us_ + offset_us); }
  base::Duration monotonic() override { return base::Duration(now_us_ - kBoot); }
  std::int64_t offset_us = 0;

 private:
  static constexpr std::int64_t kBoot = 1'794'000'000'000'000;
  const std::int64_t& now_us_;
};

class ProcessFailpoints final : public env::Failpoints {
 public:
  std::function<void()> on_reach;
  void reach(std::string_view) override { on_reach(); }
};

// A worker that does a task when the world lets it; all at once while `prompt`.
class LazyWorker final : public env::Worker {
 public:
  LazyWorker(LazyWorker*& place, const bool& prompt) : place_(place), prompt_(prompt) { place_ = this; }
  ~LazyWorker() override {
    run_all();
    if (place_ == this) place_ = nullptr;
  }
  void post(std::function<void()> task) override {
    tasks_.push_back(std::move(task));
    if (prompt_) run_all();
  }
  bool idle() const { return tasks_.empty(); }
  void run_one() {
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }
  void run_all() {
    while (!tasks_.empty()) run_one();
  }

 private:
  LazyWorker*& place_;
  const bool& prompt_;
  std::deque<std::function<void()>> tasks_;
};

struct Process {
  explicit Process(int number, const std::int64_t& now_us) : index(number), clock(now_us) {}

  int index;
  ProcessClock clock;
  ProcessFailpoints failpoints;
  std::unique_ptr<LakeView> lake;  // of the run of the engine
  std::unique_ptr<env::Random> random;
  std::unique_ptr<ingest::Engine> engine;
  bool dead = false;        // it dies when the call it is in returns
  bool running = false;     // a call into its engine is on the stack
  bool publishing = false;  // a task of its publisher is
  bool prompt = true;       // its publisher does everything at once
  bool ended = false;       // its engine is to go as soon as its publisher's task is done
  std::int64_t down_us = 0;
  LazyWorker* publisher = nullptr;
  int instance = -1;
  std::int64_t versions = 0;  // of the table when its engine began to open
  int generation = 0;         // as of its topology
  int failures = 0;
  std::int64_t resumes_us = 0;  // down or paused until then
};

}  // namespace headpond::sim
