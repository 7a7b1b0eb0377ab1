// Proves from the log, or from the rows, that each offset is in the table exactly once or is a legal gap.
// Threads: any; reads only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/facts.h"
#include "env/object_store.h"

namespace headpond::bronze {

struct Finding {
  std::string what;   // "doubled range", "lost rows", "missing version", …
  std::string where;  // "version 17, logs@0 partition 3, offsets 120-131"
};

struct PartitionTotals {
  base::Offset first{0}, last{-1};
  std::int64_t rows = 0, bytes = 0, errors = 0, gaps = 0;
  std::uint64_t fingerprint = 0, payload_fingerprint = 0;
};

struct AuditReport {
  base::Version version{-1};
  std::int64_t files = 0, rows = 0, bytes = 0;
  bool deep = false;
  std::map<base::SourcePartition, PartitionTotals> partitions;
  std::vector<Finding> findings;  // empty = clean
  std::vector<Finding> accepted;  // losses somebody accepted: legal gaps, but rows that are not there
  bool clean() const { return findings.empty(); }
};

// Re-derives totals by partition (and range) from the rows of the given files; bronze does not read Parquet itself, sql does. app wires it.
struct RowFact {
  base::SourcePartition partition;
  base::Offset offset;
  std::int32_t record_index;
  base::Micros arrival;
  std::optional<std::string> tenant;
  std::int32_t bytes;
  bool error;
  std::optional<std::string> raw;
};
// Calls `row` for every row of the file at `path` (relative to the table), in file order.
using RowReader = std::function<base::Result<void>(const std::string& path, const std::function<void(const RowFact&)>& row)>;

// Told which objects are read next and which of the earlier ones still are, at most 64 MB in all; for a far store:
// env::ReadAhead::expect().
using Expect = std::function<void(const std::vector<std::string>& paths)>;

// From the log alone when `rows` is empty; with it, also every row of every live file (--deep).
// Errors: kNotFound: no table. Damage is a finding, never an error.
base::Result<AuditReport> audit(env::ObjectStore& store, const std::string& table_root, const RowReader& rows, const Expect& expect = {});

// XXH3 over (source, partition, offset, record_index, tenant, bytes); layout in docs/formats/bronze.md. A tenant whose data() is null is
// NULL.
std::uint64_t row_fingerprint(std::string_view source, std::int32_t partition, std::int64_t offset, std::int32_t record_index,
                              std::string_view tenant, std::int32_t bytes);

// XXH3 over (offset, XXH3 of the payload), so that exchanged payloads show. A row without `raw` adds nothing.
std::uint64_t payload_fingerprint(std::int64_t offset, std::string_view payload);

}  // namespace headpond::bronze
