// What a change becomes: a transition with the names and rendered texts of its rule. The same for every engine. Pure; threads: any.
#pragma once

#include <string>

#include "rules/advance.h"
#include "rules/program.h"
#include "rules/transition.h"

namespace headpond::rules {

// The generation of a state, and when it was claimed: what settled before is recorded, not sent.
struct Claim {
  std::int64_t generation = 0;
  base::Micros claimed_at{0};
};

// `key` as key_json() makes it. Evidence and `incomplete` are left to the caller.
Transition transition_of(const FoldGroup& fold, const Change& change, const std::string& key, const Claim& claim, base::Version version);

}  // namespace headpond::rules
