#include "ingest/gap_judge.h"

namespace headpond::ingest {

GapVerdict judge(Partition& partition, const TopicTraits& topic, std::int64_t seen) {
  if (seen < partition.next) return GapVerdict::kOld;
  if (seen == partition.next) {
    partition.suspect = -1;
    partition.fresh = false;
    return GapVerdict::kNone;
  }
  if (!partition.fresh && topic.may_have_gaps()) return GapVerdict::kLegal;
  const bool same_again = partition.suspect == seen;
  if (same_again && topic.may_have_gaps()) {
    partition.suspect = -1;
    partition.fresh = false;
    return GapVerdict::kLegal;
  }
  // The topic may have become compacted or transactional since it was last described.
  if (same_again && topic.knowledge > partition.suspect_knowledge) return GapVerdict::kIllegal;
  if (!same_again) {
    partition.suspect = seen;
    partition.suspect_knowledge = topic.knowledge;
  }
  partition.fresh = true;
  return GapVerdict::kConfirm;
}

std::string gap_kind(const TopicTraits& topic, std::int64_t offsets) {
  if (topic.compacted) return topic.transactions ? "compacted or aborted" : "compacted";
  return offsets == 1 ? "control" : "aborted";
}

}  // namespace headpond::ingest
