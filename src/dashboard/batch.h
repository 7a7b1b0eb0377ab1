// One micro-batch: bronze rows between two position vectors become the files of a gold commit.
//
//   TRY(auto files, compute_batch(range, rollups, gold, sql, scratch));
//   TRY(auto outcome, gold.commit(files.adds, …));
//
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "dashboard/gold.h"
#include "dashboard/rollup.h"
#include "sql/engine.h"

namespace headpond::dashboard {

// What a batch covers, fixed before its first byte is written.
struct BatchRange {
  std::int64_t batch_id = 0;
  base::PositionVector before, after;
  base::Version first_version{-1}, last_version{-1};
  std::vector<std::string> files;    // Parquet files of bronze, as bronze::scan_paths() names them, that hold the rows (and perhaps others)
  std::vector<delta::Field> schema;  // of bronze
  base::Micros started_at;
};

struct BatchFiles {
  std::vector<delta::AddFile> adds;
  std::int64_t rows = 0, late = 0, new_keys = 0;
};

// The relation of exactly the rows of `range`: beyond `before`, up to `after`.
std::string range_scan(const BatchRange& range);

// Uploads the batch's files, without committing them; rows == 0 uploads nothing. `scratch` is a local directory for files in between.
// Errors: kRetry: the store or memory; kInvalid: bronze's files cannot be read.
base::Result<BatchFiles> compute_batch(const BatchRange& range, const Rollups& rollups, Gold& gold, sql::Engine& sql,
                                       const std::string& scratch);

}  // namespace headpond::dashboard
