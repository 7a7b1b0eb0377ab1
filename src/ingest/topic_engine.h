// The engine behind Engine::open(): what it knows, and the parts of its work. Private to this folder.
//
//   engine.cpp    opening, reading, committing
//   owners.cpp    partitions that come and go while others share the topic
//   standing.cpp  what the table and the broker say of each partition, for stalls, lag monitors and people
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ingest/committer.h"
#include "ingest/config.h"
#include "ingest/engine.h"
#include "ingest/lanes.h"
#include "ingest/meter.h"
#include "ingest/metrics.h"
#include "ingest/ownership.h"

namespace headpond::ingest {

class TopicEngine final : public Engine {
 public:
  TopicEngine(const spec::Topology& topology, World world, Settings settings, std::unique_ptr<kafka::Group> group)
      : topology_(topology),
        world_(std::move(world)),
        settings_(settings),
        source_name_(topic_of(topology, "").source()),
        owners_(settings.share, std::move(group)),
        metrics_(topology.source.topic) {}

  base::Result<void> start(std::vector<std::unique_ptr<kafka::Source>> sources);
  base::Result<bool> step() override;
  base::Result<void> drain() override;
  bool finished() const override;
  bronze::BranchStatus status() const override {
    const std::scoped_lock lock(status_mutex_);
    return status_;
  }

 private:
  base::Result<void> open_lanes(std::vector<std::unique_ptr<kafka::Source>> sources);
  base::Result<void> check_topic(const std::string& id) const;
  base::Result<bool> work();
  base::Result<std::unique_ptr<bronze::Writer>> open_writer();
  base::Result<std::unique_ptr<bronze::Writer>> open_table(const kafka::TopicInfo& info);
  base::Result<void> name_first_partitions(const kafka::TopicInfo& info, bronze::Writer& writer);
  void write_through(std::unique_ptr<bronze::Writer> writer);
  base::Result<std::vector<Partition>> resume(const std::vector<base::PartitionId>& ids);
  base::Result<void> learn(const kafka::TopicInfo& info);
  base::Result<void> look_after_topic();
  void look_at_others();
  void ask_log_ends();
  base::Result<void> begin_commit();
  base::Result<void> finish_commit(base::Result<Committer::Done> outcome);
  base::Result<void> finish_any_commit();
  base::Duration next_cut() const;
  bool is_full() const;
  // Owners.
  base::Result<void> rebalance();
  base::Result<void> give(const std::vector<base::PartitionId>& ids);
  base::Result<void> follow();
  base::Result<void> recover();
  base::Result<void> adopt();
  std::vector<bronze::Stalled> stalled(bool broker_answers) const;
  void observe_table();
  void publish_group_offsets();
  void publish_cursor(bronze::BranchStatus status);
  void refresh_status();
  base::SourcePartition in_source(base::PartitionId id) const { return {source_name_, id}; }

  const spec::Topology topology_;
  World world_;
  Settings settings_;
  std::string source_name_;
  Ownership owners_;
  std::string topic_id_, writer_id_;
  std::unique_ptr<Committer> committer_;  // before the lanes, which borrow it
  bronze::TableClock table_;              // after the last finished commit
  base::Version version_;
  std::unique_ptr<Lanes> lanes_;
  TopicTraits traits_;
  std::set<base::PartitionId> seen_;                 // at the broker
  std::map<base::PartitionId, Partition> others_;    // of seen_, what others read or nobody, as far as the table and the broker tell
  std::map<base::PartitionId, base::Offset> until_;  // of until_end: where each ended at the start
  int fenced_ = 0;

  base::Duration next_cut_, next_describe_, next_publish_, next_look_;
  std::vector<base::PartitionId> announced_;  // what was read here when the cursor was last published
  bool commits_early_ = false;                // the commit under way: memory was full
  bool ask_due_ = true;                       // once a commit interval
  bool asked_ = false, describing_ = false;
  base::Micros asked_at_;                // of the question that is out
  std::vector<kafka::LogEnd> log_ends_;  // the latest answer
  base::Micros log_ends_asked_at_;
  bool broker_answers_ = true;
  double commit_ms_ = 0;
  std::string state_ = "running";  // "stopped" once drained
  Meter meter_;
  Metrics metrics_;

  mutable std::mutex status_mutex_;
  bronze::BranchStatus status_;
};

}  // namespace headpond::ingest
