#include <algorithm>
#include <set>

#include "bronze/facts.h"

namespace headpond::bronze {
namespace {

std::string name_of(const base::SourcePartition& p) {
  return p.source + " partition " + std::to_string(p.partition.value());
}

std::unexpected<base::Error> corrupt(std::string message) {
  return base::fail(base::ErrorKind::kCorrupt, std::move(message));
}

}  // namespace

std::optional<base::Micros> TableClock::smallest_unstalled() const {
  std::optional<base::Micros> smallest;
  for (const auto& [partition, state] : partitions_) {
    if (!state.in_force || state.stalled) continue;
    if (!state.clock) return std::nullopt;
    smallest = smallest ? std::min(*smallest, *state.clock) : *state.clock;
  }
  return smallest;
}

std::vector<Stalled> TableClock::stalled() const {
  std::vector<Stalled> out;
  for (const auto& [partition, state] : partitions_)
    if (state.in_force && state.stalled) out.push_back({partition, *state.stalled});
  return out;
}

base::PositionVector TableClock::positions() const {
  base::PositionVector out;
  for (const auto& [partition, state] : partitions_) out.emplace(partition, state.position);
  return out;
}

PartitionState TableClock::start_state() const {
  PartitionState state;
  // The partitions of the table's first naming have no clock; one that appears later starts with the smallest unstalled clock so far.
  if (!partitions_.empty()) state.clock = smallest_unstalled();
  return state;
}

base::Result<void> TableClock::name_partitions(const CommitFacts& facts) {
  if (facts.topic) {
    if (!topics_.empty() && facts.topic->generation < topics_.back().generation)
      return corrupt("generation goes back from " + std::to_string(topics_.back().generation) + " to " +
                     std::to_string(facts.topic->generation));
    if (!topics_.empty() && topics_.back().source() == facts.topic->source()) topics_.pop_back();
    topics_.push_back(*facts.topic);
  }
  const auto start = start_state();
  std::set<std::string> sources;
  for (const auto& [partition, state] : partitions_) sources.insert(partition.source);
  bool new_source = false;
  for (const auto& partition : facts.partitions) {
    if (!topics_.empty() && partition.source != topics_.back().source())
      return corrupt(name_of(partition) + " is not of the topic in force, " + topics_.back().source());
    if (!partitions_.emplace(partition, start).second) return corrupt(name_of(partition) + " is named for the first time twice");
    new_source = new_source || !sources.contains(partition.source);
  }
  if (new_source) {
    for (auto& [partition, state] : partitions_)
      if (std::none_of(facts.partitions.begin(), facts.partitions.end(), [&](const auto& p) { return p.source == partition.source; }))
        state.in_force = false;
  }
  return {};
}

base::Result<void> TableClock::apply_range(const std::string& source, const Range& range) {
  const base::SourcePartition partition{source, range.partition};
  const auto it = partitions_.find(partition);
  if (it == partitions_.end()) return corrupt(name_of(partition) + " has rows but was never named");
  auto& state = it->second;
  if (!state.in_force) return corrupt(name_of(partition) + " has rows but is of a generation no longer in force");
  if (range.first != state.position.next() || range.last < range.first)
    return corrupt(name_of(partition) + ": offsets " + std::to_string(range.first.value()) + "-" + std::to_string(range.last.value()) +
                   " do not follow offset " + std::to_string(state.position.value()));
  state.position = range.last;
  state.ends_in_row = range.gaps == 0;
  state.stalled.reset();
  return {};
}

base::Result<void> TableClock::apply_clock(const PartitionClock& clock) {
  const auto it = partitions_.find(clock.partition);
  if (it == partitions_.end()) return corrupt(name_of(clock.partition) + " has a clock but was never named");
  auto& state = it->second;
  if (clock.position != state.position)
    return corrupt(name_of(clock.partition) + ": its clock was proven at offset " + std::to_string(clock.position.value()) +
                   ", the table is at " + std::to_string(state.position.value()));
  if (state.clock && clock.clock < *state.clock)
    return corrupt(name_of(clock.partition) + ": its clock goes back from " + std::to_string(state.clock->value()) + " to " +
                   std::to_string(clock.clock.value()));
  if (state.clock != clock.clock) state.stalled.reset();
  state.clock = clock.clock;
  state.proven_at = clock.position;
  return {};
}

base::Result<void> TableClock::apply(const CommitFacts& facts) {
  TRY_VOID(name_partitions(facts));
  // Named first, so that what moves in this very version is not stalled.
  for (const auto& s : facts.stalled) {
    const auto it = partitions_.find(s.partition);
    if (it == partitions_.end()) return corrupt(name_of(s.partition) + " is stalled but was never named");
    it->second.stalled = s.reason;
  }
  for (const auto& batch : facts.batches)
    for (const auto& range : batch.ranges) TRY_VOID(apply_range(batch.source, range));
  for (const auto& clock : facts.clocks) TRY_VOID(apply_clock(clock));
  for (const auto& [partition, epoch] : facts.leader_epochs)
    if (const auto it = partitions_.find(partition); it != partitions_.end())
      it->second.leader_epoch = std::max(it->second.leader_epoch, epoch);
  return {};
}

}  // namespace headpond::bronze
