#include "ingest/stall_watch.h"

namespace headpond::ingest {

void observe(Partition& partition, const bronze::PartitionState& table, base::Duration now) {
  if (table.position == partition.table_position && table.clock == partition.table_clock) return;
  partition.table_position = table.position;
  partition.table_clock = table.clock;
  partition.changed_at = now;
}

std::optional<std::string> stall_reason(const Partition& partition, base::Duration now, base::Duration stall_after, bool broker_answers) {
  if (now - partition.changed_at < stall_after) return std::nullopt;
  if (!partition.stopped.empty()) return "stopped: " + partition.stopped;
  if (!partition.has_leader) return "no leader";
  if (!broker_answers) return "no broker answers";
  if (!partition.log_end_error.empty()) return "no log end: " + partition.log_end_error;
  // The broker has more, but hands over nothing behind the last stable offset.
  if (partition.log_end > partition.next && partition.end_seen == partition.next) return "open transaction";
  return "no records, though the broker has them";
}

}  // namespace headpond::ingest
