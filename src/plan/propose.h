// Branches for the consumers that no written branch serves. Internal to plan.
#pragma once

#include <vector>

#include "spec/topology.h"

namespace headpond::plan {

// One a tier, engine `auto`; rhythm left open.
std::vector<spec::Branch> propose_branches(const spec::Topology& topology);
// Once the rhythm is known: what it brings along (a stream's state, a dashboard's window).
void complete_proposal(const spec::Topology& topology, spec::Branch& branch);

}  // namespace headpond::plan
