// What kind of world a seed gives. Values.
#pragma once

#include <cstdint>

#include "sim/dice.h"

namespace headpond::sim {

struct Profile {
  int partitions = 1;
  int engines = 1;
  enum class Owners { kEverything, kShares, kGroup } owners = Owners::kEverything;  // what each process believes to own
  int lanes = 1;                                                                    // of each process
  bool lazy_publisher = false;                                                      // commits are published while the engine goes on
  bool log_append_time = false, transactions = false, compacted = false;
  bool becomes_compacted = false;
  bool start_latest = false;
  bool wild_clock = false;  // wall clocks jump by hours; otherwise they stay within max_clock_error
  bool leader_changes = false, truncations = false, recreations = false, grows = false;
  bool retention = false;         // the log start moves, also beyond what was read
  bool accept_loss = false;       // from the start; else only once an engine has stopped for it
  double produce = 0.5;           // records wanted per tick
  double store_faults = 0;        // a call
  double crashes = 0;             // a step
  double pauses = 0;              // a step: a process stands still for up to 30 s
  double broker_faults = 0;       // a question
  double interleave = 0;          // a call to the store lets another process take a step
  std::int64_t store_us_max = 0;  // latency of a call
  std::int64_t step_us_max = 0;   // time between two steps
  std::int64_t start_us = 0;      // the true time at which the world begins

  static Profile of(std::uint64_t seed);
};

}  // namespace headpond::sim
