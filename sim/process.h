// One ingester process: its clocks, its view of the store, its engine; it may die in any call it makes. Private to the simulation.
// Threads: one at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "env/clock.h"
#include "env/failpoints.h"
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

struct Process {
  explicit Process(int number, const std::int64_t& now_us) : index(number), clock(now_us) {}

  int index;
  ProcessClock clock;
  ProcessFailpoints failpoints;
  std::unique_ptr<LakeView> lake;  // of the run of the engine
  std::unique_ptr<env::Random> random;
  std::unique_ptr<ingest::Engine> engine;
  bool dead = false;     // it dies when the call it is in returns
  bool running = false;  // a call into its engine is on the stack
  int instance = -1;
  int generation = 0;  // as of its topology
  int failures = 0;
  std::int64_t resumes_us = 0;  // down or paused until then
};

}  // namespace headpond::sim
