// The JSON documents of the API, built from what the branches published. Definitions: docs/formats/api.md. Threads: one at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/cursor.h"
#include "delta/log.h"
#include "env/object_store.h"
#include "serve/minutes.h"
#include "spec/topology.h"
#include "sql/engine.h"

namespace headpond::serve {

// "real-time", "< 15min", "< 1h", "< 24h", "≥ 24h".
std::string freshness_tag(base::Duration freshness);
// The tightest promise among the consumers a branch serves; none if it serves none.
std::optional<base::Duration> promise_of(const spec::Topology& topology, const spec::Branch& branch);

// A status and what follows from it now.
struct Standing {
  bronze::BranchStatus status;
  double age_s = 0;                   // since it was published
  std::optional<double> freshness_s;  // age of the newest complete result; a bill's counts from the close of the first day that is missing
  std::int64_t behind = 0;            // versions of bronze not consumed
  std::string verdict;                // its state, or "late" (beyond its promise), or "not running" (not heard of for 30 s)
};
std::vector<Standing> standings(const std::vector<bronze::BranchStatus>& statuses, base::Micros now);

std::string topology_json(const spec::Topology& topology);
std::string status_json(const spec::Topology& topology, const std::vector<Standing>& standings, base::Micros now,
                        const std::vector<std::pair<std::string, std::int64_t>>& versions);

struct DashboardQuestion {
  std::string rollup, by, measure;  // empty: the first there is
  int minutes = 60;                 // back from the current one, that included
  int groups_max = 50;
};
// Errors: kInvalid: an unknown rollup, dimension or measure.
base::Result<std::string> dashboard_json(Minutes& minutes, const std::string& branch, const std::optional<Standing>& standing,
                                         const DashboardQuestion& question, base::Micros now);

// Firing and recent pages of a pages table; `limit` recent transitions.
base::Result<std::string> pages_json(const delta::Table& table, const delta::Snapshot& snapshot, sql::Engine& sql, int limit);

// The newest closed day of a billing folder, from its certificate, or `null`.
base::Result<std::string> bill_json(env::ObjectStore& lake, const std::string& billing_root);

// Prometheus' text format. `only`: a branch or kind, "" = all; `process`: of the serving process.
std::string metrics_text(const std::vector<Standing>& standings, const std::string& only, const std::vector<base::MetricFamily>& process);

}  // namespace headpond::serve
