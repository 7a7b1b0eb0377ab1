// The lanes of one ingester: each reads its partitions on a thread of its own, all of their rows form one commit. Partitions are dealt to
// the lane that has the fewest and stay there while they are this ingester's.
//
// pump() lets all lanes take in what has arrived, side by side, and returns when all have: everything else is between two pumps, so it sees
// every lane at rest and needs no lock.
//
// Threads: one at a time (beside the workers that pump).
#pragma once

#include <memory>
#include <ranges>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/clock.h"
#include "env/worker.h"
#include "ingest/lane.h"

namespace headpond::ingest {

class Lanes {
 public:
  // Requires: one lane at least. Borrows `clock`. A worker is taken for each lane but the first, which the caller's thread pumps.
  Lanes(std::vector<std::unique_ptr<Lane>> lanes, const env::Workers& workers, env::Clock& clock);

  // As Lane's, of all.
  void bind(Committer& committer);
  void know(const TopicTraits& topic);
  base::Result<void> own(std::vector<Partition> partitions);
  base::Result<void> quiet(const std::vector<base::PartitionId>& ids);
  void release(const std::vector<base::PartitionId>& ids);
  // Partitions keep their lanes.
  base::Result<void> restart(Committer& committer, std::vector<Partition> partitions);
  // With several lanes each takes in batch after batch while `timeout` lasts, so that none waits for a lane that has nothing to read.
  base::Result<bool> pump(base::Duration timeout);
  base::Result<void> flush();
  std::vector<bronze::PartitionClock> cut(const std::vector<kafka::LogEnd>& ends, base::Micros asked_at);

  std::size_t size() const { return lanes_.size(); }
  // The topic as every lane's client knows it from now on. Errors: as Source::describe(). kRetry: it was re-created among it.
  base::Result<kafka::TopicInfo> describe();
  // For questions about the topic; any lane's would do.
  kafka::Source& source() { return lanes_.front()->source(); }
  // Partitions read, in no order.
  auto partitions() {
    return lanes_ | std::views::transform([](auto& lane) -> std::vector<Partition>& { return lane->partitions(); }) | std::views::join |
           std::views::filter(&Partition::owned);
  }
  auto partitions() const {
    return lanes_ | std::views::transform([](auto& lane) -> const std::vector<Partition>& { return lane->partitions(); }) |
           std::views::join | std::views::filter(&Partition::owned);
  }
  std::vector<base::PartitionId> owned() const;
  Partition* find(base::PartitionId id);  // null: not read here
  const Partition* find(base::PartitionId id) const { return const_cast<Lanes*>(this)->find(id); }
  bool owns(base::PartitionId id) const { return find(id) != nullptr; }
  LaneCounts counts() const;
  bool wants_description() const;
  void description_asked();
  std::string last_trouble() const;

 private:
  std::vector<std::vector<Partition>> deal(std::vector<Partition> partitions) const;
  base::Result<bool> pump_one(Lane& lane, base::Duration until);

  std::vector<std::unique_ptr<Lane>> lanes_;
  env::Clock& clock_;
  std::vector<std::unique_ptr<env::Worker>> workers_;  // of lanes 1, 2, …
};

}  // namespace headpond::ingest
