// When the broker no longer has what comes next: retention was faster, or its log was cut, or the topic is another one.
#include "ingest/lane.h"

namespace headpond::ingest {
namespace {

constexpr std::string_view kMend = "; set `generation:` one higher under source.kafka to go on with it";
constexpr int kListedMax = 32;

std::string plural(std::int64_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

}  // namespace

// Everything that is missing, in all partitions: a person decides about it once.
std::string Lane::missing(const std::map<base::PartitionId, base::Offset>& starts) const {
  std::string listed;
  int count = 0;
  std::int64_t lost = 0;
  for (const auto& partition : partitions_) {
    const auto start = starts.find(partition.id);
    if (!partition.owned || start == starts.end() || start->second.value() <= partition.next) continue;
    const auto records = start->second.value() - partition.next;
    lost += records;
    if (++count > kListedMax) continue;
    listed += (count == 1 ? "" : ", ") + std::string("partition ") + std::to_string(partition.id.value()) + ": offsets " +
              std::to_string(partition.next) + "-" + std::to_string(start->second.value() - 1) + " (" + plural(records, "record") + ")";
  }
  if (count > kListedMax) listed += " and " + plural(count - kListedMax, "more partition");
  return "topic '" + options_.topic + "' " + listed + " were deleted by the topic's retention before they were read" +
         (count > 1 ? ", " + plural(lost, "record") + " in all" : "");
}

void Lane::out_of_range(Partition& partition, bool truncated) {
  const auto starts = source_->log_starts(owned());
  const auto ends = source_->log_ends({partition.id});
  if (!starts || !ends) {
    give_up(!starts ? starts.error() : ends.error());
    return;
  }
  const auto start = starts->at(partition.id).value(), end = ends->at(partition.id).value();
  const auto where = name_of(partition) + ": the table is at offset " + std::to_string(partition.next - 1) + ", the broker's log ";
  if (end < partition.next) {
    give_up({base::ErrorKind::kInvalid,
             where + "ends at " + std::to_string(end) + ": the topic was re-created or has lost records" + std::string(kMend)});
    return;
  }
  if (start > partition.next) {
    if (options_.accept_loss) {
      accept_loss(partition, start);
    } else {
      give_up({base::ErrorKind::kInvalid,
               missing(*starts) + "; to go on without them, and have the loss on record, start ingest once with --accept-loss"});
    }
    return;
  }
  if (truncated) {
    give_up({base::ErrorKind::kInvalid,
             where + "was cut below that and written anew: it holds other records at offsets that the table has" + std::string(kMend)});
    return;
  }
  // In range after all: a leader that had not caught up.
  outcome_ = source_->refetch({partition.id, base::Offset(partition.next), partition.position_epoch});
  partition.fresh = true;
}

void Lane::accept_loss(Partition& partition, std::int64_t start) {
  last_trouble_ = missing({{partition.id, base::Offset(start)}}) + "; accepted";
  outcome_ = flush();
  if (!outcome_) return;
  const std::string kind(bronze::kAcceptedLoss);
  if (const auto arrival = partition.arrival.last_arrival()) {
    declare_held_gaps(partition, *arrival);
    declare(partition, partition.next, start - 1, kind, *arrival);
  } else {  // no clock may stand above records that are still to come
    partition.held_gaps.push_back({partition.next, start - 1, kind});
  }
  partition.next = start;
  partition.position_epoch = -1;
  partition.fresh = true;
  outcome_ = source_->refetch({partition.id, base::Offset(start)});
}

}  // namespace headpond::ingest
