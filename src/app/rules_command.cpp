// `headpond rules check`.
#include <fmt/format.h>

#include <algorithm>

#include "app/console.h"
#include "app/session.h"
#include "app/wiring.h"
#include "pager/check.h"

namespace headpond::app {
namespace {

// The branch's own rule files unless some are named. Exit code.
int check_branch(const spec::Topology& topology, const spec::Branch& branch, std::vector<std::string> paths, bool json) {
  if (paths.empty()) {
    const auto found = expand_globs(topology, branch.rules);
    if (!found) return complain(found.error());
    paths = *found;
  }
  std::vector<pager::RuleFile> files;
  for (const auto& path : paths) {
    auto text = read_file(path);
    if (!text) return complain(text.error());
    files.push_back({path, std::move(*text)});
  }
  const auto report = pager::check_rules(topology, branch, files);
  if (!report) {
    fmt::print(stderr, "{}\n", report.error().message);
    return kWrongUse;
  }
  fmt::print("{}{}", json ? pager::to_json(*report) : pager::render(*report), json ? "\n" : "");
  return report->good() ? kOk : kProblem;
}

}  // namespace

int run_rules_check(const CommonOptions& options, const std::vector<std::string>& files) {
  const auto topology = load_topology(options.topology);
  if (!topology) return kWrongUse;
  int code = kOk;
  bool any = false;
  for (const auto& branch : topology->branches) {
    if (branch.kind != spec::BranchKind::kPager) continue;
    any = true;
    code = std::max(code, check_branch(*topology, branch, files, options.json));
  }
  if (any) return code;
  if (!files.empty()) return check_branch(*topology, spec::Branch(), files, options.json);
  fmt::print(stderr, "{}: no branch of kind pager, so there are no rules to check; name rule files to check them against its columns\n",
             options.topology);
  return kWrongUse;
}

}  // namespace headpond::app
