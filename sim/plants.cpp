#include "sim/plants.h"

#include <array>

namespace headpond::sim {
namespace {

constexpr std::array kPlants = {
    PlantInfo{Plant::kPutNotConditional, "put-not-conditional", "a commit without its precondition replaces another's"},
    PlantInfo{Plant::kSkippedOffset, "skipped-offset", "a skipped record is laundered as a gap of compaction"},
    PlantInfo{Plant::kRecreatedHidden, "recreated-hidden", "a re-created topic keeps its id"},
    PlantInfo{Plant::kLostReplyIsLoss, "lost-reply-is-loss", "a lost reply is taken as a lost race"},
    PlantInfo{Plant::kClockBack, "clock-back", "a commit publishes a clock below the one before"},
    PlantInfo{Plant::kStaleLogEnd, "stale-log-end", "a log end is taken as the answer to a later question"},
    PlantInfo{Plant::kResumedLow, "resumed-low", "the position is read one too low at open"},
    PlantInfo{Plant::kResumedHigh, "resumed-high", "the position is read one too high at open"},
    PlantInfo{Plant::kPartialAppend, "partial-append", "half of an append is lost"},
    PlantInfo{Plant::kLostFile, "lost-file", "a data file is closed and is not there"},
    PlantInfo{Plant::kGapKind, "gap-kind", "what transactions leave is called compacted"},
    PlantInfo{Plant::kAbortedRead, "aborted-read", "records of aborted transactions are handed over"},
    PlantInfo{Plant::kAppendTimeBelieved, "append-time-believed", "a producer's time is taken for the broker's"},
    PlantInfo{Plant::kSilentReset, "silent-reset", "an offset out of range starts over at the log's begin"},
    PlantInfo{Plant::kOldRowsAgain, "old-rows-again", "a batch is put again after it was published"},
    PlantInfo{Plant::kTruncationUnseen, "truncation-unseen", "nobody compares leader epochs"},
};

}  // namespace

std::span<const PlantInfo> plants() {
  return kPlants;
}

std::optional<Plant> plant_named(std::string_view name) {
  for (const auto& each : kPlants)
    if (each.name == name) return each.plant;
  return std::nullopt;
}

std::string_view name_of(Plant plant) {
  for (const auto& each : kPlants)
    if (each.plant == plant) return each.name;
  return "none";
}

}  // namespace headpond::sim
