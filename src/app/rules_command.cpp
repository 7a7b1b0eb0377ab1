// `headpond rules check`.
#include <fmt/format.h>

#include "app/console.h"
#include "app/session.h"
#include "app/wiring.h"
#include "rules/program.h"
#include "spec/rules_file.h"

namespace headpond::app {

int run_rules_check(const CommonOptions& options, const std::vector<std::string>& files) {
  const auto topology = load_topology(options.topology);
  if (!topology) return kWrongUse;
  auto paths = files;
  if (paths.empty())
    for (const auto& branch : topology->branches)
      if (branch.kind == spec::BranchKind::kPager) {
        const auto found = expand_globs(*topology, branch.rules);
        if (!found) return complain(found.error());
        paths.insert(paths.end(), found->begin(), found->end());
      }
  std::vector<rules::GroupDraft> drafts;
  bool wrong = false;
  for (const auto& path : paths) {
    const auto text = read_file(path);
    if (!text) return complain(text.error());
    auto loaded = spec::load_rules(*text, path);
    for (const auto& issue : loaded.issues) fmt::print(stderr, "{}: {}\n", spec::to_string(issue.place), issue.message);
    wrong = wrong || !loaded.issues.empty();
    drafts.insert(drafts.end(), loaded.groups.begin(), loaded.groups.end());
  }
  const auto compiled = rules::compile(drafts, spec::rule_columns(topology->bronze));
  for (const auto& issue : compiled.issues)
    fmt::print(stderr, "{}:{}:{}: {}\n", issue.place.file, issue.place.line, issue.place.column, issue.message);
  if (wrong || !compiled.program) return kWrongUse;
  return kOk;
}

}  // namespace headpond::app
