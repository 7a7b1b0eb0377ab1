// Bugs put in by hand, to show that the hunt finds them. Each bends what a process sees of broker or store, or what it writes, in the way
// the named bug of ingest, of its client library or of its store would. They exist in the simulation alone.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace headpond::sim {

enum class Plant {
  kNone,
  kPutNotConditional,   // a commit without its precondition: put-if-absent replaces
  kSkippedOffset,       // a record is skipped, and the topic is said to be compacted: laundered as a gap
  kRecreatedHidden,     // a re-created topic keeps its id
  kLostReplyIsLoss,     // a lost reply is taken as a lost race: what we published ourselves is read as somebody's heartbeat
  kClockBack,           // a commit publishes a clock below the one before
  kStaleLogEnd,         // an answer is taken for one to a later question
  kResumedLow,          // the position is read one too low at open
  kResumedHigh,         // and one too high
  kPartialAppend,       // a part of a data file is lost between append and close
  kLostFile,            // a data file's close succeeds and nothing is there
  kGapKind,             // what transactions have left is called compacted
  kAbortedRead,         // records of aborted transactions are handed over
  kAppendTimeBelieved,  // a producer's time is taken for the broker's
  kSilentReset,         // an offset out of range starts over at the log's begin
  kOldRowsAgain,        // a batch is put again after it was published
  kTruncationUnseen,    // nobody compares leader epochs
};

struct PlantInfo {
  Plant plant;
  std::string_view name, what;
};
std::span<const PlantInfo> plants();  // without kNone
std::optional<Plant> plant_named(std::string_view name);
std::string_view name_of(Plant plant);

}  // namespace headpond::sim
