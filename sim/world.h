// One run: a world from a seed, the real ingest engines in it, and what the checkers say. One seed gives one run, to the bit.
//
//   sim::Run run = sim::run({.seed = 7, .steps = 400});
//   if (run.violation) …
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "sim/plants.h"

namespace headpond::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  int steps = 400;  // before everything calms down
  Plant plant = Plant::kNone;
  bool rows = false;           // also read every row of the table, by DuckDB
  std::FILE* trace = nullptr;  // borrowed
};

struct Run {
  std::optional<std::string> violation;
  std::uint64_t trace_hash = 0;
  std::int64_t trace_lines = 0;
  // What happened, so that a hunt can tell that it happens at all.
  std::int64_t versions = 0, rows = 0, gaps = 0;
  int opens = 0, crashes = 0, fences = 0, recovered = 0, late_writes = 0, rebalances = 0, stops = 0, generations = 0;
};

Run run(const RunOptions& options);

}  // namespace headpond::sim
