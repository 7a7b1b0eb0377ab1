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
};

class Tail {
 public:
  // Opens behind version `after` (-1: from the beginning): replays facts up to it, then yields what follows.
  // Borrows `store`. Errors: kNotFound: no such table (yet). kCorrupt. kInvalid: a newer format.
  static base::Result<Tail> open(env::ObjectStore& store, const std::string& table_root, base::Version after);

  // The next version, or none if there is none yet (one GET). Errors: kRetry: again later; nothing is skipped. kCorrupt: a version is
  // missing or damaged, or another program wrote it. kInvalid: a newer format.
  base::Result<std::optional<Step>> next();

  base::Version version() const { return version_; }
  const TableClock& clock() const { return clock_; }
  const delta::Metadata& metadata() const { return metadata_; }

 private:
  explicit Tail(delta::Table table) : table_(std::move(table)) {}
  delta::Table table_;
  base::Version version_{-1};
  int polls_in_vain_ = 0;
  TableClock clock_;
  delta::Metadata metadata_;
};

}  // namespace headpond::bronze
