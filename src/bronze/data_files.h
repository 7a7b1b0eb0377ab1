// The Parquet files a commit is writing, one per ingest_date, and what the log says about each. Private to bronze.
// Threads: one at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bronze/parquet_writer.h"
#include "bronze/writer.h"
#include "columns/batch.h"
#include "delta/log.h"

namespace headpond::bronze {

class DataFiles {
 public:
  DataFiles(const delta::Table& table, const std::vector<columns::ColumnSpec>& declared, const WriterOptions& options, WriterWorld world)
      : table_(table), declared_(declared), options_(options), world_(world) {}

  bool empty() const { return files_.empty(); }
  // Rows go to the file of the UTC day of their arrival. Errors: kRetry: discard the object.
  base::Result<void> append(const columns::Batch& batch);
  // Writes footers, then makes the files visible. Errors: kRetry: not all are; discard the object.
  base::Result<void> finish();
  base::Result<void> close();
  // One add per file, in rising arrival; `version` is the one they are committed as. Requires close().
  std::vector<delta::AddFile> adds(base::Version version) const;
  std::int64_t file_bytes() const;
  // Bytes all of it takes.
  std::size_t memory() const;

 private:
  struct File {
    std::string path;
    std::unique_ptr<ParquetWriter> writer;
    ParquetTotals totals;
  };
  base::Result<File*> file_of(std::int64_t day);

  const delta::Table& table_;
  const std::vector<columns::ColumnSpec>& declared_;
  const WriterOptions& options_;
  WriterWorld world_;
  std::map<std::int64_t, File> files_;    // by day since the epoch
  std::shared_ptr<PageScratch> scratch_;  // of all files
  std::int64_t modification_ms_ = 0;
};

}  // namespace headpond::bronze
