// The cost model: what runs cost at a rate, and where each figure comes from. Internal to plan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace headpond::plan {

// Cost of one engine family at one rhythm.
struct RunCost {
  double ns_per_event = 0;
  double fixed_s = 0;  // of each run, however small
  double memory_gb = 0;
  bool one_thread = false;  // runs on one core, not on all of expect.cores
};

// What the topology expects, with the gaps filled.
struct Load {
  double events_per_day = 0, mean = 0, peak = 0;  // events/s
  double bytes_per_event = 0;
  int cores = 0, partitions = 0;
  double commit_interval_s = 1, max_clock_error_s = 0.5;
  bool local = false;  // the lake is a directory: its requests cost nothing
};
Load load_of(const spec::Topology& topology);

RunCost run_cost(spec::Rhythm rhythm, const std::string& engine);
bool is_embedded(const std::string& engine);

// The run of one branch at one rhythm.
struct Run {
  double events = 0;    // it reads, at the dimensioning rate
  double period_s = 0;  // from the start of one run to the next
  double core_seconds = 0;
  double seconds = 0;      // from its start to its end
  int cores = 0;           // it runs on
  double staleness_s = 0;  // of its answer
};
// Requires branch.trigger and branch.schedule to be the ones to run with (absent: 1 m, 02:00).
Run run_of(const spec::Branch& branch, int tier, spec::Rhythm rhythm, const std::string& engine, const Load& load);
Capacity capacity_of(const spec::Branch& branch, int tier, spec::Rhythm rhythm, const std::string& engine, const Load& load,
                     const spec::Prices& prices);
Capacity ingest_capacity(const Load& load, const spec::Prices& prices);

// Wait from a day's close (midnight, UTC) to its scheduled run: the longest there is.
double schedule_wait_s(const std::optional<std::string>& schedule);

double bronze_bytes_at_rest(const Load& load, base::Duration retention);
std::vector<Assumption> assumptions_of(const spec::Topology& topology, const Plan& plan);

inline constexpr const char* kDefaultSchedule = "0 2 * * *";

}  // namespace headpond::plan
