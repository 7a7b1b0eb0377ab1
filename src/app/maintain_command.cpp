// `headpond maintain`: one round of upkeep of bronze's log, and what it did.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/console.h"
#include "app/session.h"
#include "app/upkeep_role.h"

namespace headpond::app {
namespace {

std::string to_json(const bronze::UpkeepReport& report) {
  nlohmann::ordered_json out = {{"head", report.head.value()},
                                {"commits_since_checkpoint", report.commits_since},
                                {"log_bytes_since_checkpoint", report.log_bytes_since}};
  if (const auto& c = report.checkpoint)
    out["checkpoint"] = {{"version", c->version.value()}, {"files", c->files}, {"rows", c->rows}, {"bytes", c->bytes}};
  out["ledger"] = {{"blocks_written", report.blocks_written}, {"ranges_written", report.ranges_written}};
  if (report.ledger_to.value() >= 0) out["ledger"]["to_version"] = report.ledger_to.value();
  out["entries_deleted"] = report.entries_deleted;
  out["bytes_deleted"] = report.bytes_deleted;
  out["checkpoints_deleted"] = report.checkpoints_deleted;
  out["log_begins"] = report.log_begins.value();
  if (report.held_by) out["held_by"] = *report.held_by;
  for (const auto& c : report.silent)
    out["silent_cursors"].push_back(
        {{"branch", c.branch}, {"version", c.version.value()}, {"silent_s", c.age.to_seconds()}, {"expired", c.expired}});
  return out.dump(2);
}

void print(const bronze::UpkeepReport& report) {
  if (const auto& c = report.checkpoint)
    fmt::print("checkpoint: version {}, {} files, {} rows, {}\n", c->version.value(), c->files, human_count(static_cast<double>(c->rows)),
               human_bytes(static_cast<double>(c->bytes)));
  else
    fmt::print("checkpoint: none due, {} commits of {} since the last\n", report.commits_since,
               human_bytes(static_cast<double>(report.log_bytes_since)));
  if (report.blocks_written > 0)
    fmt::print("ledger: {} ranges in {} blocks, up to version {}\n", report.ranges_written, report.blocks_written,
               report.ledger_to.value());
  fmt::print("clean-up: {} entries of {} and {} checkpoints deleted; the log begins with version {}, the newest is {}\n",
             report.entries_deleted, human_bytes(static_cast<double>(report.bytes_deleted)), report.checkpoints_deleted,
             report.log_begins.value(), report.head.value());
  if (report.held_by) fmt::print("branch {} still needs entries that are old enough to go\n", *report.held_by);
}

}  // namespace

int run_maintain(const MaintainCommand& command) {
  int code = kOk;
  auto session = Session::open(command.common, code);
  if (!session) return code;
  auto options = upkeep_options(*session);
  options.checkpoint_now = command.checkpoint;
  const auto report = bronze::keep_log(*session->lake, session->paths.bronze, options, {*session->clock, *session->failpoints});
  if (!report) return complain(report.error());
  if (command.common.json)
    fmt::print("{}\n", to_json(*report));
  else
    print(*report);
  for (const auto& cursor : report->silent) fmt::print(stderr, "{}\n", describe(cursor));
  return kOk;
}

}  // namespace headpond::app
