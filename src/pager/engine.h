// The pager branch: follows bronze version by version, folds each version's rows, advances the rule state of the keys touched and of due
// timers, and hands the transitions to its outbox. Definitions: docs/formats/pager.md.
//
//   TRY(auto engine, pager::Engine::open(topology, branch, rule_files, world));
//   TRY(auto notifier, notify::Notifier::open(…, engine->outbox(), …));      // on a thread of its own
//   while (running) { TRY(bool more, engine->step()); if (!more) wait a little; }
//
// What it makes is a function of the version chain and the rules: after a crash the versions since the last state batch are replayed and
// give the same transitions with the same identity. Two engines of one branch: one holds the lease, the other waits, and opens the state
// only when the lease is its own.
// Threads: step() and drain() from one; status() and outbox() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/cursor.h"
#include "bronze/tail.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"
#include "notify/outbox.h"
#include "spec/topology.h"

namespace headpond::pager {

// Seams, borrowed; they outlive the engine.
struct World {
  env::ObjectStore& lake;
  spec::LakePaths paths;
  env::Clock& clock;
  env::Random& random;
  env::Failpoints& failpoints;
  std::string local_directory;              // the state store's; created; one engine's alone
  env::ObjectStore* checkpoints = nullptr;  // where checkpoints go; null: the lake, below pages/<branch>/_checkpoints
};

struct RuleFile {
  std::string path;  // for messages
  std::string text;
};

struct Settings {
  bool new_generation = false;  // discard the state and start afresh
  base::Duration batch_every = base::Duration::seconds(10);
  int batch_versions_max = 30;
  std::size_t batch_bytes_max = 64u << 20;  // of changed keys in memory
  std::size_t hot_keys_max = 200'000;
  base::Duration checkpoint_every = base::Duration::minutes(1);
  base::Duration pipeline_late_after = base::Duration::seconds(30);  // without a version, by the engine's own clock
  bronze::GapPiece gap_piece = {};                                   // of a cleaned part of the log, in one step()
  int threads = 1;
  std::int64_t memory_bytes = 512ll << 20;  // of the fold's queries
};

class Engine {
 public:
  // Opens, restores or creates the branch's state. Bronze need not exist yet. Every target of the branch will need a receipt of each
  // transition; without `notify` the pages go to stdout.
  // Errors: kInvalid: the rules (each issue a line, file:line:column), or a state whose generation is not the newest claimed.
  // kFenced: the local state is held by another process. kRetry: the store. kCorrupt.
  static base::Result<std::unique_ptr<Engine>> open(const spec::Topology& topology, const spec::Branch& branch,
                                                    const std::vector<RuleFile>& rules, World world, Settings settings = {});
  virtual ~Engine() = default;

  // One version of bronze at most, or one piece of a gap in its log. True: there may be more to do at once.
  // Errors: kRetry: again later, nothing is lost or doubled. kFenced: another engine took over; open again. kInvalid, kCorrupt: stop.
  virtual base::Result<bool> step() = 0;
  // Makes what was evaluated durable and gives up the lease.
  virtual base::Result<void> drain() = 0;
  // `complete_until` is the smallest settled boundary. Figures: firing, late_rows and late_rows.<rule>, missed_rows, keys, blind_rules,
  // generation, rules, pending_pages, rows_per_s, stalled_partitions.
  virtual bronze::BranchStatus status() const = 0;
  // Lives as long as the engine; empty while it waits for the lease.
  virtual notify::Outbox& outbox() = 0;
  // 0 while it waits for the lease. Threads: step()'s.
  virtual std::int64_t generation() const = 0;
};

}  // namespace headpond::pager
