// One column of a bronze file: takes its cells from a Batch and makes them into pages. Internal to the Parquet writer.
//
// A page is one append(); everything here costs a virtual call a page, never one a row. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "bronze/parquet_pages.h"
#include "columns/batch.h"

namespace headpond::bronze {

// Shared by the columns of files that are written at the same time; only one page is being made at a time.
struct PageScratch {
  explicit PageScratch(int zstd_level) : compressor(zstd_level), indices(columns::Batch::kRowsMax), valid(columns::Batch::kRowsMax) {}
  PageCompressor compressor;
  ParquetBuffer body;
  std::vector<std::uint32_t> indices;
  std::vector<std::uint8_t> valid;
};

class PageColumn {
 public:
  explicit PageColumn(ParquetField field) : field_(std::move(field)) {}
  virtual ~PageColumn() = default;
  const ParquetField& field() const { return field_; }

  // Rows [first, first + count) become the next page. Requires count > 0.
  virtual void append(const columns::Batch& batch, std::size_t first, std::size_t count, PageScratch& scratch) = 0;
  // Bytes the row group would have by now, dictionaries uncompressed.
  virtual std::size_t bytes() const { return pages_.bytes(); }
  // Bytes it takes, those kept for the next row group too.
  virtual std::size_t memory() const { return pages_.memory(); }
  // Writes the chunk and starts the next row group.
  virtual base::Result<ParquetChunk> close(env::WriteStream& out, std::int64_t offset, PageScratch& scratch) = 0;

 protected:
  ParquetField field_;
  ChunkPages pages_;
};

// The columns of bronze in file order: docs/formats/bronze-parquet.md.
std::vector<std::unique_ptr<PageColumn>> bronze_columns(const std::vector<columns::ColumnSpec>& declared);

}  // namespace headpond::bronze
