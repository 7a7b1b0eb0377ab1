// The state of one (fold group, key): fine slices not yet settled, rings of coarse ones behind, presence, and each rule's verdict.
// Bytes: docs/formats/pager.md. Pure; values; threads: any.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rules/program.h"

namespace headpond::rules {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();

// Largest k with k·step ≤ t.
constexpr std::int64_t floor_div(std::int64_t t, std::int64_t step) {
  return t / step - (t % step < 0 ? 1 : 0);
}
// Smallest multiple of `step` that is ≥ t.
constexpr std::int64_t ceil_to(std::int64_t t, std::int64_t step) {
  return -floor_div(-t, step) * step;
}

struct Verdict {
  bool seen = false;  // rows the rule counts have been there; an unseen key is not evaluated
  bool pending = false, firing = false, announced = false, cooling = false;
  std::int64_t seq = 0;            // of the last settled transition
  std::int64_t began = 0;          // µs; while pending, firing
  std::int64_t fired_at = 0;       // boundary, µs; while firing
  double value = 0;                // when it fired or was announced
  std::int64_t cooling_since = 0;  // µs: first boundary found false; while cooling
  std::int64_t announced_at = 0;   // boundary, µs; while announced
  bool idle() const { return !seen && !pending && !firing && !announced && seq == 0; }
};

struct KeyState {
  struct Slice {
    std::int64_t index = 0;            // start / interval
    std::vector<std::int64_t> values;  // by measure: a count; of presence the newest slice of ts, kNever = none
  };
  using Ring = std::vector<std::pair<std::int64_t, std::int64_t>>;  // coarse index → count, rising

  std::optional<std::int64_t> timer;                  // µs: the next boundary at which something changes without rows
  std::vector<Slice> slices;                          // rising by index
  std::vector<Ring> rings;                            // by counter; empty for presence
  std::vector<std::int64_t> last;                     // by measure: newest slice of ts with presence, kNever = none
  std::vector<Verdict> verdicts;                      // by rule
  std::vector<std::pair<int, std::int64_t>> retired;  // rule id → seq, of rules the program does not have

  bool empty() const;
};

// An empty text is the state of a key never seen. What `fold` does not know is left out, but a seq stays.
// Errors: kCorrupt; kInvalid: written by a newer format.
base::Result<KeyState> decode_state(const FoldGroup& fold, std::string_view bytes);
// Empty when nothing is worth keeping.
std::string encode_state(const FoldGroup& fold, const KeyState& state);
// Reads only the timer. Requires bytes made by encode_state.
std::optional<std::int64_t> timer_of(std::string_view bytes);

}  // namespace headpond::rules
