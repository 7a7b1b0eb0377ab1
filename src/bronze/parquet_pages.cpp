#include "bronze/parquet_pages.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace headpond::bronze {

namespace {
constexpr std::size_t kHeaderMax = 64;  // a data page header has at most 35 bytes
}  // namespace

PageCompressor::PageCompressor(int level) : context_(ZSTD_createCCtx()) {
  HP_ASSERT(context_ != nullptr);
  HP_ASSERT(!ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level)));
}

std::size_t PageCompressor::compress(std::string_view body, ParquetBuffer& out) {
  const auto bound = ZSTD_compressBound(body.size());
  const auto size = ZSTD_compress2(context_.get(), out.reserve(bound), bound, body.data(), body.size());
  HP_ASSERT(!ZSTD_isError(size));  // with that much room only a wrong context can fail
  out.extend(size);
  return size;
}

void ChunkPages::add(PageCompressor& compressor, std::string_view body, ParquetEncoding encoding, std::size_t values, std::size_t nulls) {
  const auto start = pages_.size();
  pages_.reserve(kHeaderMax);
  pages_.extend(header_guess_);
  const auto compressed = compressor.compress(body, pages_);
  header_.clear();
  put_data_page_header(header_, body.size(), compressed, values, encoding);
  if (header_.size() != header_guess_) {
    pages_.reserve(kHeaderMax);
    std::memmove(pages_.data() + start + header_.size(), pages_.data() + start + header_guess_, compressed);
    pages_.truncate(start + header_.size() + compressed);
    header_guess_ = header_.size();
  }
  std::memcpy(pages_.data() + start, header_.data(), header_.size());

  chunk_.values += static_cast<std::int64_t>(values);
  chunk_.nulls += static_cast<std::int64_t>(nulls);
  chunk_.uncompressed_bytes += static_cast<std::int64_t>(header_.size() + body.size());
  if (std::ranges::find(chunk_.encodings, encoding) == chunk_.encodings.end()) chunk_.encodings.push_back(encoding);
}

void ChunkPages::set_dictionary(PageCompressor& compressor, std::string_view body, std::size_t values) {
  HP_ASSERT(dictionary_.empty());
  ParquetBuffer frame;
  compressor.compress(body, frame);
  put_dictionary_page_header(dictionary_, body.size(), frame.size(), values);
  chunk_.uncompressed_bytes += static_cast<std::int64_t>(dictionary_.size() + body.size());
  dictionary_.append(frame.view());
}

base::Result<ParquetChunk> ChunkPages::write(env::WriteStream& out, std::int64_t offset) {
  if (!dictionary_.empty()) TRY_VOID(out.append(dictionary_.view()));
  TRY_VOID(out.append(pages_.view()));
  auto chunk = std::exchange(chunk_, {});
  chunk.offset = offset;
  chunk.dictionary_bytes = static_cast<std::int64_t>(dictionary_.size());
  chunk.compressed_bytes = static_cast<std::int64_t>(bytes());
  // Definition levels are RLE; the dictionary page is PLAIN.
  for (const auto implied : {ParquetEncoding::kRle, ParquetEncoding::kPlain})
    if (std::ranges::find(chunk.encodings, implied) == chunk.encodings.end() && (implied == ParquetEncoding::kRle || !dictionary_.empty()))
      chunk.encodings.push_back(implied);
  pages_.clear();
  dictionary_.clear();
  return chunk;
}

}  // namespace headpond::bronze
