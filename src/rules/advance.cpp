#include "rules/advance.h"

#include <algorithm>

#include "rules/evaluate.h"
#include "rules/key_state.h"

namespace headpond::rules {
namespace {

constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

// One call of advance(): the decoded state and what it makes.
class Step {
 public:
  Step(const FoldGroup& fold, KeyState state, const Boundaries& boundaries)
      : fold_(fold), state_(std::move(state)), boundaries_(boundaries) {
    sensitive_.resize(fold.counters.size());
  }

  void add(const Partial& partial) {
    const bool settled = boundaries_.from && partial.slice * interval() < boundaries_.from->value();
    for (std::size_t m = 0; m < partial.values.size(); ++m) {
      const bool presence = is_presence(m);
      const std::int64_t value = partial.values[m];
      if (value == (presence ? kNever : 0)) continue;
      if (!settled) {
        auto& into = slice_at(partial.slice).values[m];
        into = presence ? std::max(into, value) : into + value;
      } else {
        behind_ = true;
        keep(m, partial.slice, value);
        missed_ += presence ? 0 : value;
      }
    }
  }

  Advanced run() {
    std::int64_t next = state_.timer.value_or(kForever);
    if (behind_) next = std::min(next, boundaries_.from->value() + interval());
    if (!state_.slices.empty()) next = std::min(next, (state_.slices.front().index + 1) * interval());
    if (boundaries_.to) {
      const std::int64_t to = boundaries_.to->value();
      for (; next <= to; next = next_event(next)) evaluate(next);
      if (held_) next = std::min(next, to + interval());
    }
    if (boundaries_.announce) announce();
    state_.timer = next == kForever ? std::nullopt : std::optional(next);
    Advanced out;
    out.state = encode_state(fold_, state_);
    if (!out.state.empty() && state_.timer) out.timer = base::Micros(*state_.timer);
    out.changes = std::move(changes_);
    out.missed = missed_;
    return out;
  }

 private:
  std::int64_t interval() const { return fold_.interval.value(); }
  bool is_presence(std::size_t m) const { return fold_.measures[m].kind == Measure::Kind::kPresence; }

  KeyState::Slice& slice_at(std::int64_t index) {
    auto it =
        std::lower_bound(state_.slices.begin(), state_.slices.end(), index, [](const auto& s, std::int64_t i) { return s.index < i; });
    if (it != state_.slices.end() && it->index == index) return *it;
    KeyState::Slice slice{index, std::vector<std::int64_t>(fold_.measures.size(), 0)};
    for (std::size_t m = 0; m < fold_.measures.size(); ++m)
      if (is_presence(m)) slice.values[m] = kNever;
    return *state_.slices.insert(it, std::move(slice));
  }

  // Moves one measure of a settled slice into the rings, or into presence.
  void keep(std::size_t m, std::int64_t index, std::int64_t value) {
    if (is_presence(m)) {
      state_.last[m] = std::max(state_.last[m], value);
      return;
    }
    for (std::size_t c = 0; c < fold_.counters.size(); ++c) {
      if (static_cast<std::size_t>(fold_.counters[c].measure) != m) continue;
      const std::int64_t k = floor_div(index * interval(), fold_.counters[c].coarse.value());
      auto& ring = state_.rings[c];
      auto it = std::lower_bound(ring.begin(), ring.end(), k, [](const auto& e, std::int64_t i) { return e.first < i; });
      if (it == ring.end() || it->first != k) it = ring.insert(it, {k, 0});
      it->second += value;
    }
  }

  // Brings the state to boundary `t`: slices before it settle, coarse slices behind every window go.
  void settle(std::int64_t t) {
    auto slice = state_.slices.begin();
    for (; slice != state_.slices.end() && slice->index * interval() < t; ++slice)
      for (std::size_t m = 0; m < fold_.measures.size(); ++m)
        if (slice->values[m] != (is_presence(m) ? kNever : 0)) keep(m, slice->index, slice->values[m]);
    state_.slices.erase(state_.slices.begin(), slice);
    for (std::size_t c = 0; c < fold_.counters.size(); ++c) {
      const std::int64_t first = floor_div(t - fold_.counters[c].window.value(), fold_.counters[c].coarse.value());
      auto& ring = state_.rings[c];
      ring.erase(ring.begin(), std::find_if(ring.begin(), ring.end(), [&](const auto& e) { return e.first >= first; }));
    }
    for (std::size_t m = 0; m < fold_.measures.size(); ++m)
      if (state_.last[m] != kNever && forgotten_at(m) <= t) state_.last[m] = kNever;
  }

  // First boundary at which no rule expects the key by this presence any more.
  std::int64_t forgotten_at(std::size_t m) const {
    std::int64_t until = kNever;
    for (const auto& counter : fold_.counters)
      if (static_cast<std::size_t>(counter.measure) == m) until = std::max(until, expected_until(state_.last[m], counter));
    return until;
  }
  std::int64_t expected_until(std::int64_t last, const Counter& counter) const {
    return (floor_div(last * interval() + counter.seen_within.value(), interval()) + 1) * interval();
  }

  void evaluate(std::int64_t t) {
    settle(t);
    std::fill(sensitive_.begin(), sensitive_.end(), false);
    held_ = false;
    const View view(fold_, state_, t);
    for (std::size_t r = 0; r < fold_.rules.size(); ++r) {
      const Rule& rule = fold_.rules[r];
      Verdict& verdict = state_.verdicts[r];
      const bool rows = view.has_rows(rule);
      verdict.seen = verdict.seen || rows;
      const bool blind = view.blind(rule), holds = !blind && verdict.seen && view.condition(rule.expression);
      if (!blind) apply(r, t, holds, view.value(rule.expression).value_or(0));
      if (!blind && !holds && !rows) verdict.seen = false;  // without rows it stays false: nothing to remember
      // Rows that leave cannot make a false monotone condition true: no need to look then.
      if (blind || holds || !rule.monotone)
        for (const int c : rule.counters) sensitive_[static_cast<std::size_t>(c)] = true;
    }
  }

  void apply(std::size_t r, std::int64_t t, bool holds, double value) {
    const Rule& rule = fold_.rules[r];
    Verdict& v = state_.verdicts[r];
    if (holds && boundaries_.stalled && rule.has_absent) {
      held_ = true;  // absence waits
    } else if (holds) {
      v.cooling = false;
      if (v.firing) return;
      if (!v.pending) v.began = t;
      v.pending = true;
      if (t - v.began >= rule.hold.value()) fire(r, t, value);
    } else if (v.firing && boundaries_.stalled) {
      held_ = true;  // a false verdict leaves firing as it is
    } else if (v.firing) {
      if (!v.cooling) v.cooling_since = t;
      v.cooling = true;
      if (t - v.cooling_since >= rule.keep_firing.value()) resolve(r, t, value);
    } else {
      v.pending = false;
      if (v.announced && t >= v.announced_at) withdraw(r, t, value);
    }
  }

  void change(std::size_t r, TransitionKind kind, std::int64_t seq, std::int64_t boundary, std::int64_t began, double value) {
    Change c;
    c.rule = static_cast<int>(r);
    c.kind = kind;
    c.seq = seq;
    c.boundary = base::Micros(boundary);
    c.began_at = base::Micros(began);
    c.value = value;
    changes_.push_back(c);
  }

  void fire(std::size_t r, std::int64_t t, double value) {
    Verdict& v = state_.verdicts[r];
    change(r, TransitionKind::kFiring, ++v.seq, t, v.began, value);
    changes_.back().settles_announcement = v.announced;
    v.pending = v.announced = v.cooling = false;
    v.firing = true;
    v.fired_at = t;
    v.value = value;
  }

  void resolve(std::size_t r, std::int64_t t, double value) {
    Verdict& v = state_.verdicts[r];
    change(r, TransitionKind::kResolved, ++v.seq, t, v.began, value);
    v.firing = v.cooling = false;
  }

  // An announcement that a rule edit made untrue: its firing and its resolve, so that the track still alternates.
  void withdraw(std::size_t r, std::int64_t t, double value) {
    Verdict& v = state_.verdicts[r];
    v.began = v.announced_at;
    const double announced_value = v.value;
    fire(r, v.announced_at, announced_value);
    resolve(r, t, value);
  }

  // The first boundary after `t` at which a verdict may differ though no row arrives, or something can be forgotten.
  std::int64_t next_event(std::int64_t t) const {
    std::int64_t next = kForever;
    const auto at = [&](std::int64_t boundary) {
      if (boundary > t) next = std::min(next, boundary);
    };
    if (!state_.slices.empty()) at((state_.slices.front().index + 1) * interval());
    for (std::size_t c = 0; c < fold_.counters.size(); ++c) {
      const Counter& counter = fold_.counters[c];
      const auto& ring = state_.rings[c];
      if (!ring.empty()) at(((sensitive_[c] ? ring.front() : ring.back()).first + 1) * counter.coarse.value() + counter.window.value());
      const std::int64_t last = state_.last[static_cast<std::size_t>(counter.measure)];
      if (last != kNever && is_presence(static_cast<std::size_t>(counter.measure))) {
        at((last + 1) * interval() + counter.window.value());
        at(expected_until(last, counter));
      }
      if (counter.valid_from.value() != kNever) at(ceil_to(counter.valid_from.value() + counter.window.value(), interval()));
    }
    for (std::size_t r = 0; r < fold_.rules.size(); ++r) {
      const Verdict& v = state_.verdicts[r];
      if (v.pending) at(ceil_to(v.began + fold_.rules[r].hold.value(), interval()));
      if (v.cooling) at(ceil_to(v.cooling_since + fold_.rules[r].keep_firing.value(), interval()));
      if (v.announced) at(v.announced_at);
    }
    return next;
  }

  // Fires ahead of the settled track where the condition already holds at a boundary to come and can only become truer.
  void announce() {
    std::vector<std::int64_t> ahead;
    if (boundaries_.to) ahead.push_back(boundaries_.to->value() + interval());
    for (const auto& slice : state_.slices) {
      const std::int64_t t = (slice.index + 1) * interval();
      if (ahead.empty() || ahead.back() < t) ahead.push_back(t);
    }
    for (std::size_t r = 0; r < fold_.rules.size(); ++r) {
      Verdict& v = state_.verdicts[r];
      if (!fold_.rules[r].announceable() || v.firing || v.announced) continue;
      for (const std::int64_t t : ahead) {
        const View view(fold_, state_, t);
        if (view.blind(fold_.rules[r]) || !view.condition(fold_.rules[r].expression)) continue;
        v.announced = true;
        v.announced_at = t;
        v.value = view.value(fold_.rules[r].expression).value_or(0);
        change(r, TransitionKind::kFiring, v.seq + 1, t, t, v.value);
        changes_.back().announced = true;
        break;
      }
    }
  }

  const FoldGroup& fold_;
  KeyState state_;
  const Boundaries& boundaries_;
  std::vector<bool> sensitive_;  // by counter: a slice that leaves could change a verdict
  bool held_ = false;            // a verdict waits for the stall to end: look again at the next boundary
  bool behind_ = false;
  std::int64_t missed_ = 0;
  std::vector<Change> changes_;
};

}  // namespace

base::Result<Advanced> advance(const FoldGroup& fold, std::string_view state, std::span<const Partial> partials,
                               const Boundaries& boundaries) {
  TRY(KeyState decoded, decode_state(fold, state));
  Step step(fold, std::move(decoded), boundaries);
  for (const auto& partial : partials) step.add(partial);
  return step.run();
}

base::Result<std::vector<Change>> open_changes(const FoldGroup& fold, std::string_view state) {
  TRY(const KeyState decoded, decode_state(fold, state));
  std::vector<Change> open;
  for (std::size_t r = 0; r < fold.rules.size(); ++r) {
    const Verdict& v = decoded.verdicts[r];
    if (!v.firing && !v.announced) continue;
    Change c;
    c.rule = static_cast<int>(r);
    c.seq = v.firing ? v.seq : v.seq + 1;
    c.announced = !v.firing;
    c.boundary = base::Micros(v.firing ? v.fired_at : v.announced_at);
    c.began_at = base::Micros(v.firing ? v.began : v.announced_at);
    c.value = v.value;
    open.push_back(c);
  }
  return open;
}

base::Result<Advanced> close_rules(const FoldGroup& fold, std::string_view state, base::Micros boundary, std::span<const int> rules) {
  TRY(KeyState decoded, decode_state(fold, state));
  Advanced out;
  for (const int r : rules) {
    Verdict& v = decoded.verdicts[static_cast<std::size_t>(r)];
    const auto change = [&](TransitionKind kind, base::Micros at, std::int64_t began, double value, bool settles) {
      Change c;
      c.rule = r;
      c.kind = kind;
      c.seq = ++v.seq;
      c.settles_announcement = settles;
      c.boundary = at;
      c.began_at = base::Micros(began);
      c.value = value;
      out.changes.push_back(c);
    };
    const std::int64_t began = v.firing ? v.began : v.announced_at;
    if (v.announced) change(TransitionKind::kFiring, base::Micros(began), began, v.value, true);
    if (v.firing || v.announced) change(TransitionKind::kResolved, boundary, began, 0, false);
    const std::int64_t seq = v.seq;
    v = Verdict();
    v.seq = seq;
  }
  out.state = encode_state(fold, decoded);
  if (!out.state.empty() && decoded.timer) out.timer = base::Micros(*decoded.timer);
  return out;
}

base::Result<std::string> wake(const FoldGroup& fold, std::string_view state, base::Micros boundary) {
  TRY(KeyState decoded, decode_state(fold, state));
  decoded.timer = std::min(decoded.timer.value_or(kForever), boundary.value());
  return encode_state(fold, decoded);
}

base::Result<std::string> seed_seq(const FoldGroup& fold, std::string_view state, int rule, std::int64_t seq) {
  TRY(KeyState decoded, decode_state(fold, state));
  auto& v = decoded.verdicts[static_cast<std::size_t>(rule)];
  v.seq = std::max(v.seq, seq);
  return encode_state(fold, decoded);
}

base::Result<std::vector<std::pair<int, std::int64_t>>> seqs(const FoldGroup& fold, std::string_view state) {
  TRY(const KeyState decoded, decode_state(fold, state));
  auto out = decoded.retired;
  for (std::size_t r = 0; r < fold.rules.size(); ++r)
    if (decoded.verdicts[r].seq > 0) out.emplace_back(fold.rules[r].id, decoded.verdicts[r].seq);
  return out;
}

}  // namespace headpond::rules
