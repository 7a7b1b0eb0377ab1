// The deep half of the audit: one version's rows against what its facts say about them. Private to bronze. Threads: one at a time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bronze/audit.h"
#include "bronze/facts.h"
#include "bronze/tail.h"

namespace headpond::bronze {

std::string place_text(base::Version version, const base::SourcePartition& partition, base::Offset first, base::Offset last);

// What is remembered of a partition's rows from one version to the next.
struct RowTrace {
  base::Offset offset{-1};
  std::int32_t record_index = -1;
  std::optional<base::Micros> arrival;
};
using RowTraces = std::map<base::SourcePartition, RowTrace>;

class VersionRows {
 public:
  // `clocks` are those published before this version. Borrows all but `version`.
  VersionRows(base::Version version, const CommitFacts& facts, const std::map<base::SourcePartition, base::Micros>& clocks,
              RowTraces& traces, std::vector<Finding>& findings);
  void add(const DataFile& file, const RowFact& row);
  // Compares each range with the sum of its rows. `complete`: every file could be read.
  void finish(bool complete);

 private:
  struct Sum {
    base::SourcePartition partition;
    const Range* range;
    std::int64_t rows = 0, bytes = 0, errors = 0;
    std::uint64_t fingerprint = 0, payload_fingerprint = 0;
  };
  Sum* sum_of(const RowFact& row);
  void check_order(const DataFile& file, const RowFact& row);
  void found_once(const std::string& what, const RowFact& row, const std::string& more);

  base::Version version_;
  const std::map<base::SourcePartition, base::Micros>& clocks_;
  RowTraces& traces_;
  std::vector<Finding>& findings_;
  std::map<base::SourcePartition, std::vector<Sum>> sums_;  // by first offset
  std::set<std::pair<std::string, base::SourcePartition>> told_;
};

}  // namespace headpond::bronze
