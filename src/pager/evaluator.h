// Step 2 of evaluation for a whole version: which keys are touched, up to which boundary, and the transitions they make.
// Does no I/O but through the key table. Threads: one at a time.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "bronze/facts.h"
#include "pager/folder.h"
#include "pager/key_table.h"
#include "pager/meta.h"
#include "pager/rule_set.h"
#include "rules/transition.h"

namespace headpond::pager {

// Called for a firing transition that is to be sent, to add its evidence.
using AddEvidence = std::function<void(rules::Transition&, const rules::FoldGroup&, const rules::Rule&)>;

struct VersionInput {
  base::Version version{-1};
  std::optional<base::Micros> smallest_clock;  // of the partitions in force that are not stalled
  std::vector<bronze::Stalled> stalled;
};

class Evaluator {
 public:
  // Borrows all. Transitions with a boundary before `claimed_at` are recorded, not sent; what is open at it is given again, to be sent.
  Evaluator(const RuleSet& rules, KeyTable& keys, Meta& meta, base::Micros claimed_at)
      : rules_(rules), keys_(keys), meta_(meta), claimed_at_(claimed_at) {}

  // `folded` as by fold_rows() for rules.program().folds. Moves meta.settled on.
  base::Result<std::vector<rules::Transition>> version(const VersionInput& input, std::vector<Folded> folded, const AddEvidence& evidence);

  // How many alerts are firing or announced now. Counted once from the table, then kept.
  base::Result<void> count_open();
  std::int64_t open() const { return open_; }
  std::int64_t missed() const { return missed_; }

  // A change as people see it. `rule` of `fold`.
  rules::Transition transition(const rules::FoldGroup& fold, const rules::Change& change, const std::string& key,
                               base::Version version) const;

 private:
  using Partials = std::map<std::string, std::vector<rules::Partial>>;
  base::Result<void> settle(const rules::FoldGroup& fold, const Partials& partials, const rules::Boundaries& boundaries,
                            const VersionInput& input, const AddEvidence& evidence, std::vector<rules::Transition>& out);
  base::Result<void> send_open(const rules::FoldGroup& fold, const VersionInput& input, const AddEvidence& evidence,
                               std::vector<rules::Transition>& out);

  const RuleSet& rules_;
  KeyTable& keys_;
  Meta& meta_;
  base::Micros claimed_at_;
  std::int64_t open_ = 0, missed_ = 0;
};

}  // namespace headpond::pager
