// Holds what bronze says it covers against what the broker still has: `headpond audit --kafka`. The topic is read again, record by record,
// and its payloads are hashed; only payload_fingerprint (docs/formats/bronze.md) is shared with ingest.
// Threads: one at a time per Source.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/audit.h"
#include "bronze/facts.h"
#include "env/clock.h"
#include "env/object_store.h"
#include "kafka/source.h"

namespace headpond::ingest {

struct TopicAuditOptions {
  bool raw_kept = true;            // false (`raw: errors`): payloads cannot be held against the fingerprints, their numbers can
  std::int64_t first_quarter = 0;  // of arrival (15 min since the epoch): ranges before it are left out
  base::Duration patience = base::Duration::seconds(60);                       // without a record or an answer
  std::function<void(std::int64_t read, std::int64_t of)> progress = nullptr;  // offsets; now and then
};

struct TopicPartition {
  base::Offset log_start{0}, log_end{0};  // at the broker: the first it holds, the one the next record gets
  base::Offset position{-1};              // last offset bronze covers
  std::int64_t records = 0, bytes = 0;    // read again and held against bronze
  std::int64_t expired = 0;               // offsets that bronze covers and the broker no longer has, or that were left out
};

struct TopicAudit {
  std::string topic, id, source;
  std::map<base::PartitionId, TopicPartition> partitions;
  std::int64_t records = 0, bytes = 0, behind = 0;  // behind: offsets at the broker that bronze does not cover yet
  std::vector<bronze::Finding> findings;            // empty = the broker agrees
  bool clean() const { return findings.empty(); }
};

// Findings: "another topic", "partition gone", "log cut", "lost range", "records differ", "payload differs"; each with partition and
// offsets. Errors: kNotFound: no table, no topic. kRetry: no broker, or no answer for `patience`. Those of the store.
base::Result<TopicAudit> audit_topic(kafka::Source& broker, env::ObjectStore& store, const std::string& table_root, env::Clock& clock,
                                     const TopicAuditOptions& options);

}  // namespace headpond::ingest
