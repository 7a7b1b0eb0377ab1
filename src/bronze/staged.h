// What a Writer has taken in since its last commit, reduced to what the commit must say: ranges by quarter hour with both fingerprints,
// rows by second. No I/O. Private to bronze. Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "bronze/facts.h"
#include "bronze/fingerprint.h"
#include "columns/batch.h"

namespace headpond::bronze {

class Staged {
 public:
  struct Partition {
    base::Offset first, last;  // covered, gaps included
    std::int32_t last_record_index = 0;
    std::optional<base::Micros> first_arrival, last_arrival;  // of its rows; none if only gaps
    std::vector<Range> ranges;                                // in rising offset
  };

  // `tenant_column`: index in Batch::declared, or -1.
  Staged(std::string source, int tenant_column);

  const std::string& source() const { return source_; }
  // Requires: offsets follow one another within a partition, gaps declared; arrival never falls in it.
  void add(const columns::Batch& batch);
  void add_gap(base::PartitionId partition, base::Offset first, base::Offset last, const std::string& kind, base::Micros arrival);

  // Takes over what another has staged of other partitions of the same source.
  void merge(Staged other);

  bool empty() const { return partitions_.empty(); }
  std::int64_t rows() const { return rows_; }
  std::int64_t bytes() const { return bytes_; }
  const std::map<base::PartitionId, Partition>& partitions() const { return partitions_; }
  // The batch without its txnId, writer and files. Ranges stand by partition, then offset.
  WriterBatch batch() const;

 private:
  Partition& open(base::PartitionId partition, std::int64_t offset);
  static Range& open_range(Partition& partition, base::PartitionId id, std::int64_t quarter, base::Offset first);

  std::string source_;
  int tenant_column_;
  RowHasher hasher_;
  std::map<base::PartitionId, Partition> partitions_;
  std::map<std::int64_t, std::int64_t> seconds_;
  std::set<std::string> gap_kinds_;
  std::int64_t rows_ = 0, bytes_ = 0;
};

}  // namespace headpond::bronze
