// A kafka::Source over the simulated broker, with what a real client does: it fetches ahead into queues, loses its sessions, gets answers
// late or never, hands over batches, and notices a log that was cut by its leader epochs.
//
// Records which record it has handed over to whom: the checkers hold the table against that. Threads: one at a time.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "kafka/source.h"
#include "sim/broker.h"
#include "sim/dice.h"
#include "sim/plants.h"
#include "sim/trace.h"

namespace headpond::sim {

// What one run of one ingester has been handed and did not ask for again, by partition and offset.
using Served = std::map<std::pair<int, std::int64_t>, RecordId>;

// What a client sees of the world. Borrowed.
struct ClientWorld {
  Broker& broker;
  Dice& dice;
  Trace& trace;
  const std::int64_t& now_us;  // true time
  const double& fault_rate;    // of a question or a session
  Plant plant;
  const bool& calm;  // nothing holds up what is there
};

class Client final : public kafka::Source {
 public:
  Client(ClientWorld world, Served& served, int instance, const bool& dead)
      : world_(world), served_(served), instance_(instance), dead_(dead) {}

  base::Result<kafka::TopicInfo> describe() override;
  base::Result<std::map<base::PartitionId, base::Offset>> log_starts(const std::vector<base::PartitionId>& ids) override;
  base::Result<std::map<base::PartitionId, base::Offset>> log_ends(const std::vector<base::PartitionId>& ids) override;
  base::Result<std::map<base::PartitionId, base::Offset>> offsets_at(const std::vector<base::PartitionId>& ids, base::Micros time) override;
  base::Result<void> assign(const std::vector<kafka::Assignment>& assignments) override;
  base::Result<void> add(const std::vector<kafka::Assignment>& assignments) override;
  base::Result<void> refetch(const kafka::Assignment& assignment) override;
  base::Result<void> remove(base::PartitionId partition) override;
  std::size_t poll(base::Duration timeout, const kafka::Handler& handler) override;
  void ask_log_ends(const std::vector<base::PartitionId>& ids) override;
  std::optional<std::vector<kafka::LogEnd>> take_log_ends() override;
  void ask_topic() override;
  std::optional<base::Result<kafka::TopicInfo>> take_topic() override;
  void publish_group_offsets(const std::vector<kafka::Assignment>&) override {}

 private:
  struct Item {
    RecordId record = -1;   // -1: an end of partition
    std::int64_t end = -1;  // where it was seen
  };
  struct Fetch {
    std::int64_t next = 0;  // to be fetched
    std::int64_t end_told = -1;
    std::int32_t epoch = -1;  // of the last record fetched
    std::int32_t leader_seen = -1;
    std::int64_t slow_until_us = 0;  // the answer to a fetch is on its way
    bool failed = false;             // out of range or cut: nothing more until fetched again
    std::deque<Item> queue;
  };
  struct Question {
    std::int64_t processed_us = 0, answered_us = 0;
    bool lost = false, processed = false;
  };

  void begin(const kafka::Assignment& assignment);
  PartitionLog* log_of(int partition) const;
  base::Result<kafka::TopicInfo> info() const;
  base::Result<void> reachable(const char* what);
  Question question();
  std::vector<kafka::LogEnd> ends_now() const;
  void fetch(int partition, Fetch& fetch, const kafka::Handler& handler);
  bool check_range(int partition, Fetch& fetch, const PartitionLog& log, const kafka::Handler& handler);
  void fail(int partition, Fetch& fetch, kafka::EventKind kind, std::int64_t offset, const kafka::Handler& handler);
  bool readable(const Record& record) const;
  bool deliver(int partition, Fetch& fetch, const kafka::Handler& handler, std::size_t& records);

  ClientWorld world_;
  Served& served_;
  int instance_;
  const bool& dead_;
  int incarnation_ = 0;  // of the topic, as of its description
  std::map<int, Fetch> fetches_;
  std::uint64_t assignments_ = 0;  // each discards what was fetched
  std::vector<int> asked_;
  std::optional<Question> ends_question_, topic_question_;
  std::vector<kafka::LogEnd> ends_answer_, ends_before_;
  std::optional<base::Result<kafka::TopicInfo>> topic_answer_;
};

}  // namespace headpond::sim
