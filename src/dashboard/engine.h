// The dashboard branch: follows bronze version by version and, once a trigger (1 minute), turns the rows since its last batch into additive
// partials in its gold table. Exactly once by offsets: a batch's row in gold holds the position vector before and after it, in the same
// commit. Definitions and format: docs/formats/gold.md.
//
//   TRY(auto engine, dashboard::Engine::open(topology, branch, world));
//   while (running) { TRY(bool more, engine->step()); if (!more) wait a little; }
//
// While it runs it holds the lease gold/<branch>/_leases/engine, so that one engine works on a branch, whichever it is; another waits. Two
// that commit all the same are safe: the second finds itself overtaken and goes on from the other's batch. Threads: step() and drain() from
// one; status() from any.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "bronze/cursor.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"
#include "spec/topology.h"

namespace headpond::dashboard {

// Seams, borrowed; they outlive the engine.
struct World {
  env::ObjectStore& lake;
  spec::LakePaths paths;
  env::Clock& clock;
  env::Random& random;
  env::Failpoints& failpoints;
  std::string local_directory;  // for files in between and spilling; created; one engine's alone
};

struct Limits {
  int threads = 1;
  std::int64_t memory_bytes = 512ll << 20;
  // A batch takes whole versions up to these sums; a long history is many batches, one right after the other. Rows are aggregated as they
  // are read, so what is bounded by them is a batch's time (and the minutes it may span), not its memory.
  std::int64_t batch_rows_max = 200'000'000;
  int batch_files_max = 2048;
  int gap_files_max = 1024;  // of a cleaned part of the log, in one batch: files that are open at once
  int versions_per_step_max = 64;
  // Of the right to be the branch's engine. A batch may last as long, and is not committed when another engine has taken over meanwhile.
  base::Duration lease = base::Duration::minutes(2);
  base::Duration lease_grace = base::Duration::seconds(10);
};

class Engine {
 public:
  // Opens or creates the gold table. Bronze need not exist yet.
  // Errors: kInvalid: a rollup that bronze cannot answer (file:line:column), a table that is not ours. kRetry: the store.
  static base::Result<std::unique_ptr<Engine>> open(const spec::Topology& topology, const spec::Branch& branch, World world,
                                                    Limits limits = {});
  virtual ~Engine() = default;

  // Reads what bronze has new, and runs a batch when one is due. True: there may be more to do at once.
  // Errors: kRetry: again later, nothing is lost or doubled. kFenced: another engine has taken over. kInvalid, kCorrupt: stop, tell a
  // person.
  virtual base::Result<bool> step() = 0;
  // What is committed is durable already, and what is not is read again; so this publishes the status and gives up the lease.
  virtual base::Result<void> drain() = 0;
  // `complete_until` is the end of the last complete minute. Figures: rows_per_s, late_rows (since it started), pending_rows, batch_id,
  // batch_rows, batch_ms, stalled_partitions.
  virtual bronze::BranchStatus status() const = 0;
};

}  // namespace headpond::dashboard
