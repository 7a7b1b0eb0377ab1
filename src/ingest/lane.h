// One lane: a consumer, its partitions, a decoder and the batch they fill, alone. Stamps rows and hands full batches to the committer.
//
// Ingest runs L lanes over disjoint partitions (lanes.h); all lanes' rows form one commit, and cut() fixes what of a lane belongs to it.
// Threads: one at a time; several lanes in parallel.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "decode/decoder.h"
#include "env/clock.h"
#include "ingest/committer.h"
#include "ingest/gap_judge.h"
#include "ingest/partition.h"
#include "kafka/source.h"

namespace headpond::ingest {

struct LaneOptions {
  std::string topic;
  std::string source;  // "<topic>@<generation>"
  ArrivalRules rules;
  bool raw_of_errors = false;  // only rows with an error keep their payload
  bool accept_loss = false;    // records lost to retention become a recorded gap instead of a stop
  std::size_t index = 0;       // of this lane, for the committer
};

struct LaneCounts {
  std::int64_t rows = 0, bytes = 0, errors = 0;
  std::int64_t mismatches = 0;         // cells nulled because their value did not fit
  std::int64_t future_ts = 0;          // ts replaced by arrival
  std::int64_t future_timestamps = 0;  // kafka_timestamp too far ahead to be used
  std::int64_t interruptions = 0;
};

class Lane {
 public:
  Lane(LaneOptions options, std::unique_ptr<kafka::Source> source, std::unique_ptr<decode::Decoder> decoder,
       const std::vector<columns::ColumnSpec>& declared, env::Clock& clock);

  // Rows go to `committer` (borrowed) from now on.
  void bind(Committer& committer) { committer_ = &committer; }
  void know(const TopicTraits& topic) { topic_ = topic; }
  // Takes partitions over at the given state and starts to fetch them.
  base::Result<void> own(std::vector<Partition> partitions);
  // Fetches no more of them: what was fetched and not yet stamped is discarded. What was stamped stays.
  base::Result<void> quiet(const std::vector<base::PartitionId>& ids);
  // They are another's now.
  void release(const std::vector<base::PartitionId>& ids);
  // Drops what was not committed, and goes on with `committer` at `partitions` alone.
  base::Result<void> restart(Committer& committer, std::vector<Partition> partitions);

  // Hands over what has arrived, a batch at most. True: there was something.
  // Errors: the committer's. kInvalid: records are missing or the topic is another one (see message).
  base::Result<bool> pump(base::Duration timeout);
  // Everything stamped so far is with the committer.
  base::Result<void> flush();

  // What a commit made now may say about the partitions. Requires flush(). `ends` are answers to a question sent at `asked_at`.
  std::vector<bronze::PartitionClock> cut(const std::vector<kafka::LogEnd>& ends, base::Micros asked_at);

  kafka::Source& source() { return *source_; }
  std::vector<Partition>& partitions() { return partitions_; }  // by id; index is the id
  const std::vector<Partition>& partitions() const { return partitions_; }
  std::vector<base::PartitionId> owned() const;
  bool owns(base::PartitionId id) const {
    const auto index = static_cast<std::size_t>(id.value());
    return index < partitions_.size() && partitions_[index].owned;
  }
  LaneCounts counts() const;
  // A gap waits for a fresh description of the topic.
  bool wants_description() const { return wants_description_; }
  void description_asked() { wants_description_ = false; }
  const std::string& last_trouble() const { return last_trouble_; }

 private:
  bool take(const kafka::Record& record);
  void hear(const kafka::PartitionEvent& event);
  bool settle_offset(Partition& partition, std::int64_t seen);
  bool settle_epoch(Partition& partition, std::int32_t epoch);
  void declare_held_gaps(Partition& partition, base::Micros arrival);
  void declare(Partition& partition, std::int64_t first, std::int64_t last, const std::string& kind, base::Micros arrival);
  bool put_rows(Partition& partition, const kafka::Record& record);
  bool put_siblings(const kafka::Record& record, std::int64_t arrival);
  void stamp(std::size_t row, const kafka::Record& record, std::int64_t arrival);
  void settle_row(std::size_t row, const decode::Decoded& decoded, std::string_view payload);
  void keep_raw(std::string_view payload);
  std::vector<kafka::Assignment> adopt(std::vector<Partition> partitions);
  // In lost_records.cpp.
  void out_of_range(Partition& partition, bool truncated);
  void accept_loss(Partition& partition, std::int64_t start);
  std::string missing(const std::map<base::PartitionId, base::Offset>& starts) const;
  void give_up(base::Error error);
  void stop(Partition& partition, std::string reason);
  Partition* find(std::int32_t id);
  std::string name_of(const Partition& partition) const;

  LaneOptions options_;
  std::unique_ptr<kafka::Source> source_;
  std::unique_ptr<decode::Decoder> decoder_;
  env::Clock& clock_;
  Committer* committer_ = nullptr;
  columns::Batch batch_;
  TopicTraits topic_;
  std::vector<Partition> partitions_;
  LaneCounts counts_;
  std::optional<std::size_t> aside_;  // row of the record under way whose payload is not kept yet
  std::int64_t fetched_at_ = 0;       // wall clock, µs; renewed every few records
  unsigned since_fetched_at_ = 0;
  bool wants_description_ = false;
  std::string last_trouble_;
  base::Result<void> outcome_;  // of the current pump
};

}  // namespace headpond::ingest
