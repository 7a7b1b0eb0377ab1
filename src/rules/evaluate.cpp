#include "rules/evaluate.h"

#include <algorithm>

namespace headpond::rules {

double View::count(const Counter& counter, std::size_t ring) const {
  const std::int64_t first = floor_div(at_ - counter.window.value(), counter.coarse.value());
  std::int64_t total = 0;
  for (const auto& [k, n] : state_.rings[ring])
    if (k >= first) total += n;
  const std::int64_t from = first * counter.coarse.value() / fold_.interval.value();  // exact: coarse is a multiple of interval
  auto slice =
      std::lower_bound(state_.slices.begin(), state_.slices.end(), from, [](const auto& s, std::int64_t i) { return s.index < i; });
  for (; slice != state_.slices.end() && slice->index * fold_.interval.value() < at_; ++slice)
    total += slice->values[static_cast<std::size_t>(counter.measure)];
  return static_cast<double>(total);
}

bool View::expected(const Counter& counter) const {
  const std::int64_t last = state_.last[static_cast<std::size_t>(counter.measure)];
  return last != kNever && last * fold_.interval.value() >= at_ - counter.seen_within.value();
}

bool View::absent(const Counter& counter) const {
  const std::int64_t last = state_.last[static_cast<std::size_t>(counter.measure)];
  return expected(counter) && last * fold_.interval.value() < at_ - counter.window.value();
}

std::optional<double> View::number(const Expression& e) const {
  if (e.kind == Expression::Kind::kNumber) return e.number;
  if (e.kind == Expression::Kind::kCount)
    return count(fold_.counters[static_cast<std::size_t>(e.counter)], static_cast<std::size_t>(e.counter));
  const auto left = number(e.children[0]), right = number(e.children[1]);
  if (!left || !right) return std::nullopt;
  switch (e.kind) {
    case Expression::Kind::kAdd: return *left + *right;
    case Expression::Kind::kSubtract: return *left - *right;
    case Expression::Kind::kMultiply: return *left * *right;
    case Expression::Kind::kDivide: return *right == 0 ? std::nullopt : std::optional(*left / *right);
    default: return std::nullopt;
  }
}

bool View::condition(const Expression& e) const {
  switch (e.kind) {
    case Expression::Kind::kAnd: return condition(e.children[0]) && condition(e.children[1]);
    case Expression::Kind::kOr: return condition(e.children[0]) || condition(e.children[1]);
    case Expression::Kind::kAbsent: return absent(fold_.counters[static_cast<std::size_t>(e.counter)]);
    default: break;
  }
  const auto left = number(e.children[0]), right = number(e.children[1]);
  if (!left || !right) return false;
  switch (e.comparison) {
    case Comparison::kLess: return *left < *right;
    case Comparison::kLessEqual: return *left <= *right;
    case Comparison::kEqual: return *left == *right;
    case Comparison::kNotEqual: return *left != *right;
    case Comparison::kGreaterEqual: return *left >= *right;
    case Comparison::kGreater: return *left > *right;
  }
  return false;
}

std::optional<double> View::value(const Expression& e) const {
  switch (e.kind) {
    case Expression::Kind::kCompare: return number(e.children[e.children[0].is_constant() ? 1 : 0]);
    case Expression::Kind::kAnd: return value(e.children[0]);
    case Expression::Kind::kOr: return value(e.children[condition(e.children[0]) || !condition(e.children[1]) ? 0 : 1]);
    case Expression::Kind::kAbsent: {
      const auto& counter = fold_.counters[static_cast<std::size_t>(e.counter)];
      if (!expected(counter)) return std::nullopt;
      const std::int64_t last = state_.last[static_cast<std::size_t>(counter.measure)];
      return static_cast<double>(at_ - last * fold_.interval.value()) / 1e6;
    }
    default: return number(e);
  }
}

bool View::blind(const Rule& rule) const {
  for (const int c : rule.counters) {
    const auto& counter = fold_.counters[static_cast<std::size_t>(c)];
    if (counter.valid_from.value() != kNever && at_ - counter.window.value() < counter.valid_from.value()) return true;
  }
  return false;
}

bool View::has_rows(const Rule& rule) const {
  for (const int c : rule.counters) {
    const auto& counter = fold_.counters[static_cast<std::size_t>(c)];
    const bool presence = fold_.measures[static_cast<std::size_t>(counter.measure)].kind == Measure::Kind::kPresence;
    if (presence ? expected(counter) : count(counter, static_cast<std::size_t>(c)) > 0) return true;
  }
  return false;
}

}  // namespace headpond::rules
