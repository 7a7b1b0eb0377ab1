// A broker in memory, and a Source over it, for ingest's tests: records with gaps, retention, lost leaders, re-created topics, clients that
// skip. Only tests include this.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kafka/source.h"

namespace headpond::ingest::testing {

struct FakeRecord {
  std::string payload;
  std::int64_t timestamp_us = -1;
  std::optional<std::string> key;
  bool visible = true;  // false: a control record, an aborted or a compacted one
  bool tombstone = false;
};

struct FakePartition {
  std::vector<FakeRecord> log;      // index = offset
  std::int64_t start = 0;           // log start
  std::int64_t stable = INT64_MAX;  // last stable offset: nothing behind it is handed over
  std::int32_t leader_epoch = 0;
  bool has_leader = true;
  std::int64_t end() const { return static_cast<std::int64_t>(log.size()); }
};

struct FakeBroker {
  std::string topic_id = "id-1";
  std::deque<std::string> topic_ids;  // told by the next descriptions instead
  bool compacted = false, transactions = false, log_append_time = false;
  bool answers = true;  // to questions about log ends and the topic
  std::map<int, FakePartition> partitions;
  std::vector<std::pair<int, std::int64_t>> group_offsets;
  int fetches = 0;                     // assignments, refetches included
  std::map<int, std::int32_t> epochs;  // told with the latest assignment, by partition

  explicit FakeBroker(int count) {
    for (int p = 0; p < count; ++p) partitions[p];
  }
  void produce(int partition, std::string payload, std::int64_t timestamp_us) {
    partitions[partition].log.push_back({.payload = std::move(payload), .timestamp_us = timestamp_us, .key = {}});
  }
  void hide(int partition, int count = 1) {
    for (int i = 0; i < count; ++i) partitions[partition].log.push_back({.payload = "", .key = {}, .visible = false});
  }
};

class FakeSource : public kafka::Source {
 public:
  explicit FakeSource(FakeBroker& broker) : broker_(broker) {}

  base::Result<kafka::TopicInfo> describe() override {
    if (!broker_.answers) return base::fail(base::ErrorKind::kRetry, "cannot reach any Kafka broker at fake:1 within 5s; is it running?");
    auto described = info();
    if (!broker_.topic_ids.empty()) {
      described.id = broker_.topic_ids.front();
      broker_.topic_ids.pop_front();
    }
    return described;
  }
  base::Result<std::map<base::PartitionId, base::Offset>> log_starts(const std::vector<base::PartitionId>& ids) override {
    std::map<base::PartitionId, base::Offset> starts;
    for (const auto id : ids) starts[id] = base::Offset(broker_.partitions.at(id.value()).start);
    return starts;
  }
  base::Result<std::map<base::PartitionId, base::Offset>> log_ends(const std::vector<base::PartitionId>& ids) override {
    std::map<base::PartitionId, base::Offset> ends;
    for (const auto id : ids) ends[id] = base::Offset(broker_.partitions.at(id.value()).end());
    return ends;
  }
  base::Result<std::map<base::PartitionId, base::Offset>> offsets_at(const std::vector<base::PartitionId>& ids,
                                                                     base::Micros time) override {
    std::map<base::PartitionId, base::Offset> found;
    for (const auto id : ids) {
      const auto& partition = broker_.partitions.at(id.value());
      for (auto offset = partition.start; offset < partition.end() && !found.contains(id); ++offset)
        if (partition.log[static_cast<std::size_t>(offset)].timestamp_us >= time.value()) found[id] = base::Offset(offset);
    }
    return found;
  }
  base::Result<void> assign(const std::vector<kafka::Assignment>& assignments) override {
    positions_.clear();
    return add(assignments);
  }
  base::Result<void> add(const std::vector<kafka::Assignment>& assignments) override {
    for (const auto& assignment : assignments) {
      positions_[assignment.partition.value()] = {assignment.next.value(), -1};
      ++broker_.fetches;
      broker_.epochs[assignment.partition.value()] = assignment.leader_epoch;
    }
    return {};
  }
  base::Result<void> refetch(const kafka::Assignment& assignment) override { return add({assignment}); }
  base::Result<void> remove(base::PartitionId partition) override {
    positions_.erase(partition.value());
    return {};
  }

  std::size_t poll(base::Duration, const kafka::Handler& handler) override {
    while (!events.empty()) {
      const auto event = events.front();
      events.pop_front();
      handler.on_event(handler.context, event);
    }
    std::size_t count = 0;
    std::vector<int> ids;
    for (const auto& [id, position] : positions_) ids.push_back(id);
    for (const int id : ids) {
      bool more = true;
      while (more && count < records_per_poll && positions_.contains(id)) {
        const int before = broker_.fetches;
        if (!hand_over(id, handler, count, more)) break;
        if (broker_.fetches != before) break;  // fetched again: what was fetched is discarded
      }
      if (!more) break;
    }
    return count;
  }

  void ask_log_ends(const std::vector<base::PartitionId>& ids) override {
    asked_ = ids;
    answer_.reset();
    if (!broker_.answers) return;
    std::vector<kafka::LogEnd> ends;
    for (const auto id : ids) {
      const auto& partition = broker_.partitions.at(id.value());
      ends.push_back(partition.has_leader ? kafka::LogEnd{id, base::Offset(partition.end()), ""}
                                          : kafka::LogEnd{id, base::Offset(-1), "Broker: Leader not available"});
    }
    answer_ = std::move(ends);
  }
  std::optional<std::vector<kafka::LogEnd>> take_log_ends() override { return std::exchange(answer_, std::nullopt); }
  void ask_topic() override { topic_asked_ = true; }
  std::optional<base::Result<kafka::TopicInfo>> take_topic() override {
    if (!topic_asked_) return std::nullopt;
    topic_asked_ = false;
    return describe();
  }
  void publish_group_offsets(const std::vector<kafka::Assignment>& next) override {
    broker_.group_offsets.clear();
    for (const auto& assignment : next) broker_.group_offsets.emplace_back(assignment.partition.value(), assignment.next.value());
  }

  std::vector<int> assigned() const {
    std::vector<int> ids;
    for (const auto& [id, position] : positions_) ids.push_back(id);
    return ids;
  }

  std::size_t records_per_poll = 100'000;
  std::deque<kafka::PartitionEvent> events;  // handed over by the next poll
  // A client's fault: these offsets are skipped once, on the first fetch.
  std::vector<std::pair<int, std::int64_t>> skip_once;

 private:
  struct Position {
    std::int64_t next = 0;
    std::int64_t end_told = -1;
  };

  kafka::TopicInfo info() const {
    kafka::TopicInfo info{.name = "logs",
                          .id = broker_.topic_id,
                          .log_append_time = broker_.log_append_time,
                          .compacted = broker_.compacted,
                          .transactions = broker_.transactions,
                          .partitions = {}};
    for (const auto& [id, partition] : broker_.partitions) info.partitions.push_back({base::PartitionId(id), partition.has_leader});
    return info;
  }

  // One record or event of a partition. False: nothing there.
  bool hand_over(int id, const kafka::Handler& handler, std::size_t& count, bool& more) {
    const auto& partition = broker_.partitions.at(id);
    auto& position = positions_.at(id);
    if (!partition.has_leader) return false;
    if (position.next < partition.start || position.next > partition.end()) {
      const auto where = position.next;
      positions_.erase(id);
      handler.on_event(handler.context,
                       {kafka::EventKind::kOutOfRange, base::PartitionId(id), base::Offset(where), "Broker: Offset out of range"});
      return false;
    }
    const auto limit = std::min(partition.end(), partition.stable);
    while (position.next < limit && skipped(id, position.next)) ++position.next;
    if (position.next >= limit) {
      if (position.end_told == position.next) return false;
      position.end_told = position.next;
      handler.on_event(handler.context, {kafka::EventKind::kEnd, base::PartitionId(id), base::Offset(position.next), ""});
      return false;
    }
    const auto& stored = partition.log[static_cast<std::size_t>(position.next)];
    kafka::Record record;
    if (!stored.tombstone) record.payload = stored.payload;
    if (stored.key) record.key = *stored.key;
    record.offset = position.next++;
    record.timestamp_us = stored.timestamp_us;
    record.partition = id;
    record.leader_epoch = partition.leader_epoch;
    record.log_append_time = broker_.log_append_time;
    ++count;
    more = handler.on_record(handler.context, record);
    return true;
  }

  bool skipped(int id, std::int64_t offset) {
    if (!broker_.partitions.at(id).log[static_cast<std::size_t>(offset)].visible) return true;
    const auto it = std::find(skip_once.begin(), skip_once.end(), std::pair(id, offset));
    if (it == skip_once.end()) return false;
    skip_once.erase(it);
    return true;
  }

  FakeBroker& broker_;
  std::map<int, Position> positions_;
  std::vector<base::PartitionId> asked_;
  std::optional<std::vector<kafka::LogEnd>> answer_;
  bool topic_asked_ = false;
};

}  // namespace headpond::ingest::testing
