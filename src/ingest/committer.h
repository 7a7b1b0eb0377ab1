// Between the lanes and the table: takes full batches and cuts, and has them encoded, uploaded and published while the lanes go on.
//
//   committer.append(batch, lane);        // batch is an empty one now
//   committer.commit(request);            // what was appended so far becomes one version …
//   …append() more: it belongs to the next commit…
//   if (auto done = committer.take()) …   // … and here is how that went
//
// Each lane's rows are encoded by a worker of its own, its files and the log entry go out by others: a slow store delays its commit, not
// the reading of the topic. A commit's cut travels through each lane's queue, so that it holds exactly what was appended before it.
// Bounded: append() waits while kBatches batches of its lane are waiting to be encoded; one commit at a time is under way.
//
// Threads: one at a time (beside its own workers), but append() and declare_gap() of a lane from its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
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
  static constexpr std::size_t kBatches = 2;  // of a lane: waiting or being encoded, beside the one it fills

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

  // `declared`: of the batches; `lanes`: as the writer has. Borrows `clock`. An empty `workers` runs everything at once on the caller's
  // thread.
  Committer(std::unique_ptr<bronze::Writer> writer, const std::vector<columns::ColumnSpec>& declared, const env::Workers& workers,
            env::Clock& clock, std::size_t lanes = 1);
  // Ends what is under way; what was not committed is gone.
  ~Committer();

  // Takes the rows: `batch` is empty afterwards, its source kept. Errors: of an earlier task; discard the object.
  base::Result<void> append(columns::Batch& batch, std::size_t lane = 0);
  // As a bronze::Writer::Stage's, in order with append().
  void declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last, const std::string& kind,
                   base::Micros arrival, std::size_t lane = 0);

  // Requires: none is under way.
  void commit(bronze::CommitRequest request);
  // Follows what other ingesters have committed; like a commit, but nothing is written.
  void follow();
  // The same between two commits, by the way: so that a commit has little left to read. What a busy store does not answer now is read
  // later; other errors fail the next append() or commit().
  void keep_up();
  bool committing() const { return committing_; }
  // Bytes that the rows for the next commit take, but for those still to be encoded.
  std::size_t staged_memory() const;
  // The outcome of commit() or follow(), once. None: still under way, or there is none. Errors: the writer's; discard the object.
  std::optional<base::Result<Done>> take();
  // The same, waiting for it. Requires: one is under way.
  base::Result<Done> wait();

 private:
  using Ticks = std::map<std::int64_t, std::int64_t>;  // rows by timestamp, in 2^14 µs
  struct Lane {
    bronze::Writer::Stage* stage = nullptr;
    std::vector<columns::Batch> free;      // with mutex_
    Ticks produced;                        // the encoder's: since the last cut
    std::atomic<std::size_t> memory = 0;   // of what is staged
    std::unique_ptr<env::Worker> closer;   // of its files, beside the other lanes'; none of a single lane
    std::unique_ptr<env::Worker> encoder;  // last: its tasks use the above
  };
  struct UnderWay {
    bronze::CommitRequest request;
    std::vector<std::unique_ptr<bronze::Writer::Cut>> cuts;  // by lane
    std::size_t cuts_to_come = 0;                            // this and all below with mutex_, until the last cut
    Ticks produced;
    base::Duration begun, encoded;
  };
  void encode(Lane& lane, columns::Batch batch);
  void cut(std::size_t lane, const std::shared_ptr<UnderWay>& commit);
  void hand_over(const std::shared_ptr<UnderWay>& commit);
  void publish(UnderWay& commit);
  std::optional<base::Error> failure() const;
  void finish(base::Result<Done> outcome);

  env::Clock& clock_;
  std::unique_ptr<bronze::Writer> writer_;
  bool committing_ = false;  // the caller's

  mutable std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::optional<base::Error> failure_;  // the first
  std::optional<base::Result<Done>> done_;

  // The encoders post to the publisher, so they end first.
  std::unique_ptr<env::Worker> publisher_;
  std::deque<Lane> lanes_;
};

}  // namespace headpond::ingest
