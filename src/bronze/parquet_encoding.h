// Parquet's value encodings, by the specification (parquet-format, Encodings.md). Pure functions that append to a buffer.
// Threads: any, one buffer each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bronze/parquet_buffer.h"

namespace headpond::bronze {

// Bits needed for values 0..max; at least 1 (readers differ about width 0).
unsigned parquet_bit_width(std::uint32_t max);

// Definition levels of a data page v1 of a flat nullable column: 4-byte length, then RLE / bit-packed. valid[i] == 0 is null;
// `nulls` of them are. At most 4 + 10 + count / 8 + 1 bytes.
void put_definition_levels(ParquetBuffer& out, const std::uint8_t* valid, std::size_t count, std::size_t nulls);

// Body of an RLE_DICTIONARY page: the bit width in one byte, then runs and bit-packed groups. Requires indices < 2^width, width ≤ 32.
void put_indices(ParquetBuffer& out, const std::uint32_t* indices, std::size_t count, unsigned width);

// DELTA_BINARY_PACKED, blocks of 128 in miniblocks of 32. Differences wrap around at the type's width, as the format says.
void put_delta(ParquetBuffer& out, const std::int64_t* values, std::size_t count);
void put_delta(ParquetBuffer& out, const std::int32_t* values, std::size_t count);

// Text. True: as DELTA_LENGTH_BYTE_ARRAY, the lengths in DELTA_BINARY_PACKED, then the bytes of one text behind those of the other. False:
// as PLAIN, because they have more than 40 bytes on average: zstd compresses sentences better behind their lengths (by 1.4 bytes each, of
// OTLP's bodies), ids without them.
bool put_text(ParquetBuffer& out, const std::string_view* values, std::size_t count);

// PLAIN booleans: one bit each, lowest first; a value ≠ 0 is true.
void put_bits(ParquetBuffer& out, const std::int64_t* values, std::size_t count);

}  // namespace headpond::bronze
