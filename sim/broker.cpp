#include "sim/broker.h"

#include <algorithm>

namespace headpond::sim {

std::int64_t PartitionLog::stable() const {
  auto at = end();
  for (const auto& [producer, first] : open) at = std::min(at, first);
  return at;
}

std::int64_t PartitionLog::end_of_epoch(std::int32_t seen) const {
  for (const auto& [number, first] : epochs)
    if (number > seen) return first;
  return end();
}

Broker::Broker(int partitions, bool append_time, bool with_transactions, bool with_compaction)
    : log_append_time(append_time), transactions(with_transactions), compacted(with_compaction), ever_compacted(with_compaction) {
  create_topic(partitions);
}

void Broker::create_topic(int partitions) {
  auto& topic = incarnations_.emplace_back();
  topic.id = "topic-id-" + std::to_string(incarnations_.size());
  topic.partitions.resize(static_cast<std::size_t>(partitions));
}

void Broker::append(int partition, Record draft, std::int64_t now_us) {
  auto& log = topic().partitions[static_cast<std::size_t>(partition)];
  draft.id = static_cast<RecordId>(records_.size());
  draft.incarnation = incarnation();
  draft.partition = partition;
  draft.offset = log.end();
  draft.accepted_us = now_us;
  draft.epoch = log.epoch;
  if (log_append_time) draft.timestamp_us = (now_us + log.leader_skew_us) / 1000 * 1000;
  if (draft.producer >= 0 && !draft.control) {
    draft.txn = TxnState::kOpen;
    log.open.try_emplace(draft.producer, draft.offset);
  }
  log.log.push_back(draft.id);
  records_.push_back(std::move(draft));
}

void Broker::end_transaction(int partition, int producer, bool commit, std::int64_t now_us) {
  auto& log = topic().partitions[static_cast<std::size_t>(partition)];
  const auto open = log.open.find(producer);
  if (open == log.open.end()) return;
  for (auto offset = open->second; offset < log.end(); ++offset) {
    auto& record = records_[static_cast<std::size_t>(log.log[static_cast<std::size_t>(offset)])];
    if (record.producer == producer && record.txn == TxnState::kOpen) record.txn = commit ? TxnState::kCommitted : TxnState::kAborted;
  }
  log.open.erase(open);
  Record marker;
  marker.control = true;
  marker.producer = producer;
  append(partition, std::move(marker), now_us);
}

void Broker::compact(int partition, std::int64_t offset) {
  auto& log = topic().partitions[static_cast<std::size_t>(partition)];
  if (offset < log.stable()) records_[static_cast<std::size_t>(log.log[static_cast<std::size_t>(offset)])].compacted = true;
}

void Broker::raise_start(int partition, std::int64_t start) {
  auto& log = topic().partitions[static_cast<std::size_t>(partition)];
  log.start = std::max(log.start, std::min(start, log.stable()));
}

void Broker::elect(int partition, std::int64_t keep, std::int64_t skew_us) {
  auto& log = topic().partitions[static_cast<std::size_t>(partition)];
  log.leader_skew_us = skew_us;
  ++log.epoch;
  keep = std::max(keep, log.start);
  if (keep < log.end()) lost_by_truncation = true;
  for (auto offset = keep; offset < log.end(); ++offset) log.cut[offset].push_back(log.log[static_cast<std::size_t>(offset)]);
  log.log.resize(static_cast<std::size_t>(std::min(keep, log.end())));
  while (!log.epochs.empty() && log.epochs.back().second >= log.end() && log.epochs.size() > 1) log.epochs.pop_back();
  log.epochs.emplace_back(log.epoch, log.end());
}

}  // namespace headpond::sim
