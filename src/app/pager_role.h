// The pager's role: its engine on the role's thread and its notifier on a second one, so that a slow target never holds up evaluation.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/role.h"
#include "app/session.h"
#include "pager/engine.h"

namespace headpond::app {

// The rule files a pager branch names. Errors: kInvalid, kNotFound: a glob or a file, with where it was looked for.
base::Result<std::vector<pager::RuleFile>> read_rule_files(const spec::Topology& topology, const spec::Branch& branch);

// Borrows `session` and `branch`. `new_generation`: the state found at the first opening is discarded. `print` shows a page for targets of
// kind stdout.
Role::Factory pager_factory(Session& session, const spec::Branch& branch, std::function<void(const std::string& page)> print,
                            bool new_generation = false);

}  // namespace headpond::app
