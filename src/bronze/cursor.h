// How a branch tells the others how far it is: one small object a branch, `_headpond/cursors/<branch>.json` in the bronze table, replaced
// again and again. `headpond status` and the page read these, and the upkeep of bronze's log deletes nothing that they still need.
// Format: docs/formats/cursor.md.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "env/object_store.h"

namespace headpond::bronze {

struct BranchStatus {
  std::string branch;         // name in the topology; of ingesters "ingest", "ingest-<lowest partition it reads>"
  std::string kind;           // "ingest", "pager", "dashboard", "billing"
  std::string engine;         // "embedded", "flink", …
  std::string state;          // "starting", "running", "backing off", "stopped", "failed"
  std::string message;        // the last error, or empty
  base::Version version{-1};  // consumed (ingest: written)
  base::Version durable_version{-1};
  base::Micros updated_at;
  std::optional<base::Micros> complete_until;  // settled boundary, last complete minute's end, last closed day's end, smallest clock
  double promise_s = 0;                        // freshness promised to its consumers; 0 = none
  std::map<std::string, double> figures;       // "rows_per_s", "bytes_per_s", "kafka_lag", "firing", "late_rows", …
  std::vector<base::MetricFamily> metrics;     // for /metrics of this process; not published
};

// How long a cursor stands before it is replaced: a second on a directory, 10 s on a remote store, where a PUT costs money and time.
base::Duration publish_every(const env::ObjectStore& store, const std::string& table_root);
base::Result<void> publish_status(env::ObjectStore& store, const std::string& table_root, const BranchStatus& status);
// Of the branches of which `gone` says so.
base::Result<void> remove_statuses(env::ObjectStore& store, const std::string& table_root,
                                   const std::function<bool(const std::string& branch)>& gone);
// In the order of their names, numbers at the end by value.
base::Result<std::vector<BranchStatus>> read_statuses(env::ObjectStore& store, const std::string& table_root);
std::string to_json(const BranchStatus& status);

}  // namespace headpond::bronze
