// Ingest: one Kafka topic into the bronze table, each record once. Reads, decodes, stamps `arrival`, commits each interval with clocks;
// resumes from the table after any crash. Definitions: docs/formats/bronze.md.
//
//   TRY(auto engine, ingest::Engine::open(topology, world));
//   while (running) { TRY(bool more, engine->step()); if (!more) wait a little; }
//   engine->drain();
//
// Several engines on one table are safe, whatever they believe to own: the table's precondition fences the slower one. One that reads the
// topic alone ends with kFenced and has to be opened again; one that shares it (a static share, a consumer group) reads on from the table.
// Threads: step() and drain() from one; status() from any.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bronze/cursor.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"
#include "env/worker.h"
#include "ingest/share.h"
#include "kafka/group.h"
#include "kafka/source.h"
#include "spec/topology.h"

namespace headpond::ingest {

// Seams, borrowed; they outlive the engine.
struct World {
  env::ObjectStore& lake;
  spec::LakePaths paths;
  env::Clock& clock;
  env::Random& random;
  env::Failpoints& failpoints;
  // One is taken for publishing, one for each lane's encoding; with several lanes also one for each lane's files, and for its reading but
  // the first's. Empty: everything happens inside step().
  env::Workers workers = {};
};

struct Settings {
  bool accept_loss = false;                          // records lost to retention become a recorded gap instead of a stop
  base::Duration poll = base::Duration::millis(10);  // longest wait for records in one step
  // A topic that is re-created is noticed after this at the latest; new partitions are too.
  base::Duration describe_every = base::Duration::seconds(2);
  Share share;             // of the topic, with assignment: static
  bool until_end = false;  // finished() once everything is read that was there when it was opened
};

class Engine {
 public:
  // Reaches the broker and opens or creates the table; the first commit of a generation names its partitions.
  // Errors: kRetry: no broker, store trouble. kNotFound: no such topic, with names near it. kInvalid: the topic is not the table's, the
  // table is not Headpond's, an option that must not be set: with the mend. kCorrupt.
  static base::Result<std::unique_ptr<Engine>> open(const spec::Topology& topology, World world, Settings settings = {});
  // The same over given sources, a lane for each. With a group, the group says which partitions are read.
  static base::Result<std::unique_ptr<Engine>> open_over(std::vector<std::unique_ptr<kafka::Source>> sources,
                                                         const spec::Topology& topology, World world, Settings settings = {},
                                                         std::unique_ptr<kafka::Group> group = nullptr);
  virtual ~Engine() = default;

  // Takes in what has arrived, a batch at most, begins a commit when the interval is over and the one before is done, and looks how that
  // goes. True: there was something.
  // Errors: kFenced, kUnknown, kRetry: discard this engine, open again: the table tells where to go on. kInvalid, kCorrupt: stop.
  virtual base::Result<bool> step() = 0;
  // Commits what was taken in, and waits for it.
  virtual base::Result<void> drain() = 0;
  // With until_end: nothing is left to do but drain().
  virtual bool finished() const = 0;
  // `complete_until` is the smallest clock. Figures: rows_per_s, bytes_per_s, rows, errors, type_mismatches, future_ts, future_timestamps,
  // stalled_partitions, partitions, commit_ms, fenced; kafka_lag, of the whole topic, once the broker has told the end of every
  // partition.
  virtual bronze::BranchStatus status() const = 0;
};

}  // namespace headpond::ingest
