#include "bronze/parquet_encoding.h"

#include <bit>
#include <limits>
#include <type_traits>
#include <vector>

namespace headpond::bronze {

namespace {

constexpr std::size_t kBlock = 128;
constexpr std::size_t kMiniblock = 32;
constexpr std::size_t kMiniblocks = kBlock / kMiniblock;
constexpr std::size_t kShortTextMax = 40;  // bytes, the mean of a page

// Packs `count` values of `width` ≤ 64 bits, lowest bit first, and returns the end. Requires value < 2^width; the last byte is zero-filled;
// 8 bytes behind the end are writable.
template <class U>
char* pack(const U* values, std::size_t count, unsigned width, char* out) {
  std::uint64_t word = 0;
  unsigned used = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t value = values[i];
    word |= value << used;
    used += width;
    if (used >= 64) {
      std::memcpy(out, &word, 8);
      out += 8;
      used -= 64;
      word = used == 0 ? 0 : value >> (width - used);
    }
  }
  std::memcpy(out, &word, 8);
  return out + (used + 7) / 8;
}

void put_literals(ParquetBuffer& out, const std::uint32_t* values, std::size_t count, unsigned width) {
  if (count == 0) return;
  const auto groups = (count + 7) / 8;
  out.put_varint(groups << 1 | 1);
  const auto bytes = groups * width;
  char* const start = out.reserve(bytes + 8);
  const char* const end = pack(values, count, width, start);
  const auto written = static_cast<std::size_t>(end - start);
  if (written < bytes) std::memset(start + written, 0, bytes - written);
  out.extend(bytes);
}

void put_run(ParquetBuffer& out, std::uint32_t value, std::size_t count, unsigned width) {
  out.put_varint(count << 1);
  for (unsigned bits = 0; bits < width; bits += 8) out.push(static_cast<std::uint8_t>(value >> bits));
}

template <class S>
void put_delta_of(ParquetBuffer& out, const S* values, std::size_t count) {
  using U = std::make_unsigned_t<S>;
  out.put_varint(kBlock);
  out.put_varint(kMiniblocks);
  out.put_varint(count);
  out.put_zigzag(count == 0 ? 0 : values[0]);
  for (std::size_t i = 1; i < count; i += kBlock) {
    const auto n = std::min(kBlock, count - i);
    U deltas[kBlock];
    S smallest = std::numeric_limits<S>::max();
    for (std::size_t k = 0; k < n; ++k) {
      deltas[k] = static_cast<U>(values[i + k]) - static_cast<U>(values[i + k - 1]);
      smallest = std::min(smallest, static_cast<S>(deltas[k]));
    }
    for (std::size_t k = 0; k < n; ++k) deltas[k] -= static_cast<U>(smallest);
    for (std::size_t k = n; k < kBlock; ++k) deltas[k] = 0;
    out.put_zigzag(smallest);
    char* const start = out.reserve(kMiniblocks + kBlock * sizeof(U) + 8);
    char* place = start + kMiniblocks;
    for (std::size_t m = 0; m < kMiniblocks; ++m) {
      U any = 0;
      for (std::size_t k = 0; k < kMiniblock; ++k) any |= deltas[m * kMiniblock + k];
      const auto width = static_cast<unsigned>(std::bit_width(any));
      start[m] = static_cast<char>(width);
      if (width > 0) place = pack(deltas + m * kMiniblock, kMiniblock, width, place);
    }
    out.extend(static_cast<std::size_t>(place - start));
  }
}

// Eight bytes, each 0 or not, as eight bits.
std::uint8_t gather(const std::uint8_t* valid) {
  std::uint8_t bits = 0;
  for (unsigned k = 0; k < 8; ++k) bits = static_cast<std::uint8_t>(bits | (valid[k] != 0) << k);
  return bits;
}

}  // namespace

unsigned parquet_bit_width(std::uint32_t max) {
  return std::max(1u, static_cast<unsigned>(std::bit_width(max)));
}

void put_definition_levels(ParquetBuffer& out, const std::uint8_t* valid, std::size_t count, std::size_t nulls) {
  const auto start = out.size();
  out.put(std::uint32_t{0});
  if (nulls == 0 || nulls == count) {
    if (count > 0) put_run(out, nulls == 0 ? 1 : 0, count, 1);
  } else {
    const auto groups = (count + 7) / 8;
    out.put_varint(groups << 1 | 1);
    char* const bits = out.reserve(groups);
    for (std::size_t g = 0; g < count / 8; ++g) bits[g] = static_cast<char>(gather(valid + g * 8));
    if (count % 8 != 0) {
      std::uint8_t last[8] = {};
      std::memcpy(last, valid + count / 8 * 8, count % 8);
      bits[groups - 1] = static_cast<char>(gather(last));
    }
    out.extend(groups);
  }
  const auto length = static_cast<std::uint32_t>(out.size() - start - 4);
  std::memcpy(out.data() + start, &length, 4);
}

void put_indices(ParquetBuffer& out, const std::uint32_t* indices, std::size_t count, unsigned width) {
  out.push(static_cast<std::uint8_t>(width));
  std::size_t literals = 0;  // where the values not yet written begin
  for (std::size_t i = 0; i < count;) {
    auto end = i + 1;
    while (end < count && indices[end] == indices[i]) ++end;
    const auto fill = (8 - (i - literals) % 8) % 8;  // literals come in eights; a run gives up its head for that
    // A run must save more than the two headers it costs.
    if (end - i >= fill + 8 && (end - i - fill) * width >= 64) {
      put_literals(out, indices + literals, i + fill - literals, width);
      put_run(out, indices[i], end - i - fill, width);
      literals = end;
    }
    i = end;
  }
  put_literals(out, indices + literals, count - literals, width);
}

void put_delta(ParquetBuffer& out, const std::int64_t* values, std::size_t count) {
  put_delta_of(out, values, count);
}
void put_delta(ParquetBuffer& out, const std::int32_t* values, std::size_t count) {
  put_delta_of(out, values, count);
}

bool put_text(ParquetBuffer& out, const std::string_view* values, std::size_t count) {
  std::vector<std::int32_t> lengths(count);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    lengths[i] = static_cast<std::int32_t>(values[i].size());
    bytes += values[i].size();
  }
  const bool apart = bytes <= count * kShortTextMax;
  if (apart) put_delta(out, lengths.data(), count);
  char* place = out.reserve(bytes + 4 * count);
  const char* const start = place;
  for (std::size_t i = 0; i < count; ++i) {
    if (!apart) {
      std::memcpy(place, &lengths[i], 4);
      place += 4;
    }
    if (!values[i].empty()) std::memcpy(place, values[i].data(), values[i].size());
    place += values[i].size();
  }
  out.extend(static_cast<std::size_t>(place - start));
  return apart;
}

void put_bits(ParquetBuffer& out, const std::int64_t* values, std::size_t count) {
  char* const bits = out.reserve(count / 8 + 1);
  std::memset(bits, 0, count / 8 + 1);
  for (std::size_t i = 0; i < count; ++i) bits[i / 8] = static_cast<char>(bits[i / 8] | (values[i] != 0) << i % 8);
  out.extend((count + 7) / 8);
}

}  // namespace headpond::bronze
