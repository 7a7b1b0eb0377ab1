// The parts of Parquet's metadata that a bronze file has, and their bytes (parquet-format, parquet.thrift). Values; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bronze/parquet_buffer.h"

namespace headpond::bronze {

// The numbers are the format's.
enum class ParquetType : std::int32_t { kBoolean = 0, kInt32 = 1, kInt64 = 2, kDouble = 5, kByteArray = 6 };
enum class ParquetEncoding : std::int32_t { kPlain = 0, kRle = 3, kDeltaBinaryPacked = 5, kDeltaLengthByteArray = 6, kRleDictionary = 8 };
enum class ParquetAnnotation { kNone, kString, kTimestampMicrosUtc };

struct ParquetField {
  std::string name;
  ParquetType type = ParquetType::kByteArray;
  ParquetAnnotation annotation = ParquetAnnotation::kNone;
  bool nullable = true;
};

// One column of one row group, as it lies in the file: the dictionary page, if there is one, and the data pages behind it.
struct ParquetChunk {
  std::int64_t offset = 0;                                    // of its first byte in the file
  std::int64_t dictionary_bytes = 0;                          // page with header; 0: no dictionary
  std::int64_t compressed_bytes = 0, uncompressed_bytes = 0;  // headers included
  std::int64_t values = 0, nulls = 0;
  std::vector<ParquetEncoding> encodings;  // of its pages, distinct
  std::optional<std::string> min, max;     // PLAIN bytes without a length; both or none
  // Of text too long to be stated whole: how the smallest and the greatest begin; both or none. Not in the file.
  std::optional<std::string> min_beginning, max_beginning;
};

struct ParquetRowGroup {
  std::int64_t rows = 0;
  std::vector<ParquetChunk> chunks;  // in the order of the fields
};

// Pages are data pages v1 and dictionary pages, zstd-compressed. Appends the header's bytes.
void put_data_page_header(ParquetBuffer& out, std::size_t uncompressed, std::size_t compressed, std::size_t values,
                          ParquetEncoding encoding);
void put_dictionary_page_header(ParquetBuffer& out, std::size_t uncompressed, std::size_t compressed, std::size_t values);

// All that follows the last row group: metadata, its length, the closing magic.
void put_footer(ParquetBuffer& out, const std::vector<ParquetField>& fields, const std::vector<ParquetRowGroup>& row_groups);

}  // namespace headpond::bronze
