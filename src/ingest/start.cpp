#include "ingest/start.h"

#include "base/time.h"

namespace headpond::ingest {

base::Result<std::vector<Beginning>> beginnings(const spec::Topology& topology, kafka::Source& source,
                                                const std::vector<base::PartitionId>& partitions, env::Clock& clock) {
  std::vector<Beginning> out;
  const auto& start = topology.source;
  if (start.start == spec::StartAt::kEarliest || partitions.empty()) return out;
  const auto asked_at = clock.now();
  if (start.start == spec::StartAt::kTime && start.start_time > asked_at)
    return base::fail(base::ErrorKind::kInvalid, "source.kafka.start: " + base::format_rfc3339(start.start_time) +
                                                     " lies in the future; say latest, or a time that has passed");
  // The ends first: a record that comes between the two answers is found by its time, or lies behind the end.
  TRY(const auto ends, source.log_ends(partitions));
  std::map<base::PartitionId, base::Offset> found;
  if (start.start == spec::StartAt::kTime) {
    TRY(found, source.offsets_at(partitions, start.start_time));
  }
  for (const auto& [id, end] : ends) {
    const auto at = found.find(id);
    const auto next = at == found.end() ? end : at->second;
    const auto proven = at == found.end() ? asked_at : start.start_time;
    if (next.value() > 0) out.push_back({id, next, proven - topology.bronze.max_clock_error});
  }
  return out;
}

}  // namespace headpond::ingest
