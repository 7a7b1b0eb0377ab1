// `headpond deploy`: hands branches to Flink, Spark or dbt. Nothing is claimed, written or started before every check of every branch has
// passed.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/console.h"
#include "app/deploy_tools.h"
#include "app/pager_role.h"
#include "app/session.h"
#include "base/time.h"
#include "dashboard/rollup.h"
#include "deploy/commands.h"
#include "deploy/engines.h"
#include "deploy/launch.h"
#include "deploy/readiness.h"
#include "env/http.h"
#include "env/process.h"
#include "pager/rule_set.h"
#include "plan/plan.h"
#include "spec/rules_file.h"

namespace headpond::app {
namespace {

namespace fs = std::filesystem;

struct Target {  // one branch to deploy
  const plan::BranchPlan* plan = nullptr;
  const spec::Branch* branch = nullptr;
  std::optional<deploy::PackageInput> input = {};
  std::optional<rules::Program> program = {};  // of a pager
  std::unique_ptr<env::ObjectStore> checkpoints = {};
  deploy::Start start = {};
  std::vector<std::string> commands = {};  // as they were run
};

// --- choosing ---

std::optional<std::vector<Target>> choose(const DeployCommand& command, const spec::Topology& topology, const plan::Plan& plan) {
  std::vector<Target> targets;
  std::string names;
  for (std::size_t i = 0; i < topology.branches.size(); ++i) {
    const auto& branch = topology.branches[i];
    names += (names.empty() ? "" : ", ") + branch.name;
    if (!command.branch.empty() && branch.name != command.branch) continue;
    if (branch.external()) {
      targets.push_back({.plan = &plan.branches[i], .branch = &branch});
    } else if (!command.branch.empty()) {
      complain(fmt::format("{}: branch {} is embedded and needs no deploying: `headpond up -f {}` runs it; write `engine: {}` to move it",
                           spec::to_string(branch.place), branch.name, topology.path,
                           branch.kind == spec::BranchKind::kPager       ? "flink"
                           : branch.kind == spec::BranchKind::kDashboard ? "spark"
                                                                         : "dbt"));
      return std::nullopt;
    }
  }
  if (!targets.empty()) return targets;
  complain(command.branch.empty() ? topology.path + ": every branch is embedded; there is nothing to deploy"
                                  : fmt::format("{}: no branch named '{}'; there are {}", topology.path, command.branch, names));
  return std::nullopt;
}

// --- what each is made of ---

int parallelism_of(const Target& target) {
  if (target.branch->flink.parallelism > 0) return target.branch->flink.parallelism;
  return std::max(1, static_cast<int>(target.plan->capacity.provisioned_cores));
}

base::Result<void> fill(Target& target, const spec::Topology& topology, const spec::LakePaths& paths, const fs::path& out) {
  deploy::JobInput job{.topology = topology,
                       .branch = *target.branch,
                       .paths = paths,
                       .promise_s = target.plan->freshness.to_seconds(),
                       .start = {},
                       .program_json = {}};
  if (target.branch->kind == spec::BranchKind::kPager) {
    TRY(const auto files, read_rule_files(topology, *target.branch));
    TRY(target.program, pager::compile_files(files, spec::rule_columns(topology.bronze)));
    job.program_json = rules::to_json(*target.program);
  }
  if (target.branch->kind == spec::BranchKind::kDashboard) {
    TRY(const auto rollups, dashboard::resolve_rollups(*target.branch, topology.bronze));
    for (const auto& rollup : rollups.all) job.rollups.push_back({rollup.name, rollup.by, rollup.measures});
  }
  target.input.emplace(deploy::PackageInput{.job = std::move(job),
                                            .tools = find_tools(),
                                            .directory = (fs::absolute(out) / target.branch->name).lexically_normal().string(),
                                            .parallelism = parallelism_of(target),
                                            .memory_gb = target.plan->capacity.memory_gb,
                                            .from = {}});
  return {};
}

// --- what must be so before ---

class Deployment {
 public:
  Deployment(const DeployCommand& command, Session& session, std::vector<Target> targets)
      : command_(command),
        session_(session),
        targets_(std::move(targets)),
        http_(env::real_http_client()),
        processes_(env::real_processes()) {}

  // Everything that is wrong, of every branch; changes nothing.
  std::vector<base::Error> check() {
    const auto bronze = deploy::check_bronze(*session_.lake, session_.paths.bronze, session_.topology.path);
    for (auto& target : targets_) {
      note(deploy_rules_check(target));
      if (bronze && note(deploy::check_lease(*session_.lake, session_.paths, *target.branch, session_.clock->now())) && target.program)
        note(decide(target));
      note(deploy::check_engine(*target.branch, target.input->tools, target.input->parallelism, *http_, *processes_));
    }
    note(bronze);
    if (problems_.empty() && !command_.dry_run) note(deploy::check_store(*session_.lake, session_.paths.bronze, *session_.random));
    return problems_;
  }

  void print() const {
    for (const auto& target : targets_) {
      fmt::print("# {} → {}\n", target.branch->name, target.branch->engine);
      for (const auto& line : target.start.notes) fmt::print("# {}\n", line);
      for (const auto& command : deploy::package(*target.input).commands) fmt::print("# {}\n{}\n", command.why, deploy::shell(command));
    }
  }

  int run() {
    for (auto& target : targets_) {
      const auto said = hand_over(target);
      if (!said) return complain(said.error());
      fmt::print("{} → {}: {}\n", target.branch->name, target.branch->engine, *said);
      for (const auto& line : target.start.notes) fmt::print("  {}\n", line);
      for (const auto& command : target.commands) fmt::print("  $ {}\n", command);
    }
    fmt::print("next: headpond status -f {}\n", command_.common.topology);
    return kOk;
  }

 private:
  bool note(const base::Result<void>& result) {
    if (!result) problems_.push_back(result.error());
    return result.has_value();
  }

  static base::Result<void> deploy_rules_check(const Target& target) {
    if (!target.program) return {};
    std::string lines;
    for (const auto& line : deploy::unsupported(deploy::flink_support(), *target.program)) lines += (lines.empty() ? "" : "\n") + line;
    if (lines.empty()) return {};
    return base::fail(base::ErrorKind::kInvalid, lines);
  }

  deploy::World world(const Target& target) { return {*session_.lake, target.checkpoints.get(), *processes_, *session_.clock}; }

  base::Result<void> decide(Target& target) {
    const std::string place = deploy::checkpoints_of(*target.branch, session_.paths);
    const bool directory = place.starts_with("file://");
    if (!directory || fs::exists(place.substr(std::string_view("file://").size()))) {  // opening a directory makes it
      TRY(target.checkpoints, env::open_store(place));
    }
    TRY(target.start, deploy::decide(*target.input, *target.program, world(target), command_.new_generation));
    return {};
  }

  base::Result<std::string> hand_over(Target& target) {
    if (target.program) TRY_VOID(deploy::claim(target.start, *target.input, world(target)));
    const auto package = deploy::package(*target.input);
    for (const auto& command : package.commands) target.commands.push_back(deploy::shell(command));
    auto said = deploy::hand_over(package, *target.input, world(target));
    if (!said && target.program && target.start.cold)
      said.error().message +=
          fmt::format("\nheadpond: generation {} of {} is claimed and no job is known to run it; deploy again claims the next",
                      target.input->job.start.generation, target.branch->name);
    return said;
  }

  const DeployCommand& command_;
  Session& session_;
  std::vector<Target> targets_;
  std::unique_ptr<env::HttpClient> http_;
  std::unique_ptr<env::Processes> processes_;
  std::vector<base::Error> problems_;
};

}  // namespace

int run_deploy(const DeployCommand& command) {
  int code = kOk;
  const auto topology = load_topology(command.common.topology);
  if (!topology) return kWrongUse;
  for (const auto& branch : topology->branches) {  // before any store is opened
    if (!command.branch.empty() && branch.name != command.branch) continue;
    if (const auto good = deploy::check_flink_lake(*topology, branch); !good) {
      complain(good.error());
      complain("nothing was claimed, written or started");
      return exit_code(good.error().kind);
    }
  }
  if (const auto lake = spec::LakePaths::of(topology->bronze.location).lake; lake.find("://") == std::string::npos && !fs::exists(lake)) {
    complain(fmt::format("no lake at {} yet: start `headpond up -f {}` first", lake, command.common.topology));  // opening it would make it
    return kUnavailable;
  }
  auto session = Session::open(command.common, code);
  if (!session) return code;
  const auto plan = plan::make_plan(session->topology);
  if (plan.refused()) {
    fmt::print(stderr, "{}", plan::render_refusals(plan));
    complain(fmt::format("the plan is refused; see 'headpond plan -f {}'", command.common.topology));
    return kWrongUse;
  }
  for (std::size_t i = 0; i < session->topology.branches.size(); ++i) session->topology.branches[i] = plan.branches[i].branch;
  auto targets = choose(command, session->topology, plan);
  if (!targets) return kWrongUse;
  for (auto& target : *targets)
    if (const auto filled = fill(target, session->topology, session->paths, command.out); !filled) return complain(filled.error());
  Deployment deployment(command, *session, std::move(*targets));
  const auto problems = deployment.check();
  if (command.dry_run) deployment.print();
  for (const auto& problem : problems) complain(session->topology.redact(problem.message));
  if (!problems.empty()) {
    complain("nothing was claimed, written or started");
    return exit_code(problems.front().kind);
  }
  return command.dry_run ? kOk : deployment.run();
}

}  // namespace headpond::app
