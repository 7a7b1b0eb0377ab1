// A rule's condition at one boundary over the state of one key. Pure; threads: any.
#pragma once

#include <cstdint>
#include <optional>

#include "rules/key_state.h"
#include "rules/program.h"

namespace headpond::rules {

// What a key's state shows at boundary `at` (µs): settled rings, presence, and the slices in hand that begin before it.
class View {
 public:
  View(const FoldGroup& fold, const KeyState& state, std::int64_t at) : fold_(fold), state_(state), at_(at) {}

  bool condition(const Expression& e) const;
  // What {{ $value }} shows: of a comparison the side that is not constant, of `and` the left, of `or` the side that holds, of absent(…)
  // the seconds since the last such row. None: ÷ 0, or not seen within `seen_within`.
  std::optional<double> value(const Expression& e) const;
  // A counter has not yet seen its whole window: the rule has no verdict.
  bool blind(const Rule& rule) const;
  // Rows that the rule counts are in one of its windows, or its presence is not older than its own seen_within.
  bool has_rows(const Rule& rule) const;

 private:
  std::optional<double> number(const Expression& e) const;
  double count(const Counter& counter, std::size_t ring) const;
  bool expected(const Counter& counter) const;  // presence not older than seen_within
  bool absent(const Counter& counter) const;

  const FoldGroup& fold_;
  const KeyState& state_;
  std::int64_t at_;
};

}  // namespace headpond::rules
