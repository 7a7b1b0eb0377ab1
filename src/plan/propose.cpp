#include "plan/propose.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/time.h"

namespace headpond::plan {

std::vector<spec::Branch> propose_branches(const spec::Topology& topology) {
  std::set<std::string> served, names;
  for (const auto& branch : topology.branches) {
    served.insert(branch.serves.begin(), branch.serves.end());
    names.insert(branch.name);
  }
  std::map<int, spec::Branch> by_tier;
  for (const auto& consumer : topology.consumers) {
    if (served.contains(consumer.name)) continue;
    auto [at, fresh] = by_tier.try_emplace(consumer.tier);
    spec::Branch& branch = at->second;
    branch.serves.push_back(consumer.name);
    if (!fresh) continue;
    branch.place = consumer.place;
    branch.kind = consumer.tier == 1   ? spec::BranchKind::kPager
                  : consumer.tier == 4 ? spec::BranchKind::kBilling
                                       : spec::BranchKind::kDashboard;
    branch.engine = "auto";
    branch.name = consumer.name + "-" + std::string(to_string(branch.kind));
    for (int n = 2; names.contains(branch.name); ++n)
      branch.name = consumer.name + "-" + std::string(to_string(branch.kind)) + "-" + std::to_string(n);
    names.insert(branch.name);
    if (branch.kind == spec::BranchKind::kPager) {
      branch.rules = {"rules/*.yaml"};
      branch.notify.push_back({consumer.place, "stdout", "stdout", {}, ""});
    }
    if (branch.kind == spec::BranchKind::kBilling) branch.price_book = "prices.yaml";
  }
  std::vector<spec::Branch> proposals;
  for (auto& [tier, branch] : by_tier) proposals.push_back(std::move(branch));
  return proposals;
}

void complete_proposal(const spec::Topology& topology, spec::Branch& branch) {
  if (branch.kind == spec::BranchKind::kDashboard && !branch.window) branch.window = base::Duration::minutes(5);
  if (branch.rhythm != spec::Rhythm::kStream || branch.state) return;
  const auto below = [&](const std::string& location) {
    const std::string lake = spec::LakePaths::of(location).lake;
    return (lake == "/" ? "" : lake) + "/" + branch.name;
  };
  branch.state = spec::StateSpec{"rocksdb", below(topology.bronze.location), below(topology.bronze.location_as_written)};
}

}  // namespace headpond::plan
