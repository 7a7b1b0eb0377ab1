// Decides whether offsets that the broker did not hand over are a legal gap. Pure. Rules: docs/formats/bronze.md, "Gaps".
#pragma once

#include <cstdint>
#include <string>

#include "ingest/partition.h"

namespace headpond::ingest {

// What about the topic can make a legal gap.
struct TopicTraits {
  bool compacted = false;
  bool transactions = false;
  std::int64_t knowledge = 0;  // how often the broker has described the topic
  bool may_have_gaps() const { return compacted || transactions; }
};

enum class GapVerdict {
  kNone,     // `seen` is the expected offset
  kOld,      // `seen` is below it: handed over before, pass over it
  kLegal,    // [next, seen) is a legal gap
  kConfirm,  // fetch again from `next` on: the answer must be the same
  kIllegal,  // stop the partition
};

// `seen`: the offset of a record, or of an end of partition, that came instead of `partition.next`. Keeps the suspicion in `partition`.
GapVerdict judge(Partition& partition, const TopicTraits& topic, std::int64_t seen);

// The kind a legal gap is recorded with.
std::string gap_kind(const TopicTraits& topic, std::int64_t offsets);

}  // namespace headpond::ingest
