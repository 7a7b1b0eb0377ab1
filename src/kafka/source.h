// Where records come from: one topic, a static set of its partitions, each from an explicit offset. The seam between ingest and a broker;
// open_source() (client.h) gives the real one, tests a fake.
//
// Nothing is ever skipped or repeated in silence: a partition hands over its records in rising offset from the assigned one on, and what
// breaks that is an event.
//
// Threads: one at a time per Source. Only describe(), log_starts(), log_ends() and offsets_at() wait for the broker (5 s at most).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kafka/record.h"

namespace headpond::kafka {

struct PartitionInfo {
  base::PartitionId id;
  bool has_leader = true;
};

struct TopicInfo {
  std::string name;
  std::string id;                         // base64, as the broker prints it; empty: the broker has none
  bool log_append_time = false;           // message.timestamp.type
  bool compacted = false;                 // cleanup.policy contains compact
  bool transactions = false;              // the cluster keeps transactions, so the topic may hold control records and aborted ones
  std::vector<PartitionInfo> partitions;  // by id
};

struct Assignment {
  base::PartitionId partition;
  base::Offset next;               // the first offset to hand over
  std::int32_t leader_epoch = -1;  // of the record before it; the broker then tells when its log was cut below it and written anew
};

struct LogEnd {
  base::PartitionId partition;
  base::Offset end{-1};  // the next offset a producer would get (read_uncommitted); -1: no answer, `error` says why
  std::string error;
};

class Source {
 public:
  virtual ~Source() = default;

  // Errors: kRetry: no broker answers. kNotFound: no such topic, with names near it. kInvalid: not authorized.
  virtual base::Result<TopicInfo> describe() = 0;
  // The first offset each partition still holds, and the one its next record gets.
  virtual base::Result<std::map<base::PartitionId, base::Offset>> log_starts(const std::vector<base::PartitionId>& partitions) = 0;
  virtual base::Result<std::map<base::PartitionId, base::Offset>> log_ends(const std::vector<base::PartitionId>& partitions) = 0;
  // The first offset of each whose record's time is `time` or later; absent: there is none.
  virtual base::Result<std::map<base::PartitionId, base::Offset>> offsets_at(const std::vector<base::PartitionId>& partitions,
                                                                             base::Micros time) = 0;

  // Replaces the assignment; what was fetched for the old one is discarded.
  virtual base::Result<void> assign(const std::vector<Assignment>& assignments) = 0;
  virtual base::Result<void> add(const std::vector<Assignment>& assignments) = 0;
  // Discards what was fetched of one partition and fetches again from `next` on.
  virtual base::Result<void> refetch(const Assignment& assignment) = 0;
  virtual base::Result<void> remove(base::PartitionId partition) = 0;

  // Hands over what has arrived, waiting up to `timeout` for the first. Returns the number of records.
  virtual std::size_t poll(base::Duration timeout, const Handler& handler) = 0;

  // Asks for the log ends of `partitions` without waiting: one request a broker. The answer, once it is there, is taken once. Asking again
  // before that forgets the earlier question.
  virtual void ask_log_ends(const std::vector<base::PartitionId>& partitions) = 0;
  virtual std::optional<std::vector<LogEnd>> take_log_ends() = 0;
  // The same for the topic's description. Errors as describe().
  virtual void ask_topic() = 0;
  virtual std::optional<base::Result<TopicInfo>> take_topic() = 0;

  // Writes the group's offsets, for lag monitors alone: nothing reads them back, failures are ignored.
  virtual void publish_group_offsets(const std::vector<Assignment>& next) = 0;
};

}  // namespace headpond::kafka
