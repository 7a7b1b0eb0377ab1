// Runs many worlds and says what it found: a violation is one line, with the command that repeats exactly that world.
#pragma once

#include <cstdint>
#include <string>

#include "sim/plants.h"

namespace headpond::sim {

struct HuntOptions {
  std::string program = "headpond_sim";  // for the line that repeats a run
  std::uint64_t seed = 1;
  int runs = 1, steps = 400, times = 1;
  bool rows = false;
  std::string trace;  // a file, empty: none; of the last run
  Plant plant = Plant::kNone;
};

// These return an exit code: 0 nothing found, 1 found.
int hunt(const HuntOptions& options);
// Every planted bug is found within its seeds, and the seeds that find it are clean without it.
int hunt_plants(const HuntOptions& options);
// The fixed seeds, as many fresh ones, the same seed twice, the planted bugs; `times` as many of each but the last.
int suite(const HuntOptions& options);

// The command that repeats the run that is going on.
const std::string& replay_line();

}  // namespace headpond::sim
