#include "deploy/job.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/time.h"

namespace headpond::deploy {
namespace {

using Json = nlohmann::ordered_json;

Json pager_section(const JobInput& in) {
  return {{"pages", in.paths.pages(in.branch.name)},  {"checkpoints", checkpoints_of(in.branch, in.paths)},
          {"generation", in.start.generation},        {"claimed_at_us", in.start.claimed_at.value()},
          {"start_version", in.start.behind.value()}, {"program", Json::parse(in.program_json)}};
}

Json dashboard_section(const JobInput& in) {
  Json out = {{"gold", in.paths.gold(in.branch.name)},
              {"name", in.branch.name},
              {"checkpoints", checkpoints_of(in.branch, in.paths)},
              {"trigger_s", static_cast<std::int64_t>(in.branch.trigger.value_or(base::kMinute).to_seconds())},
              {"max_keys", in.branch.max_keys},
              {"allowed_lateness_us", in.branch.allowed_lateness.value()},
              {"rollups", Json::array()}};
  for (const auto& rollup : in.rollups) out["rollups"].push_back({{"name", rollup.name}, {"by", rollup.by}, {"measures", rollup.measures}});
  return out;
}

Json billing_section(const JobInput& in) {
  return {{"billing", in.paths.billing(in.branch.name)}, {"name", in.branch.name}, {"schedule", in.branch.schedule.value_or("0 2 * * *")}};
}

}  // namespace

std::string absolute_location(const std::string& location) {
  if (location.find("://") != std::string::npos) return location;
  return std::filesystem::absolute(location).lexically_normal().string();
}

std::string checkpoints_of(const spec::Branch& branch, const spec::LakePaths& paths) {
  const std::string folder = branch.kind == spec::BranchKind::kPager ? paths.pages(branch.name) : paths.gold(branch.name);
  const std::string place = absolute_location(
      branch.state && !branch.state->checkpoints.empty() ? branch.state->checkpoints : paths.lake + "/" + folder + "/_checkpoints");
  return place.find("://") == std::string::npos ? "file://" + place : place;
}

std::string generation_folder(const spec::Branch& branch, std::int64_t generation) {
  return fmt::format("{}/g{:010}", branch.name, generation);
}

std::string job_json(const JobInput& in) {
  Json out = {{"format", kJobFormat},       {"topology", in.topology.name},
              {"branch", in.branch.name},   {"kind", spec::to_string(in.branch.kind)},
              {"engine", in.branch.engine}, {"lake", absolute_location(in.paths.lake)},
              {"bronze", in.paths.bronze},  {"promise_s", in.promise_s}};
  switch (in.branch.kind) {
    case spec::BranchKind::kPager: out["pager"] = pager_section(in); break;
    case spec::BranchKind::kDashboard: out["dashboard"] = dashboard_section(in); break;
    case spec::BranchKind::kBilling: out["billing"] = billing_section(in); break;
  }
  return out.dump(2) + "\n";
}

}  // namespace headpond::deploy
