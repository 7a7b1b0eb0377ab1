// Keeps the log of a bronze table small: writes a checkpoint when one is due, folds entries into the ledger, deletes those nobody needs.
// What it promises and in which order it writes: docs/formats/bronze.md, "A log that does not grow for ever".
//
// Each call does all there is to do, once. It may end anywhere, and several may run at once: the next call goes on from what is there.
//
//   TRY(const auto done, bronze::keep_log(store, "bronze", {.scratch = dir}, {clock, failpoints}));
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "delta/checkpoint.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"

namespace headpond::bronze {

struct UpkeepOptions {
  std::string scratch;  // local directory
  base::Duration log_retention = base::Duration::hours(24);
  base::Duration cursor_dead_after = base::Duration::hours(24);  // not written for so long: reported
  base::Duration cursor_expiry = base::Duration::hours(24 * 7);  // for so long: holds nothing any more
  bool checkpoint_now = false;                                   // whether or not one is due
  std::int64_t block_versions_max = 10'000;                      // of one block of the ledger
};

struct SilentCursor {
  std::string branch;
  base::Version version;
  base::Duration age;
  bool expired = false;
};

struct UpkeepReport {
  base::Version head{-1};
  std::int64_t commits_since = 0, log_bytes_since = 0;  // since the checkpoint there was
  std::optional<delta::Checkpoint> checkpoint;          // written now
  base::Version log_begins{0};                          // with this entry
  std::int64_t blocks_written = 0, ranges_written = 0;
  base::Version ledger_to{-1};
  std::int64_t entries_deleted = 0, bytes_deleted = 0, checkpoints_deleted = 0;
  std::optional<std::string> held_by;  // the branch whose cursor alone keeps entries that are old enough
  std::vector<SilentCursor> silent;
};

struct UpkeepWorld {
  env::Clock& clock;
  env::Failpoints& failpoints;
  const std::atomic<bool>* stop = nullptr;  // when true, the call ends soon, with kRetry
};

// Errors: kNotFound: no such table (yet). kRetry: store or scratch trouble; call again. kCorrupt: the log or the ledger is damaged: nothing
// of it was deleted. kInvalid: a newer format.
base::Result<UpkeepReport> keep_log(env::ObjectStore& store, const std::string& table_root, const UpkeepOptions& options,
                                    UpkeepWorld world);

// Which of these checkpoints, rising, are of no more use when the log begins at `keep`: those before it, and of those between it and the
// newest, once they are older than an hour, all but the first of each hour. Pure.
struct KnownCheckpoint {
  base::Version version;
  base::Micros written_at;
};
std::vector<base::Version> superseded(const std::vector<KnownCheckpoint>& checkpoints, base::Version keep, base::Micros now);

}  // namespace headpond::bronze
