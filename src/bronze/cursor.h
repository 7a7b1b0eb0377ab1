// How a branch tells the others how far it is: one small object a branch, `_headpond/cursors/<branch>.json` in the bronze table, replaced
// at most every 10 s on remote stores (each second on a directory). `headpond status` and the page read these; nothing else depends on
// them. Format: docs/formats/cursor.md.
#pragma once

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
  std::string branch;         // name in the topology; "ingest" for ingest
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

base::Result<void> publish_status(env::ObjectStore& store, const std::string& table_root, const BranchStatus& status);
base::Result<std::vector<BranchStatus>> read_statuses(env::ObjectStore& store, const std::string& table_root);
std::string to_json(const BranchStatus& status);

}  // namespace headpond::bronze
