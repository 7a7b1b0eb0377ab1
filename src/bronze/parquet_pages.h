// The compressed pages of one column in the row group being filled. Internal to the Parquet writer. Threads: one at a time.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "bronze/parquet_buffer.h"
#include "bronze/parquet_format.h"
#include "env/object_store.h"

namespace headpond::bronze {

// One zstd context for all pages of a file.
class PageCompressor {
 public:
  explicit PageCompressor(int level);
  // Appends one frame. Returns its size.
  std::size_t compress(std::string_view body, ParquetBuffer& out);
  std::size_t memory() const { return ZSTD_sizeof_CCtx(context_.get()); }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

class ChunkPages {
 public:
  // `body` is the page uncompressed: definition levels, if the column is nullable, and values. `values` counts nulls too.
  void add(PageCompressor& compressor, std::string_view body, ParquetEncoding encoding, std::size_t values, std::size_t nulls);
  // The dictionary the pages refer to; once, after the last page. `body` is in PLAIN.
  void set_dictionary(PageCompressor& compressor, std::string_view body, std::size_t values);

  std::size_t bytes() const { return pages_.size() + dictionary_.size(); }
  std::size_t memory() const { return pages_.capacity() + dictionary_.capacity(); }

  // Appends dictionary and pages to `out`, describes them as a chunk that begins at `offset`, and is empty again.
  base::Result<ParquetChunk> write(env::WriteStream& out, std::int64_t offset);

 private:
  ParquetBuffer pages_, dictionary_, header_;
  std::size_t header_guess_ = 0;  // size of the last header: the page is compressed right behind where the next should end
  ParquetChunk chunk_;
};

}  // namespace headpond::bronze
