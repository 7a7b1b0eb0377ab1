// The rules of the plan, each a function that gives its verdict on one branch. Internal to plan.
#pragma once

#include <vector>

#include "plan/costs.h"

namespace headpond::plan {

struct Facts {  // of the whole, for rules that look beyond one branch
  const spec::Topology& topology;
  const Load& load;
  bool one_rhythm = false;  // every written branch has the same written rhythm, though the computed ones differ
};

const spec::Consumer* find_consumer(const spec::Topology& topology, const std::string& name);

// Fills plan.verdicts. Requires everything else of it to be computed.
void judge(const Facts& facts, BranchPlan& plan);

// "2m21s", "9.5s", "22h": a time for people, three digits at most.
std::string time_text(double seconds);
// As written: "24h" rather than "1d".
std::string promise_text(base::Duration promise);
// The needs: 4.7, 0.47, 0.002.
std::string need_text(double need);
// "$49,093"
std::string usd_text(double usd);
// Groups of three: "578,704"; below 100 two digits: "2.5".
std::string count_text(double value);
// The next round time at or above `seconds` ("3m").
std::string round_up_text(double seconds);

}  // namespace headpond::plan
