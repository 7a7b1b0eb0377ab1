#include "bronze/rebase.h"

#include <algorithm>
#include <set>

#include "base/time.h"

namespace headpond::bronze {
namespace {

using base::SourcePartition;

std::string name_of(const SourcePartition& p) {
  return p.source + " partition " + std::to_string(p.partition.value());
}

std::unexpected<base::Error> fenced(std::string message) {
  return base::fail(base::ErrorKind::kFenced, std::move(message) + "; this batch is dropped, read on from the table's positions");
}

base::Result<void> check_topic(const TableClock& table, const Topic& mine) {
  const auto& theirs = table.topic();
  if (!theirs || mine.generation > theirs->generation) return {};
  if (mine.generation < theirs->generation)
    return fenced("the table is at generation " + std::to_string(theirs->generation) + " of topic " + theirs->name + ", this ingester at " +
                  std::to_string(mine.generation) + " (source.kafka.generation)");
  if (mine.name == theirs->name && (mine.id == theirs->id || mine.id.empty() || theirs->id.empty())) return {};
  return base::fail(base::ErrorKind::kInvalid,
                    "the table holds topic " + theirs->name + " with id " + theirs->id + ", the broker has topic " + mine.name +
                        " with id " + mine.id + ": the topic was re-created or replaced; set `generation: " +
                        std::to_string(theirs->generation + 1) + "` under source.kafka to go on with the new one");
}

// State of a partition as this commit finds it: the table's, or what it starts with when this commit names it.
class Ground {
 public:
  explicit Ground(const TableClock& table) : table_(table), start_(table.start_state()) {}
  bool known(const SourcePartition& p) const { return table_.partitions().contains(p); }
  const PartitionState& at(const SourcePartition& p) const {
    const auto it = table_.partitions().find(p);
    return it == table_.partitions().end() ? start_ : it->second;
  }

 private:
  const TableClock& table_;
  PartitionState start_;
};

base::Result<void> check_precondition(const Ground& ground, const SourcePartition& id, const Staged::Partition& rows) {
  const auto& state = ground.at(id);
  if (!state.in_force) return fenced(name_of(id) + " is of a generation no longer in force");
  if (rows.first != state.position.next())
    return fenced(name_of(id) + ": this batch begins at offset " + std::to_string(rows.first.value()) + ", the table is at offset " +
                  std::to_string(state.position.value()) + ": another ingester has taken it over");
  if (rows.first_arrival && state.clock && *rows.first_arrival < *state.clock)
    return fenced(name_of(id) + ": this batch begins at arrival " + base::format_rfc3339(*rows.first_arrival) +
                  ", below the published clock " + base::format_rfc3339(*state.clock));
  return {};
}

// The source whose partitions this commit may name: the topic's, once the table or the request states one.
std::optional<std::string> source_in_force(const TableClock& table, const CommitRequest& request) {
  if (request.topic) return request.topic->source();
  if (table.topic()) return table.topic()->source();
  return std::nullopt;
}

base::Result<std::vector<SourcePartition>> to_name(const TableClock& table, const Ground& ground, const Staged* staged,
                                                   const CommitRequest& request) {
  std::set<SourcePartition> fresh;
  for (const auto& p : request.partitions)
    if (!ground.known(p)) fresh.insert(p);
  if (staged != nullptr)
    for (const auto& [id, rows] : staged->partitions())
      if (const SourcePartition p{staged->source(), id}; !ground.known(p)) fresh.insert(p);
  const auto source = source_in_force(table, request);
  for (const auto& p : fresh)
    if (source && p.source != *source) return fenced(name_of(p) + " is not of " + *source + ", the source in force");
  return std::vector<SourcePartition>(fresh.begin(), fresh.end());
}

std::vector<PartitionClock> to_clocks(const Ground& ground, const std::vector<SourcePartition>& fresh, const Staged* staged,
                                      const CommitRequest& request) {
  std::map<SourcePartition, PartitionClock> best;
  std::map<SourcePartition, base::Offset> reached;
  if (staged != nullptr) {
    for (const auto& [id, rows] : staged->partitions()) {
      const SourcePartition p{staged->source(), id};
      reached[p] = rows.last;
      if (rows.last_arrival) best[p] = {p, *rows.last_arrival, rows.last};
    }
  }
  for (const auto& c : request.clocks) {
    if (!ground.known(c.partition) && !std::ranges::binary_search(fresh, c.partition)) continue;
    const auto it = reached.find(c.partition);
    if (c.position != (it == reached.end() ? ground.at(c.partition).position : it->second)) continue;
    const auto [mine, first] = best.try_emplace(c.partition, c);
    if (!first && c.clock > mine->second.clock) mine->second = c;
  }
  std::vector<PartitionClock> out;
  for (const auto& [p, c] : best) {
    const auto& state = ground.at(p);
    if (state.in_force && (!state.clock || c.clock > *state.clock)) out.push_back(c);
  }
  return out;
}

std::vector<Stalled> to_stalled(const TableClock& table, const CommitFacts& facts, const Staged* staged, const CommitRequest& request,
                                const StalledBasis& basis) {
  std::vector<Stalled> out;
  for (const auto& s : request.stalled) {
    const auto state = table.partitions().find(s.partition);
    if (state == table.partitions().end() || !state->second.in_force || state->second.stalled == s.reason) continue;
    const auto was = basis.find(s.partition);
    if (was == basis.end() || was->second != std::pair(state->second.position, state->second.clock)) continue;
    const bool moves =
        (staged != nullptr && s.partition.source == staged->source() && staged->partitions().contains(s.partition.partition)) ||
        std::ranges::any_of(facts.clocks, [&](const auto& c) { return c.partition == s.partition; });
    if (!moves) out.push_back(s);
  }
  return out;
}

}  // namespace

StalledBasis basis_of(const TableClock& table, const std::vector<Stalled>& stalled) {
  StalledBasis out;
  for (const auto& s : stalled)
    if (const auto it = table.partitions().find(s.partition); it != table.partitions().end())
      out.emplace(s.partition, std::pair(it->second.position, it->second.clock));
  return out;
}

base::Result<CommitFacts> facts_on(const TableClock& table, const Staged* staged, const CommitRequest& request, const StalledBasis& basis) {
  if (request.topic) TRY_VOID(check_topic(table, *request.topic));
  const Ground ground(table);
  CommitFacts facts;
  if (request.topic && (!table.topic() || request.topic->generation > table.topic()->generation)) facts.topic = request.topic;
  if (const auto source = source_in_force(table, request); staged != nullptr && source && staged->source() != *source)
    return fenced("this batch is of " + staged->source() + ", the source in force is " + *source);
  TRY(facts.partitions, to_name(table, ground, staged, request));
  if (staged != nullptr) {
    for (const auto& [id, rows] : staged->partitions()) TRY_VOID(check_precondition(ground, {staged->source(), id}, rows));
    facts.batches.push_back(staged->batch());
  }
  facts.clocks = to_clocks(ground, facts.partitions, staged, request);
  facts.stalled = to_stalled(table, facts, staged, request, basis);
  for (const auto& [p, epoch] : request.leader_epochs)
    if ((ground.known(p) || std::ranges::binary_search(facts.partitions, p)) && epoch > ground.at(p).leader_epoch)
      facts.leader_epochs.emplace_back(p, epoch);
  return facts;
}

bool says_nothing(const CommitFacts& facts) {
  return !facts.topic && facts.partitions.empty() && facts.clocks.empty() && facts.stalled.empty() && facts.batches.empty() &&
         facts.leader_epochs.empty();
}

}  // namespace headpond::bronze
