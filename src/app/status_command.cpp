// `headpond status`: how far each branch is, from the cursors they publish.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/console.h"
#include "app/session.h"
#include "base/time.h"
#include "bronze/cursor.h"
#include "delta/log.h"
#include "deploy/job.h"
#include "notify/unreadable.h"

namespace headpond::app {
namespace {

// A cursor older than this belongs to a role that no longer runs.
constexpr double kStaleSeconds = 30;

struct Line {
  bronze::BranchStatus status;
  double age_s = 0;              // since the cursor was published
  double freshness_s = -1;       // now - complete_until; -1 = nothing complete yet
  std::int64_t lag = 0;          // versions behind bronze
  bool published = true;         // false: there is no cursor of it
  std::string checkpoints = {};  // where its engine's checkpoints lie; empty: its position is in its result
};

Line make_line(const bronze::BranchStatus& status, base::Micros now, base::Version head) {
  Line line{.status = status};
  line.age_s = (now - status.updated_at).to_seconds();
  if (status.complete_until) line.freshness_s = (now - *status.complete_until).to_seconds();
  line.lag = std::max<std::int64_t>(0, head.value() - status.version.value());
  return line;
}

// A branch of the topology that never published anything.
Line absent_line(const spec::Branch& branch) {
  Line line;
  line.status.branch = branch.name;
  line.status.kind = spec::to_string(branch.kind);
  line.status.engine = branch.engine;
  line.published = false;
  line.status.message = branch.external() ? "no cursor yet: headpond deploy --branch " + branch.name : "no cursor yet: headpond up";
  return line;
}

// Of the engine that runs it, which is not always the one the topology names by now.
std::string checkpoints_of(const spec::Branch& branch, const std::string& engine, const spec::LakePaths& paths) {
  const std::string place = deploy::checkpoints_of(branch, paths);
  if (engine == "flink") return place + "/" + branch.name;
  if (engine == "spark") return place;
  return engine == "embedded" && branch.kind == spec::BranchKind::kPager ? place : "";
}

std::string verdict(const Line& line) {
  if (!line.published) return "not started";
  if (line.status.state == "stopped") return "stopped";
  if (line.age_s > kStaleSeconds) return "not running";
  if (line.status.state == "failed") return "failed";
  if (line.status.promise_s > 0 && line.freshness_s > line.status.promise_s) return "LATE";
  return line.status.state;
}

std::string to_json(const std::vector<Line>& lines, base::Version head) {
  nlohmann::ordered_json out;
  out["bronze_version"] = head.value();
  out["branches"] = nlohmann::ordered_json::array();
  for (const auto& line : lines) {
    auto branch = nlohmann::ordered_json::parse(bronze::to_json(line.status));
    branch["verdict"] = verdict(line);
    branch["age_s"] = line.age_s;
    if (line.freshness_s >= 0) branch["freshness_s"] = line.freshness_s;
    branch["versions_behind"] = line.lag;
    branch["checkpoints"] = line.checkpoints;
    out["branches"].push_back(std::move(branch));
  }
  return out.dump(2);
}

void print(const std::vector<Line>& lines) {
  TextTable table(
      {"branch", "kind", "engine", "state", "version", "behind", "complete until", "freshness", "promise", "checkpoints", "message"});
  for (const auto& line : lines) {
    const auto& s = line.status;
    table.add({s.branch, s.kind, s.engine, verdict(line), line.published ? std::to_string(s.version.value()) : "-",
               line.published ? std::to_string(line.lag) : "-",
               s.complete_until ? base::format_rfc3339(base::floor_to(*s.complete_until, base::kSecond)) : "-",
               line.freshness_s < 0 ? "-" : human_age(line.freshness_s), s.promise_s > 0 ? human_age(s.promise_s) : "-",
               line.checkpoints.empty() ? "-" : line.checkpoints, s.message});
  }
  fmt::print("{}", table.render());
}

// Everything that published a cursor, and behind it the branches of the topology that did not.
std::vector<Line> make_lines(const Session& session, const std::vector<bronze::BranchStatus>& statuses, base::Version head) {
  std::vector<Line> lines;
  for (const auto& status : statuses) {
    auto& line = lines.emplace_back(make_line(status, session.clock->now(), head));
    const auto branch = std::ranges::find(session.topology.branches, status.branch, &spec::Branch::name);
    if (branch == session.topology.branches.end()) continue;
    line.checkpoints = checkpoints_of(*branch, status.engine, session.paths);
    if (branch->engine != status.engine && branch->engine != "auto" && line.status.message.empty())
      line.status.message = "the topology says " + branch->engine;
  }
  for (const auto& branch : session.topology.branches)
    if (std::ranges::find(statuses, branch.name, &bronze::BranchStatus::branch) == statuses.end()) lines.push_back(absent_line(branch));
  return lines;
}

// A pager elsewhere may run well while its notifier cannot read what it wrote.
base::Result<bool> add_unreadable(const Session& session, std::vector<Line>& lines) {
  bool any = false;
  for (const auto& branch : session.topology.branches) {
    if (branch.kind != spec::BranchKind::kPager || !branch.external()) continue;
    TRY(const auto objects, notify::read_unreadable(*session.lake, session.paths.pages(branch.name)));
    if (objects.empty()) continue;
    any = true;
    for (auto& line : lines)
      if (line.status.branch == branch.name) line.status.message = notify::describe(objects);
  }
  return any;
}

}  // namespace

int run_status(const CommonOptions& options) {
  int code = kOk;
  auto session = Session::open(options, code);
  if (!session) return code;
  const auto head = delta::Table(*session->lake, session->paths.bronze).latest();
  if (!head) return complain(head.error());
  if (head->value() < 0) {
    complain(fmt::format("no bronze table at {}{} yet: start 'headpond up -f {}'", session->lake->describe(), session->paths.bronze,
                         options.topology));
    return kUnavailable;
  }
  const auto statuses = bronze::read_statuses(*session->lake, session->paths.bronze);
  if (!statuses) return complain(statuses.error());
  auto lines = make_lines(*session, *statuses, *head);
  const auto unreadable = add_unreadable(*session, lines);
  if (!unreadable) return complain(unreadable.error());
  const bool late = std::ranges::any_of(lines, [](const Line& line) {
    const auto word = verdict(line);
    return word == "LATE" || word == "failed";
  });
  if (options.json)
    fmt::print("{}\n", to_json(lines, *head));
  else
    print(lines);
  return late || *unreadable ? kProblem : kOk;
}

}  // namespace headpond::app
