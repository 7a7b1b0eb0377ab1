// Encodes columns::Batch into one Parquet file streamed to an env::WriteStream. Column order and encodings: docs/formats/bronze-parquet.md.
// Source of the format: the Apache Parquet format specification (Thrift compact footer, data page v1).
//
// Pages are compressed as batches arrive; a row group is written out when it closes. Nothing is copied, allocated or called virtually per
// row. Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "env/object_store.h"

namespace headpond::bronze {

struct ParquetOptions {
  // A row group closes at the end of the append() that reaches either.
  std::int64_t row_group_rows_max = 128 << 10;
  std::int64_t row_group_bytes_max = 16 << 20;  // compressed
  int zstd_level = 1;
};

struct ParquetTotals {
  std::int64_t rows = 0;
  std::int64_t file_bytes = 0;
  std::string delta_stats;  // JSON text for the log
};

struct PageScratch;

class ParquetWriter {
 public:
  static std::unique_ptr<ParquetWriter> create(const std::vector<columns::ColumnSpec>& declared, const ParquetOptions& options,
                                               std::unique_ptr<env::WriteStream> stream, std::shared_ptr<PageScratch> scratch = nullptr);
  // What pages are made in, for all files that one thread writes; made with the same zstd level.
  static std::shared_ptr<PageScratch> scratch(int zstd_level);
  static std::size_t memory_of(const PageScratch& scratch);
  virtual ~ParquetWriter() = default;

  // Rows [first, first + count) of `batch` become the next page of each column. The batch is free for reset() afterwards; its
  // raw_headroom() is used. Errors: those of WriteStream::append; the writer is then dead, discard it.
  virtual base::Result<void> append(const columns::Batch& batch, std::size_t first, std::size_t count) = 0;
  // Closes the row group and writes the footer, but does not make the file visible yet.
  virtual base::Result<ParquetTotals> finish() = 0;
  // Makes it visible. Requires finish().
  virtual base::Result<void> close() = 0;
  virtual std::int64_t rows() const = 0;
  // As WriteStream::sent().
  virtual std::int64_t sent() const = 0;
  // Bytes it takes without a shared scratch, those the stream has not passed on included.
  virtual std::size_t memory() const = 0;
};

}  // namespace headpond::bronze
