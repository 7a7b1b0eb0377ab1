// What befalls the broker as time passes: producers, transactions, compaction, retention, elections, re-creation.
// Threads: one at a time.
#pragma once

#include <cstdint>

#include "sim/broker.h"
#include "sim/dice.h"
#include "sim/profile.h"
#include "sim/trace.h"

namespace headpond::sim {

class Weather {
 public:
  Weather(const Profile& profile, Broker& broker, Dice& dice, Trace& trace)
      : profile_(profile), broker_(broker), dice_(dice), trace_(trace) {}
  // `elapsed_us` have passed, and it is `now_us`.
  void pass(std::int64_t elapsed_us, std::int64_t now_us);
  // Nothing is produced any more, every transaction ends, every partition has a leader.
  void calm(std::int64_t now_us);

 private:
  void produce(std::int64_t now_us);
  void transactions(std::int64_t now_us);
  void upkeep(std::int64_t now_us);
  void elections(std::int64_t now_us);
  void topic(std::int64_t now_us);
  Record draft(std::int64_t now_us);
  std::int64_t timestamp(std::int64_t now_us);
  int any_partition() { return static_cast<int>(dice_.below(static_cast<std::int64_t>(broker_.topic().partitions.size()))); }

  const Profile& profile_;
  Broker& broker_;
  Dice& dice_;
  Trace& trace_;
  std::int64_t count_ = 0;
  double owed_ = 0;
  std::int64_t created_again_us_ = -1;
};

}  // namespace headpond::sim
