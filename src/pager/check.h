// `headpond rules check`: what a rule costs and how late it can be, before it runs.
//
//   TRY(auto report, pager::check_rules(topology, branch, files));
//   std::puts(pager::render(report).c_str());   // exit code 1 when !report.good()
//
// Pure; threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "pager/engine.h"
#include "rules/expression.h"
#include "spec/topology.h"

namespace headpond::pager {

struct RuleCheck {
  std::string rule;  // "<group>/<alert>"
  rules::Place place;
  bool announced = false;      // fires ahead of the settled track
  base::Duration worst_delay;  // from the boundary at which the condition holds to the page
  std::int64_t bytes_a_key = 0, keys = 0;
  bool keys_assumed = false;  // no `expect: {keys: …}`
  std::int64_t state_bytes() const { return bytes_a_key * keys; }
};

struct CheckReport {
  std::string branch;
  base::Duration freshness;  // promised to its consumers; 0 = none
  std::int64_t state_bytes_max = 0;
  std::vector<RuleCheck> rules;
  std::vector<std::string> refusals;  // "file:line:column: message"
  bool good() const { return refusals.empty(); }
  std::int64_t state_bytes() const;
};

struct CheckLimits {
  std::int64_t state_bytes_max = 4ll << 30;  // of all keys of the branch
  std::int64_t keys_assumed = 10'000;
};

// Errors: kInvalid: the files do not parse or compile; every issue a line, file:line:column.
base::Result<CheckReport> check_rules(const spec::Topology& topology, const spec::Branch& branch, const std::vector<RuleFile>& files,
                                      CheckLimits limits = {});
std::string render(const CheckReport& report);  // a table for people, refusals below it
std::string to_json(const CheckReport& report);

}  // namespace headpond::pager
