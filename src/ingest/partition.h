// What ingest knows about one partition of its topic, between the broker and the table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "ingest/arrival.h"

namespace headpond::ingest {

struct HeldGap {
  std::int64_t first = 0, last = 0;
  std::string kind;
};

struct Partition {
  base::PartitionId id;
  bool owned = false;     // assigned to this lane
  std::int64_t next = 0;  // the offset expected next; next − 1 is covered (the initial gap included)
  ArrivalClock arrival;
  std::int32_t leader_epoch = -1;  // newest seen
  bool epoch_changed = false;      // since the last commit
  // Of the record at next - 1; -1: that was no record handed over, so its epoch is not known. A broker asked where an older epoch ended
  // would name an offset below, and a sound log would look cut.
  std::int32_t position_epoch = -1;

  // Offsets from 0 on that have no rows, while no time is known: declared in front of the first row, or with the first proven clock.
  std::vector<HeldGap> held_gaps;

  // The session is fresh (assigned, fetched again, interrupted, another leader): the next record must be `next`, or be confirmed.
  bool fresh = true;
  // A second fetch is under way because the first saw nothing below `suspect`; -1: none.
  std::int64_t suspect = -1;
  std::int64_t suspect_knowledge = 0;  // descriptions of the topic seen when the suspicion arose
  std::int64_t end_seen = -1;          // where the last kEnd was; -1: none

  std::int64_t log_end = -1;  // latest answer, for lag
  std::string log_end_error;  // why there is none
  std::string stopped;        // why this partition is not read any more; empty = it is
  bool has_leader = true;

  // For `stalled`: what the table last said, and when that changed (monotonic).
  std::optional<base::Micros> table_clock;
  base::Offset table_position{-1};
  base::Duration changed_at;
};

}  // namespace headpond::ingest
