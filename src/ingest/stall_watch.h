// Names the partitions that have changed neither position nor clock in the table for stall_after, with the reason. Definition:
// docs/formats/bronze.md, "Stalled". Pure; time is the ingester's monotonic clock.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bronze/facts.h"
#include "ingest/partition.h"

namespace headpond::ingest {

// Takes note of what the table says about `partition` after a commit.
void observe(Partition& partition, const bronze::PartitionState& table, base::Duration now);

// Why it does not move, if it does not. `broker_answers`: the latest question about log ends was answered.
std::optional<std::string> stall_reason(const Partition& partition, base::Duration now, base::Duration stall_after, bool broker_answers);

}  // namespace headpond::ingest
