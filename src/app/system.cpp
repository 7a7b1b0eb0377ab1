#include "app/system.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/billing_engine.h"
#include "app/notify_role.h"
#include "app/pager_role.h"
#include "app/upkeep_role.h"
#include "app/wiring.h"
#include "billing/engine.h"
#include "dashboard/engine.h"
#include "ingest/engine.h"
#include "plan/plan.h"

namespace headpond::app {
namespace {

// Between two looks at an outbox that other processes write: on a remote store a look is a GET of its bell.
constexpr base::Duration kOutboxPollLocal = base::Duration::millis(20), kOutboxPollRemote = base::Duration::millis(100);
// Ingest and pager run at normal priority, the throughput-bound branches give way.
constexpr int kDashboardNice = 10, kBillingNice = 19, kUpkeepNice = 19;
constexpr base::Duration kUpkeepPoll = base::Duration::millis(500);

double promise_of(const spec::Topology& topology, const spec::Branch& branch) {
  double promise = 0;
  for (const auto& consumer : topology.consumers)
    if (std::find(branch.serves.begin(), branch.serves.end(), consumer.name) != branch.serves.end() &&
        (promise == 0 || consumer.freshness.to_seconds() < promise))
      promise = consumer.freshness.to_seconds();
  return promise;
}

Role::Factory ingest_factory(Session& session, const ingest::Settings& settings) {
  return [&session, settings] {
    return adapt(ingest::Engine::open(
        session.topology, {*session.lake, session.paths, *session.clock, *session.random, *session.failpoints, env::thread_worker},
        settings));
  };
}

Role::Factory dashboard_factory(Session& session, const spec::Branch& branch) {
  return [&session, &branch] {
    return adapt(dashboard::Engine::open(
        session.topology, branch,
        {*session.lake, session.paths, *session.clock, *session.random, *session.failpoints, session.data_directory + "/" + branch.name}));
  };
}

Role::Factory billing_factory(Session& session, const spec::Branch& branch, std::shared_ptr<billing::Calculator> calculator) {
  return [&session, &branch, calculator]() -> base::Result<std::unique_ptr<Steppable>> {
    TRY(const auto settings, load_billing(session.topology, branch));
    return adapt(billing::Engine::open(settings, {.lake = *session.lake,
                                                  .paths = session.paths,
                                                  .clock = *session.clock,
                                                  .random = *session.random,
                                                  .failpoints = *session.failpoints,
                                                  .local_directory = session.data_directory + "/" + branch.name,
                                                  .calculator = calculator.get()}));
  };
}

}  // namespace

bool Selection::includes(const std::string& kind, const std::string& name) const {
  return (kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) && (branch.empty() || branch == name);
}

base::Result<std::unique_ptr<System>> System::create(Session& session, const Selection& selection, Hooks hooks) {
  auto system = std::make_unique<System>();
  const auto add = [&](RoleOptions options, Role::Factory factory) {
    system->roles_.push_back(std::make_unique<Role>(std::move(options), std::move(factory), hooks.log));
  };
  if (selection.includes("ingest", "ingest"))
    add({.name = "ingest", .kind = "ingest", .first_open_must_succeed = true}, ingest_factory(session, selection.ingest));
  if (selection.includes("ingest", "ingest"))
    system->upkeep_ = std::make_unique<Role>(RoleOptions{.name = "upkeep", .kind = "upkeep", .nice = kUpkeepNice, .idle_poll = kUpkeepPoll},
                                             upkeep_factory(session, hooks.log), hooks.log);
  for (const auto& branch : session.topology.branches) {
    const std::string kind(spec::to_string(branch.kind));
    if (branch.kind == spec::BranchKind::kPager && branch.external() && selection.includes("notify", branch.name))
      add({.name = branch.name, .kind = kNotifier, .idle_poll = session.lake->local_path("") ? kOutboxPollLocal : kOutboxPollRemote},
          notify_factory(session, branch, hooks));
    if (!selection.includes(kind, branch.name)) continue;
    if (const auto why = plan::why_not_here(branch)) {
      if (!branch.external() || selection.branch == branch.name)
        return base::fail(base::ErrorKind::kInvalid, fmt::format("{}: {}", spec::to_string(branch.place), *why));
      hooks.log(branch.name, *why);
      continue;
    }
    RoleOptions options{.name = branch.name, .kind = kind, .promise_s = promise_of(session.topology, branch)};
    switch (branch.kind) {
      case spec::BranchKind::kPager: add(options, pager_factory(session, branch, hooks.print, selection.new_generation)); break;
      case spec::BranchKind::kDashboard:
        options.nice = kDashboardNice;
        options.idle_poll = base::Duration::millis(50);
        add(options, dashboard_factory(session, branch));
        break;
      case spec::BranchKind::kBilling: {
        options.nice = kBillingNice;
        options.idle_poll = base::Duration::millis(500);
        options.engine = branch.external() ? branch.engine : options.engine;
        TRY(const auto calculator, open_calculator(session, branch));
        add(options, billing_factory(session, branch, calculator));
        break;
      }
    }
  }
  if (system->roles_.empty())
    return base::fail(base::ErrorKind::kInvalid,
                      fmt::format("{}: nothing to run{}", session.topology.path,
                                  selection.branch.empty() ? "" : ": no such branch '" + selection.branch + "'"));
  return system;
}

void System::start() {
  for (auto& role : roles_) role->start();
  if (upkeep_) upkeep_->start();
}

void System::stop() {
  if (upkeep_) upkeep_->ask_to_stop();
  for (auto& role : roles_) role->ask_to_stop();
  if (upkeep_) upkeep_->stop();
  for (auto& role : roles_) role->stop();
}

bool System::finished() const {
  return std::ranges::all_of(roles_, [](const auto& role) { return role->finished(); });
}

std::vector<bronze::BranchStatus> System::statuses() const {
  std::vector<bronze::BranchStatus> all;
  for (const auto& role : roles_) all.push_back(role->status());
  return all;
}

std::vector<std::pair<std::string, base::Error>> System::failed() const {
  std::vector<std::pair<std::string, base::Error>> all;
  for (const auto& role : roles_)
    if (auto error = role->fatal()) all.emplace_back(role->status().branch, std::move(*error));
  return all;
}

}  // namespace headpond::app
