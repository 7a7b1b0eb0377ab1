// The rule state machine: `advance(state of one key, partials, boundary) → state', transitions`. A pure function over bytes, the same in
// the embedded engine and inside Flink. Definitions: docs/formats/pager.md, "How it evaluates".
//
// Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "rules/program.h"
#include "rules/transition.h"

namespace headpond::rules {

// What one version's rows of one key add to one fine slice. The slice of a late row is that of arrival − lateness, of another that of ts.
struct Partial {
  std::int64_t slice = 0;            // start / interval
  std::vector<std::int64_t> values;  // by measure: a count (late rows left out); of presence the newest slice of ts, kNever = none
};

struct Boundaries {
  std::optional<base::Micros> from;  // settled before this version; none: nothing was
  std::optional<base::Micros> to;    // settled by this version (≥ from); none: nothing is settled yet
  bool stalled = false;              // a partition in force was left out of `to`
  bool announce = true;              // look ahead of the settled track
};

// A transition without the names and texts around it.
struct Change {
  int rule = 0;  // index into FoldGroup::rules
  TransitionKind kind = TransitionKind::kFiring;
  std::int64_t seq = 0;
  bool announced = false, settles_announcement = false;
  base::Micros boundary, began_at;
  double value = 0;
};

struct Advanced {
  std::string state;                  // empty: forget the key
  std::optional<base::Micros> timer;  // call again, even without partials, when a version settles this boundary
  std::vector<Change> changes;        // in order of boundary
  std::int64_t missed = 0;            // rows that came behind the settled boundary
};

// Errors: those of decode_state().
base::Result<Advanced> advance(const FoldGroup& fold, std::string_view state, std::span<const Partial> partials,
                               const Boundaries& boundaries);

// What the key has open: firing or announced, as transitions that say so again.
base::Result<std::vector<Change>> open_changes(const FoldGroup& fold, std::string_view state);

// Resolves what the key has open of the rules at these indexes, with its next seq, and forgets what they waited for.
base::Result<Advanced> close_rules(const FoldGroup& fold, std::string_view state, base::Micros boundary, std::span<const int> rules);

// Has the key looked at again at `boundary`, though no row arrives: after a rule edit.
base::Result<std::string> wake(const FoldGroup& fold, std::string_view state, base::Micros boundary);

// Lets a rule go on behind `seq`, which it reached in another fold group.
base::Result<std::string> seed_seq(const FoldGroup& fold, std::string_view state, int rule, std::int64_t seq);

// The last seq of each rule the bytes know, by rule id, retired ones included.
base::Result<std::vector<std::pair<int, std::int64_t>>> seqs(const FoldGroup& fold, std::string_view state);

}  // namespace headpond::rules
