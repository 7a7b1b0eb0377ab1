// What a bronze commit states about itself: the object commitInfo.headpond. Format: docs/formats/bronze.md.
// Values; no I/O; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::bronze {

inline constexpr int kFormat = 1;
inline constexpr std::string_view kNeeds =
    "0.1.0";  // the oldest Headpond that reads kFormat; written into each commit for older ones to name

// Until `clock`, every record the broker had accepted in this partition is in the table. Proven at `position`.
struct PartitionClock {
  base::SourcePartition partition;
  base::Micros clock;
  base::Offset position{-1};  // last covered offset at which it was proven; valid only while that is the table's
};

struct Stalled {
  base::SourcePartition partition;
  std::string reason;  // "no owner", "no leader", "open transaction", …
};

// The rows of one partition in one quarter hour of `arrival`.
struct Range {
  base::PartitionId partition;
  std::int64_t quarter = 0;  // floor(arrival / 15 min), counted from the epoch
  base::Offset first, last;  // covered, gaps included
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
  std::int64_t errors = 0;
  std::int64_t gaps = 0;  // covered offsets without a row, legal ones
  std::uint64_t fingerprint = 0;
  std::uint64_t payload_fingerprint = 0;
};

struct SecondCount {
  std::int64_t second = 0;  // of arrival, since the epoch
  std::int64_t rows = 0;
};

// The kind of a gap that is a loss: the broker deleted the records before they were read, and the operator said to go on.
inline constexpr std::string_view kAcceptedLoss = "retention (accepted)";

// What one writer contributed to one version.
struct WriterBatch {
  std::string txn_id;  // unique; tells a lost reply from a lost race
  std::string writer;
  std::string source;
  std::vector<std::string> files;
  std::vector<Range> ranges;
  std::vector<SecondCount> seconds;
  std::vector<std::string> gap_kinds;  // distinct kinds of legal gap in it: "control", "aborted", "compacted", "retention (accepted)"
};

struct Topic {
  std::string name;
  std::string id;  // Kafka's topic id, base64 as the broker prints it; empty if the broker has none
  int generation = 0;
  bool log_append_time = false;  // the broker stamps the records, so `arrival` is its time; written only when true
  std::string source() const { return name + "@" + std::to_string(generation); }
};

struct CommitFacts {
  int format = kFormat;
  std::optional<Topic> topic;                     // in the first commit of each generation
  std::vector<base::SourcePartition> partitions;  // named here for the first time: in force from here on
  std::vector<PartitionClock> clocks;             // those that changed
  std::vector<Stalled> stalled;                   // those the committing ingester names
  std::vector<WriterBatch> batches;
  std::vector<std::pair<base::SourcePartition, std::int32_t>> leader_epochs;  // newest seen, where known
};

std::string to_json(const CommitFacts& facts);
std::string fingerprint_text(std::uint64_t fingerprint);  // 16 lower-case hexadecimal digits
// `name` is for messages. Errors: kCorrupt; kInvalid: written by a newer format, with the version to install.
base::Result<CommitFacts> parse_facts(std::string_view json, std::string_view name);

// One partition's state of affairs at a version.
struct PartitionState {
  bool in_force = true;
  base::Offset position{-1};              // last covered offset
  std::optional<base::Micros> clock;      // none: holds the minimum
  std::optional<base::Offset> proven_at;  // the position at which `clock` was proven; none: it is the one it was named with
  std::optional<std::string> stalled;     // the reason
  std::int32_t leader_epoch = -1;
  bool ends_in_row = false;  // `position` is certainly a row's, so that leader_epoch is that row's; its last range has no gaps
  bool operator==(const PartitionState&) const = default;
};

// The fold of all facts up to a version: positions, clocks, what is in force, what is stalled.
class TableClock {
 public:
  // Applies the next version. Errors: kCorrupt: a range that does not follow the position before it, a clock that goes back or was
  // proven at another position, rows of a partition that is not in force. After an error, discard the object.
  base::Result<void> apply(const CommitFacts& facts);

  const std::map<base::SourcePartition, PartitionState>& partitions() const { return partitions_; }
  // The smallest clock of the partitions in force that are not stalled. None: one has no clock yet, none is in force, or all are stalled.
  std::optional<base::Micros> smallest_unstalled() const;
  std::vector<Stalled> stalled() const;  // of those in force
  // Stands for a partition the table does not name yet: what it will start with when the next version names it.
  PartitionState start_state() const;
  base::PositionVector positions() const;                       // of the partitions in force and of earlier generations
  const std::vector<Topic>& topics() const { return topics_; }  // one a generation, oldest first
  std::optional<Topic> topic() const { return topics_.empty() ? std::nullopt : std::optional(topics_.back()); }

  // The state as a JSON object, as checkpoints of the log and the ledger hold it. Errors of parse: kCorrupt; `name` is for messages.
  std::string to_json() const;
  static base::Result<TableClock> parse(std::string_view json, std::string_view name);

 private:
  base::Result<void> name_partitions(const CommitFacts& facts);
  base::Result<void> apply_range(const std::string& source, const Range& range);
  base::Result<void> apply_clock(const PartitionClock& clock);

  std::map<base::SourcePartition, PartitionState> partitions_;
  std::vector<Topic> topics_;
};

// The Delta appId of a partition's position: "<table>-<source>-<partition>", so "acme-logs-logs@0-7".
std::string txn_app_id(std::string_view table, const base::SourcePartition& partition);

}  // namespace headpond::bronze
