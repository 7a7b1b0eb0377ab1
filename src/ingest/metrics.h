// What ingest counts for /metrics; names and meanings: docs/formats/api.md. Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "ingest/committer.h"
#include "ingest/lanes.h"

namespace headpond::ingest {

class Metrics {
 public:
  explicit Metrics(std::string topic);

  // A finished commit; `now`: wall clock, when its rows can be read.
  void note(const Committer::Done& done, base::Micros now);
  // `memory_budget`: bytes, 0 = none.
  std::vector<base::MetricFamily> families(const Lanes& lanes, std::int64_t memory_budget) const;

 private:
  std::string topic_;
  base::Histogram readable_, encode_, files_, log_;
  std::int64_t commits_ = 0, committed_rows_ = 0, committed_bytes_ = 0, file_bytes_ = 0;
};

}  // namespace headpond::ingest
