// Writes batches of records to one bronze table, each record exactly once. Format: docs/formats/bronze.md.
//
// append() encodes rows and streams out full row groups; commit() writes the last row group and the footer and publishes the files, the
// offsets they cover, clocks and fingerprints as one version. After a crash, open() again and resume from the table's positions.
// Rows of disjoint partitions may be staged in several lanes, each with files of its own; all of them are one version.
//
// Requires of the caller: offsets rise within a partition from position + 1 on, every missing one declared by declare_gap(); `arrival`
// never falls within a partition, nor below the table's clock of it.
//
// Threads: a Stage from one, several Stages from several; publish(), table_clock() and version() from one, which may be another: so the
// next commit's rows are encoded while this one's files and log entry are on their way. Two Writers of the same partitions: the slower one
// is fenced at its next commit.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/facts.h"
#include "bronze/tail.h"
#include "columns/batch.h"
#include "delta/log.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"

namespace headpond::bronze {

// A writer held up for longer looks, before it commits, whether the log was cleaned beyond it. The clean-up spares a running one longer.
inline constexpr auto kHeldUpMax = base::Duration::minutes(10);

struct TableSpec {
  std::string root;                           // folder in the store, "" = its root
  std::string name;                           // for appIds and metadata
  std::vector<columns::ColumnSpec> declared;  // typed columns behind ts and arrival
};

struct WriterOptions {
  std::string writer_id = "ingest";
  std::int64_t row_group_rows_max = 128 << 10;
  std::int64_t row_group_bytes_max = 16 << 20;  // compressed
  int zstd_level = 1;
  // Other ingesters commit to this table all the time: their versions are read before a log entry is put, not after it was refused. A read
  // is cheaper than a PUT in vain, on S3 by far.
  bool shared = false;
  std::size_t lanes = 1;
};

// Seams of a Writer; all borrowed, must outlive it.
struct WriterWorld {
  env::ObjectStore& store;
  env::Clock& clock;
  env::Random& random;
  env::Failpoints& failpoints;
};

struct CommitRequest {
  std::optional<Topic> topic;                     // on the first commit of a generation
  std::vector<base::SourcePartition> partitions;  // all partitions of the topic: those new to the table are named
  std::vector<PartitionClock> clocks;             // proven by the caller, for partitions it owns
  std::vector<Stalled> stalled;
  std::vector<std::pair<base::SourcePartition, std::int32_t>> leader_epochs;
};

struct CommitResult {
  base::Version version;
  std::int64_t rows = 0, bytes = 0;  // payload bytes
  std::int64_t file_bytes = 0;
  double files_ms = 0, log_ms = 0;  // closing the files until they are visible; putting the log entry
};

class Writer {
 public:
  // Creates the table if it is absent (protocol 1/7 with writer feature "headpond"), refuses a store without put-if-absent and a table
  // that is not Headpond's.  Errors: kInvalid (not ours, newer format, column type changed: with the mend), kRetry, kCorrupt.
  static base::Result<std::unique_ptr<Writer>> open(const TableSpec& table, const WriterOptions& options, WriterWorld world);
  virtual ~Writer() = default;

  // The table's positions, clocks, topic: where to resume.
  virtual const TableClock& table_clock() const = 0;
  virtual base::Version version() const = 0;

  // What was staged since the last cut, taken out of its Stage. Lives no longer than the Writer.
  class Cut {
   public:
    virtual ~Cut() = default;
    // Writes what is left of its files and makes them visible; publish() does it for a Cut that is not closed. Threads: any one; Cuts of
    // one commit in parallel. Errors: kRetry: discard the Writer.
    virtual base::Result<void> close() = 0;
  };
  // One lane's rows of the next commit. Lives as long as the Writer.
  class Stage {
   public:
    virtual ~Stage() = default;
    // Stages all rows of `batch`. kRetry: store trouble; discard the Writer and open again.
    virtual base::Result<void> append(const columns::Batch& batch) = 0;
    // The broker made `first`..`last` of `partition` unreadable (`kind`: "before start", "control", "aborted", "compacted", …). Call in
    // offset order with append(); `arrival` as of the next row's (or clock).
    virtual void declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last,
                             const std::string& kind, base::Micros arrival) = 0;
    // append() goes on with the next commit's rows at once; this one's are the Cut's.
    virtual std::unique_ptr<Cut> cut() = 0;
    virtual std::int64_t rows() const = 0;
    // Bytes that what was staged since the last cut takes.
    virtual std::size_t memory() const = 0;
  };
  // Requires: lane < WriterOptions::lanes. A partition changes its lane only when nothing of it is staged.
  virtual Stage& stage(std::size_t lane = 0) = 0;

  // Publishes the rows of all lanes' Cuts as one version; with none, a heartbeat. Clocks whose position is not the table's are left out.
  // Requires: Cuts in the order in which they were made.
  // Errors: kFenced: not published, another writer owns a partition: discard this Writer, re-read. kUnknown/kRetry: discard, open again
  // (the table tells whether it was published).
  virtual base::Result<CommitResult> publish(std::vector<std::unique_ptr<Cut>> cuts, const CommitRequest& request) = 0;

  // Follows what others have committed since. What is staged stays. Errors: kFenced, kInvalid, kCorrupt as publish(). kRetry: store
  // trouble.
  virtual base::Result<void> follow() = 0;

  // For one lane.
  base::Result<void> append(const columns::Batch& batch) { return stage().append(batch); }
  void declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last, const std::string& kind,
                   base::Micros arrival) {
    stage().declare_gap(source, partition, first, last, kind, arrival);
  }
  std::int64_t staged_rows() { return stage().rows(); }
  base::Result<CommitResult> commit(const CommitRequest& request) {
    std::vector<std::unique_ptr<Cut>> cuts;
    cuts.push_back(stage().cut());
    return publish(std::move(cuts), request);
  }
};

// Delta fields of a bronze table with these declared columns, in file order (partition column ingest_date last).
std::vector<delta::Field> schema_fields(const std::vector<columns::ColumnSpec>& declared);

}  // namespace headpond::bronze
