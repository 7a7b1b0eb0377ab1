// A rules file: YAML in Prometheus' envelope → drafts that rules::compile() understands. Guide: docs/guides/rules.md.
//
//   auto loaded = spec::load_rules(text, "rules/checkout.yaml");
//   drafts.insert(drafts.end(), loaded.groups.begin(), loaded.groups.end());   // of all files
//   auto compiled = rules::compile(drafts, spec::rule_columns(topology.bronze));
//
// Never fails: problems are issues. Values; threads: any.
#pragma once

#include <string>
#include <vector>

#include "rules/expression.h"
#include "rules/program.h"
#include "spec/topology.h"

namespace headpond::spec {

struct LoadedRules {
  std::vector<rules::GroupDraft> groups;
  std::vector<Issue> issues;
};

LoadedRules load_rules(const std::string& text, const std::string& path);

// What predicates may name: bronze's own columns and the declared ones.
std::vector<rules::Column> rule_columns(const BronzeSpec& bronze);

}  // namespace headpond::spec
