// The broker, as the truth: every record it ever accepted, what of it can be read, and why the rest cannot. Checkers ask it; engines see it
// only through a Client.
//
// A topic that is deleted and created again is another incarnation under the same name. Threads: one at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace headpond::sim {

using RecordId = std::int64_t;

enum class TxnState { kNone, kOpen, kCommitted, kAborted };

struct Record {
  RecordId id = 0;
  int incarnation = 0, partition = 0;
  std::int64_t offset = 0;
  bool control = false;
  TxnState txn = TxnState::kNone;
  int producer = -1;
  bool compacted = false;
  std::int64_t accepted_us = 0;    // true time
  std::int64_t timestamp_us = -1;  // what a consumer is told: the producer's, or the leader's
  std::int32_t epoch = 0;
  std::string payload;
  bool tombstone = false;
  std::optional<std::string> key;
  // What a row of it must say.
  std::optional<std::string> tenant;
  bool error = false;

  bool data() const { return !control && txn != TxnState::kAborted; }  // an open one may become data
  bool readable() const { return data() && !compacted && txn != TxnState::kOpen; }
};

struct PartitionLog {
  std::vector<RecordId> log;  // index = offset
  std::int64_t start = 0;
  std::int32_t epoch = 0;
  bool has_leader = true;
  std::int64_t leader_back_us = 0;
  std::int64_t leader_skew_us = 0;
  std::vector<std::pair<std::int32_t, std::int64_t>> epochs{{0, 0}};  // (epoch, first offset), rising
  std::map<std::int64_t, std::vector<RecordId>> cut;                  // what an unclean election has thrown away, by offset
  std::map<int, std::int64_t> open;                                   // first offset of each open transaction, by producer
  std::int64_t end() const { return static_cast<std::int64_t>(log.size()); }
  std::int64_t stable() const;  // nothing from here on is handed over
  // Where a reader whose last record was of `seen` must have stopped at the latest: the end offset of that epoch.
  std::int64_t end_of_epoch(std::int32_t seen) const;
};

struct TopicLog {
  std::string id;
  bool exists = true;
  std::vector<PartitionLog> partitions;
};

class Broker {
 public:
  Broker(int partitions, bool log_append_time, bool transactions, bool compacted);

  TopicLog& topic() { return incarnations_.back(); }
  const TopicLog& topic() const { return incarnations_.back(); }
  const TopicLog& topic(int incarnation) const { return incarnations_[static_cast<std::size_t>(incarnation)]; }
  int incarnation() const { return static_cast<int>(incarnations_.size()) - 1; }
  const Record& record(RecordId id) const { return records_[static_cast<std::size_t>(id)]; }

  // `draft`: what the producer says; place, epoch and times of acceptance are the broker's. A producer >= 0 is in a transaction.
  void append(int partition, Record draft, std::int64_t now_us);
  void end_transaction(int partition, int producer, bool commit, std::int64_t now_us);
  void compact(int partition, std::int64_t offset);
  void raise_start(int partition, std::int64_t start);
  // Another leader; `keep` < end: an unclean election, which loses what lies behind. Requires: no part of a transaction lies there.
  void elect(int partition, std::int64_t keep, std::int64_t skew_us);
  void remove_topic() { topic().exists = false; }
  void create_topic(int partitions);

  bool log_append_time, transactions, compacted;
  bool ever_compacted;
  bool lost_by_truncation = false;  // an unclean election has thrown data away

 private:
  std::deque<Record> records_;
  std::vector<TopicLog> incarnations_;
};

}  // namespace headpond::sim
