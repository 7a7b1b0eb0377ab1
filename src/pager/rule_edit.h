// What happens to the state when the rules change: pages of removed rules are resolved, what still counts is kept, seqs go on.
#pragma once

#include <vector>

#include "base/result.h"
#include "pager/key_table.h"
#include "pager/meta.h"
#include "pager/rule_set.h"
#include "rules/transition.h"

namespace headpond::pager {

// Brings the keys from `before` to `after` at meta.version. The caller makes keys, meta, `after` and the returned transitions durable in
// one batch before any later version is evaluated.
base::Result<std::vector<rules::Transition>> edit_rules(const RuleSet& before, const RuleSet& after, KeyTable& keys, Meta& meta,
                                                        base::Micros claimed_at);

}  // namespace headpond::pager
