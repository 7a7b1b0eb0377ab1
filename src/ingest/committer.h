// Between a lane and the table: takes full batches and cuts, and has them encoded, uploaded and published while the lane goes on.
//
//   committer.append(batch);              // batch is an empty one now
//   committer.commit(request);            // what was appended so far becomes one version …
//   …append() more: it belongs to the next commit…
//   if (auto done = committer.take()) …   // … and here is how that went
//
// Rows are encoded by one worker, files and log entry go out by another: a slow store delays its commit, not the reading of the topic.
// Bounded: append() waits while kBatches batches are waiting to be encoded; one commit at a time is under way.
//
// Threads: one at a time (beside its own workers).
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bronze/writer.h"
#include "columns/batch.h"
#include "env/clock.h"
#include "env/worker.h"

namespace headpond::ingest {

class Committer {
 public:
  static constexpr std::size_t kBatches = 2;  // waiting or being encoded, beside the one the lane fills

  // Rows by their Kafka timestamp, to 16 ms.
  using Produced = std::vector<std::pair<base::Micros, std::int64_t>>;
  struct Done {
    bronze::CommitResult result;
    bronze::TableClock table;  // as of that version
    bool committed = false;    // not by follow()
    double ms = 0;             // from commit() on
    double encode_ms = 0;      // of it, until the rows before it were encoded
    Produced produced = {};    // its rows
  };

  // `declared`: of the batches. Borrows `clock`. An empty `workers` runs everything at once on the caller's thread.
  Committer(std::unique_ptr<bronze::Writer> writer, const std::vector<columns::ColumnSpec>& declared, const env::Workers& workers,
            env::Clock& clock);
  // Ends what is under way; what was not committed is gone.
  ~Committer();

  // Takes the rows: `batch` is empty afterwards, its source kept. Errors: of an earlier task; discard the object.
  base::Result<void> append(columns::Batch& batch);
  // As bronze::Writer's, in order with append().
  void declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last, const std::string& kind,
                   base::Micros arrival);

  // Requires: none is under way.
  void commit(bronze::CommitRequest request);
  // Follows what other ingesters have committed; like a commit, but nothing is written.
  void follow();
  bool committing() const { return committing_; }
  // The outcome of commit() or follow(), once. None: still under way, or there is none. Errors: the writer's; discard the object.
  std::optional<base::Result<Done>> take();
  // The same, waiting for it. Requires: one is under way.
  base::Result<Done> wait();

 private:
  void encode(columns::Batch batch);
  struct UnderWay {
    bronze::CommitRequest request;
    std::unique_ptr<bronze::Writer::Cut> cut;
    Produced produced;
    base::Duration begun, encoded;
  };
  void publish(UnderWay commit);
  std::optional<base::Error> failure() const;
  void finish(base::Result<Done> outcome);

  env::Clock& clock_;
  std::unique_ptr<bronze::Writer> writer_;
  bool committing_ = false;  // the caller's

  mutable std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::vector<columns::Batch> free_;
  std::optional<base::Error> failure_;  // the first
  std::optional<base::Result<Done>> done_;

  std::map<std::int64_t, std::int64_t> produced_;  // the encoder's: rows since the last cut by timestamp, in 2^14 µs

  // The encoder posts to the publisher, so it ends first.
  std::unique_ptr<env::Worker> publisher_, encoder_;
};

}  // namespace headpond::ingest
