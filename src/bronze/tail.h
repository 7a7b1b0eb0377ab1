// Reads bronze version by version: the clock of every branch.
//
//   TRY(auto tail, bronze::Tail::open(store, table_root, from));
//   while (true) { TRY(auto step, tail.next()); if (!step) break; … }
//
// A reader's truth is its position vector, stored atomically with its result; the version is a hint for where to go on.
// Threads: one at a time per Tail.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/facts.h"
#include "bronze/log_checkpoint.h"
#include "delta/log.h"

namespace headpond::bronze {

// One live Parquet file of bronze.
struct DataFile {
  std::string path;         // relative to the table
  std::string ingest_date;  // "2026-11-25"
  std::int64_t size = 0;    // bytes
  std::int64_t rows = 0;
  base::Micros ts_min, ts_max, arrival_min, arrival_max;
};
base::Result<DataFile> data_file(const delta::AddFile& add);

struct Step {
  base::Version version;
  base::Micros committed_at;
  std::vector<DataFile> files;  // that add rows; empty for a heartbeat or an upkeep commit
  CommitFacts facts;
  TableClock clock;  // after this version
  // Over a cleaned part of the log, this one step stands for all versions behind the reader's up to `version`: `files` are the live ones
  // that hold rows of them, and perhaps rows that the reader has: only those beyond its own positions count. `facts` are empty.
  bool gap = false;
  // Set in a piece of a gap that is not its last: no row still to come arrived before this time, and in no partition does one lie below a
  // row of this piece. `version` is the newest whose rows it holds, `clock` the one at the end of the gap; the Tail's own stay in front of
  // it.
  std::optional<base::Micros> rest_from;
};

// How much of a gap one step may be.
struct GapPiece {
  std::size_t files_max = 1024;
  std::int64_t rows_max = 20'000'000;
};

// A file with rows of these versions, both included.
struct GapFile {
  DataFile file;
  base::Version first, last;
  base::Micros arrival_from;  // the first arrival in it and in all behind it
};

class Tail {
 public:
  // Opens behind version `after` (-1: from the beginning): folds from the newest checkpoint that is not beyond, then yields what follows.
  // Where the entries behind `after` were deleted, a gap comes first, in one step or more: a reader that ends between two of them begins
  // the gap again, and what its positions say it has does not count.
  // Borrows `store`. Errors: kNotFound: no such table (yet). kCorrupt. kInvalid: a newer format.
  static base::Result<Tail> open(env::ObjectStore& store, const std::string& table_root, base::Version after, GapPiece piece = {});

  // Opens behind the newest version a checkpoint gives (-1: there is none), for whoever needs only the newest state. Errors: as open().
  static base::Result<Tail> open_newest(env::ObjectStore& store, const std::string& table_root);

  // The next version, or none if there is none yet (one GET). Errors: kRetry: again later; nothing is skipped. kCorrupt: a version is
  // missing or damaged, or another program wrote it. kInvalid: a newer format.
  base::Result<std::optional<Step>> next();

  base::Version version() const { return version_; }
  const TableClock& clock() const { return clock_; }                                     // in front of a gap: nothing is known of it
  const LogCheckpoint* gap_to() const { return behind_gap_ ? &*behind_gap_ : nullptr; }  // where the next step leads, if it is a gap
  const delta::Metadata& metadata() const { return metadata_; }

 private:
  explicit Tail(delta::Table table) : table_(std::move(table)) {}
  base::Result<void> begin(base::Version after);
  base::Result<void> begin_at_zero();
  base::Result<void> replay(base::Version after);
  void stand_at(LogCheckpoint checkpoint);
  base::Result<std::optional<Step>> follow();
  base::Result<std::optional<Step>> overdue();
  base::Result<void> list_gap();
  Step next_piece();

  delta::Table table_;
  base::Version version_{-1};
  std::optional<LogCheckpoint> behind_gap_;  // where the next steps lead
  GapPiece piece_;
  std::vector<GapFile> gap_files_;  // of the gap under way, by version
  std::size_t gap_at_ = 0;          // of them, the first of the next piece
  int polls_in_vain_ = -1;          // the first one looks whether the log was cleaned
  TableClock clock_;
  delta::Metadata metadata_;
};

}  // namespace headpond::bronze
