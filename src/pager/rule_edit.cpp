#include "pager/rule_edit.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pager/evaluator.h"
#include "rules/key_state.h"

namespace headpond::pager {
namespace {

std::optional<base::Micros> timer_in(std::string_view state) {
  const auto t = rules::timer_of(state);
  return t ? std::optional(base::Micros(*t)) : std::nullopt;
}

std::vector<int> rules_gone(const rules::FoldGroup& before, const rules::FoldGroup* after) {
  std::vector<int> gone;
  for (std::size_t r = 0; r < before.rules.size(); ++r) {
    const auto same = [&](const rules::Rule& rule) { return rule.name == before.rules[r].name; };
    if (after == nullptr || std::none_of(after->rules.begin(), after->rules.end(), same)) gone.push_back(static_cast<int>(r));
  }
  return gone;
}

bool has_labels(const rules::FoldGroup& fold, const std::string& key) {
  const auto parsed = nlohmann::ordered_json::parse(key, nullptr, false);
  if (!parsed.is_object() || parsed.size() != fold.by.size()) return false;
  std::size_t i = 0;
  for (const auto& item : parsed.items())
    if (item.key() != fold.by[i++].name) return false;
  return true;
}

class Edit {
 public:
  Edit(const RuleSet& before, const RuleSet& after, KeyTable& keys, Meta& meta, base::Micros claimed_at)
      : before_(before), after_(after), keys_(keys), meta_(meta), claimed_at_(claimed_at) {}

  base::Result<std::vector<rules::Transition>> run() {
    TRY_VOID(carry_seqs());
    for (const auto& [id, dictionary] : before_.dictionaries()) TRY_VOID(change_fold(id));
    return std::move(out_);
  }

 private:
  // A fold no rule uses: only seqs are worth reading.
  static rules::FoldGroup bare(const std::string& id) {
    rules::FoldGroup fold;
    fold.id = id;
    return fold;
  }

  base::Result<void> change_fold(const std::string& id) {
    const rules::FoldGroup nothing = bare(id);
    const rules::FoldGroup& before = before_.fold(id) != nullptr ? *before_.fold(id) : nothing;
    const rules::FoldGroup* after = after_.fold(id);
    const auto settled = meta_.settled.find(id);
    const base::Micros boundary = settled == meta_.settled.end() ? base::Micros(0) : settled->second;
    const auto gone = rules_gone(before, after);
    const Evaluator names(before_, keys_, meta_, claimed_at_);
    const auto visited = keys_.for_each(id, [&](const std::string& key, const std::string& state) -> base::Result<void> {
      TRY(auto closed, rules::close_rules(before, state, boundary, gone));
      for (const auto& change : closed.changes) out_.push_back(names.transition(before, change, key, meta_.version));
      std::string next;
      if (after != nullptr && settled != meta_.settled.end()) {
        TRY(next, rules::wake(*after, closed.state, boundary + after->interval));
      } else {
        TRY(const auto decoded, rules::decode_state(after != nullptr ? *after : nothing, closed.state));
        next = rules::encode_state(after != nullptr ? *after : nothing, decoded);
      }
      const auto timer = after != nullptr ? timer_in(next) : std::nullopt;
      TRY_VOID(keys_.get(id, key));
      keys_.set(id, key, std::move(next), timer);
      return {};
    });
    if (after == nullptr) meta_.settled.erase(id);
    return visited;
  }

  // A rule that moves to another fold group with the same labels (other interval or lateness) goes on behind its last seq.
  base::Result<void> carry_seqs() {
    for (const auto& fold : after_.program().folds) {
      const auto known = before_.dictionaries().find(fold.id);
      for (std::size_t r = 0; r < fold.rules.size(); ++r) {
        const std::string name = "r:" + fold.rules[r].name;
        if (known != before_.dictionaries().end() && known->second.ids.contains(name)) continue;
        for (const auto& [id, dictionary] : before_.dictionaries()) {
          const auto rule = dictionary.ids.find(name);
          if (id != fold.id && rule != dictionary.ids.end()) TRY_VOID(carry(id, rule->second, fold, static_cast<int>(r)));
        }
      }
    }
    return {};
  }

  base::Result<void> carry(const std::string& from, int rule_id, const rules::FoldGroup& into, int rule) {
    const rules::FoldGroup nothing = bare(from);
    const rules::FoldGroup& before = before_.fold(from) != nullptr ? *before_.fold(from) : nothing;
    return keys_.for_each(from, [&](const std::string& key, const std::string& state) -> base::Result<void> {
      if (!has_labels(into, key)) return {};
      TRY(const auto seqs, rules::seqs(before, state));
      TRY(const auto open, rules::open_changes(before, state));
      for (const auto& [id, seq] : seqs) {
        if (id != rule_id) continue;
        // What is open there is resolved by this very edit, with the next seq.
        const std::int64_t last = seq + (seq % 2);
        TRY(const std::string held, keys_.get(into.id, key));
        TRY(std::string next, rules::seed_seq(into, held, rule, last));
        const auto timer = timer_in(next);
        keys_.set(into.id, key, std::move(next), timer);
      }
      for (const auto& change : open) {
        if (!change.announced || before.rules[static_cast<std::size_t>(change.rule)].id != rule_id) continue;
        TRY(const std::string held, keys_.get(into.id, key));
        TRY(std::string next, rules::seed_seq(into, held, rule, change.seq + 1));
        const auto timer = timer_in(next);
        keys_.set(into.id, key, std::move(next), timer);
      }
      return {};
    });
  }

  const RuleSet& before_;
  const RuleSet& after_;
  KeyTable& keys_;
  Meta& meta_;
  base::Micros claimed_at_;
  std::vector<rules::Transition> out_;
};

}  // namespace

base::Result<std::vector<rules::Transition>> edit_rules(const RuleSet& before, const RuleSet& after, KeyTable& keys, Meta& meta,
                                                        base::Micros claimed_at) {
  return Edit(before, after, keys, meta, claimed_at).run();
}

}  // namespace headpond::pager
