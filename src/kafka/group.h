// A member's view of a consumer group: who is to read which partition. Liveness alone: two that both believe to own a partition are kept
// from harm by the table, never by the group. Nothing is fetched through it and no position is read from it.
//
//   if (auto change = group->take()) { …; group->done(); }   // until done() the group waits, and no other change comes
//
// Threads: one at a time. Call take() at least every max.poll.interval.ms (5 minutes), or the group takes this member for dead.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kafka/source.h"

namespace headpond::kafka {

struct GroupChange {
  enum class Kind {
    kGained,  // ours from done() on; perhaps none
    kGiven,   // another's from done() on: what is staged of them may still be committed before
    kLost,    // perhaps another's already: the group took this member for dead
  };
  Kind kind = Kind::kGained;
  std::vector<base::PartitionId> partitions;  // by id
};

class Group {
 public:
  virtual ~Group() = default;  // leaves the group

  virtual std::optional<GroupChange> take() = 0;
  // The change taken last is carried out. Errors: kRetry: the client refuses: leave the group and join again.
  virtual base::Result<void> done() = 0;
  // What keeps this member out of the group: kRetry: not authorized, a protocol that is not the group's. kInvalid: another member has
  // joined under this one's group.instance.id; joining again would throw that one out in turn.
  virtual std::optional<base::Error> trouble() const = 0;
  // Writes the group's offsets, for lag monitors alone: nothing reads them back, failures are ignored.
  virtual void publish_offsets(const std::vector<Assignment>& next) = 0;
};

}  // namespace headpond::kafka
