// A change of one alert's state: what the pager's engine makes and its notifier delivers. Definitions: docs/formats/pager.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace headpond::rules {

enum class TransitionKind { kFiring, kResolved };
std::string_view to_string(TransitionKind kind);  // "firing", "resolved"

// Identity; everything else is payload. Odd seq = firing, even = resolved; episode = (seq + 1) / 2.
struct TransitionId {
  std::int64_t generation = 0;
  std::string rule;  // "<group>/<alert>"
  std::string key;   // canonical JSON object of the `by` labels, keys in `by` order: {"tenant":"t1","service":"api"}
  std::int64_t seq = 0;
  auto operator<=>(const TransitionId&) const = default;
};

struct Transition {
  TransitionId id;
  TransitionKind kind = TransitionKind::kFiring;
  bool announced = false;  // emitted ahead of the settled track
  // The settled began_at and value of a firing that was announced before, under the same identity: recorded, never sent.
  bool settles_announcement = false;
  // False: settled before this generation was claimed: recorded, not sent. What is still firing at the claim comes again with true.
  bool send = true;
  base::Micros boundary;  // T at which the condition holds (or ceased to)
  base::Micros began_at;  // of the episode
  double value = 0;
  base::Version version{-1};                       // that settled or announced it
  std::map<std::string, std::string> labels;       // alertname and `by` labels included
  std::map<std::string, std::string> annotations;  // rendered
  std::vector<std::string> incomplete;             // "partition 7: no leader" when stalled partitions were left out
  // Evidence.
  base::Duration window;  // the longest one of the rule
  int limit = 0;          // pages of this rule at a time; the notifier sums up the excess; 0 = none
  base::Version evidence_first{-1}, evidence_last{-1};
  std::vector<std::string> samples;  // up to three rows, each a JSON object
  std::string sql;                   // the `headpond sql` line that shows the rest
};

}  // namespace headpond::rules
