#include "pager/evaluator.h"

#include <set>

#include "base/time.h"
#include "rules/fold.h"
#include "rules/key_state.h"
#include "rules/transition_of.h"

namespace headpond::pager {

rules::Transition Evaluator::transition(const rules::FoldGroup& fold, const rules::Change& change, const std::string& key,
                                        base::Version version) const {
  return rules::transition_of(fold, change, key, {meta_.generation, claimed_at_}, version);
}

base::Result<void> Evaluator::count_open() {
  open_ = 0;
  for (const auto& fold : rules_.program().folds) {
    TRY_VOID(keys_.for_each(fold.id, [&](const std::string&, const std::string& state) -> base::Result<void> {
      TRY(const auto changes, rules::open_changes(fold, state));
      open_ += static_cast<std::int64_t>(changes.size());
      return {};
    }));
  }
  return {};
}

base::Result<std::vector<rules::Transition>> Evaluator::version(const VersionInput& input, std::vector<Folded> folded,
                                                                const AddEvidence& evidence) {
  std::vector<rules::Transition> out;
  for (std::size_t g = 0; g < rules_.program().folds.size(); ++g) {
    const rules::FoldGroup& fold = rules_.program().folds[g];
    const auto settled = meta_.settled.find(fold.id);
    rules::Boundaries boundaries;
    if (settled != meta_.settled.end()) boundaries.from = settled->second;
    boundaries.to = boundaries.from;
    if (input.smallest_clock) {
      const base::Micros to = base::floor_to(*input.smallest_clock - fold.lateness, fold.interval);
      if (!boundaries.to || to > *boundaries.to) boundaries.to = to;
    }
    boundaries.stalled = !input.stalled.empty();
    // The first boundary of this generation's own time. What is open just before it is sent.
    const base::Micros first_sent(rules::ceil_to(claimed_at_.value(), fold.interval.value()));
    const bool crosses = boundaries.to && *boundaries.to >= first_sent && (!boundaries.from || *boundaries.from < first_sent);
    if (crosses) {
      rules::Boundaries before = boundaries;
      before.to = first_sent - fold.interval;
      before.announce = false;
      TRY_VOID(settle(fold, folded[g].keys, before, input, evidence, out));
      TRY_VOID(send_open(fold, input, evidence, out));
      boundaries.from = before.to;
    }
    if (crosses)
      for (auto& [key, partials] : folded[g].keys) partials.clear();  // taken in; their keys are still to be looked at ahead
    TRY_VOID(settle(fold, folded[g].keys, boundaries, input, evidence, out));
    if (boundaries.to) meta_.settled[fold.id] = *boundaries.to;
  }
  return out;
}

base::Result<void> Evaluator::settle(const rules::FoldGroup& fold, const Partials& partials, const rules::Boundaries& boundaries,
                                     const VersionInput& input, const AddEvidence& evidence, std::vector<rules::Transition>& out) {
  std::set<std::string> touched;
  for (const auto& [key, rows] : partials) touched.insert(key);
  if (boundaries.to)
    for (auto& key : keys_.due(fold.id, *boundaries.to)) touched.insert(std::move(key));
  for (const auto& key : touched) {
    TRY(const std::string state, keys_.get(fold.id, key));
    const auto rows = partials.find(key);
    TRY(auto advanced, rules::advance(fold, state, rows == partials.end() ? std::span<const rules::Partial>() : rows->second, boundaries));
    keys_.set(fold.id, key, std::move(advanced.state), advanced.timer);
    missed_ += advanced.missed;
    for (const auto& change : advanced.changes) {
      if (!change.settles_announcement) open_ += change.kind == rules::TransitionKind::kFiring ? 1 : -1;
      rules::Transition t = transition(fold, change, key, input.version);
      for (const auto& stalled : input.stalled)
        t.incomplete.push_back("partition " + std::to_string(stalled.partition.partition.value()) + ": " + stalled.reason);
      if (t.send && t.kind == rules::TransitionKind::kFiring && !t.settles_announcement)
        evidence(t, fold, fold.rules[static_cast<std::size_t>(change.rule)]);
      out.push_back(std::move(t));
    }
  }
  return {};
}

base::Result<void> Evaluator::send_open(const rules::FoldGroup& fold, const VersionInput& input, const AddEvidence& evidence,
                                        std::vector<rules::Transition>& out) {
  return keys_.for_each(fold.id, [&](const std::string& key, const std::string& state) -> base::Result<void> {
    TRY(const auto changes, rules::open_changes(fold, state));
    for (const auto& change : changes) {
      rules::Transition t = transition(fold, change, key, input.version);
      t.send = true;
      evidence(t, fold, fold.rules[static_cast<std::size_t>(change.rule)]);
      out.push_back(std::move(t));
    }
    return {};
  });
}

}  // namespace headpond::pager
