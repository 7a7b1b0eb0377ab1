#include "bronze/parquet_encoding.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace headpond::bronze {
namespace {

std::string hex(const ParquetBuffer& buffer) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : buffer.view()) (out += kDigits[static_cast<unsigned char>(c) >> 4]) += kDigits[c & 15];
  return out;
}

// The format's own examples (parquet-format, Encodings.md).
TEST(ParquetEncoding, BitPacksLowestBitFirst) {
  ParquetBuffer out;
  const std::uint32_t values[] = {0, 1, 2, 3, 4, 5, 6, 7};
  put_indices(out, values, 8, 3);
  EXPECT_EQ(hex(out),
            "03"
            "03"
            "88c6fa");  // width; one group; 10001000 11000110 11111010
}

TEST(ParquetEncoding, DeltasAreBlocksOfMiniblocks) {
  ParquetBuffer rising;
  const std::int64_t five[] = {1, 2, 3, 4, 5};
  put_delta(rising, five, 5);
  EXPECT_EQ(hex(rising),
            "8001"
            "04"
            "05"
            "02"
            "02"
            "00000000");  // block, miniblocks, count, first 1, least delta 1, widths 0

  ParquetBuffer mixed;
  const std::int32_t example[] = {7, 5, 3, 1, 2, 3, 4, 5};
  put_delta(mixed, example, 8);
  // Deltas -2 -2 -2 1 1 1 1 less their minimum -2: 0 0 0 3 3 3 3 in 2 bits, padded to a miniblock of 32.
  EXPECT_EQ(hex(mixed),
            "8001"
            "04"
            "08"
            "0e"
            "03"
            "02000000"
            "c03f000000000000");
}

TEST(ParquetEncoding, LengthsOfShortTextStandBeforeAllBytes) {
  ParquetBuffer out;
  const std::string_view example[] = {"Hello", "World", "", "Foobar"};
  EXPECT_TRUE(put_text(out, example, 4));
  // Lengths 5 5 0 6: deltas 0 -5 6 less their minimum -5: 5 0 11 in 4 bits.
  EXPECT_EQ(hex(out),
            "8001"
            "04"
            "04"
            "0a"
            "09"
            "04000000"
            "050b0000000000000000000000000000"
            "48656c6c6f"
            "576f726c64"
            "466f6f626172");
}

TEST(ParquetEncoding, LongTextStandsBehindItsLengthEach) {
  const std::string at_most(40, 'x'), more(41, 'x');
  const std::string_view mean_40[] = {at_most, at_most}, mean_above[] = {at_most, more};
  ParquetBuffer out;
  EXPECT_TRUE(put_text(out, mean_40, 2));
  out.clear();
  EXPECT_FALSE(put_text(out, mean_above, 2));
  EXPECT_EQ(out.view(), std::string("\x28\0\0\0", 4) + at_most + std::string("\x29\0\0\0", 4) + more);
}

TEST(ParquetEncoding, RunsBreakLiteralsOnlyInEights) {
  ParquetBuffer out;
  std::vector<std::uint32_t> values = {1, 2, 3};
  values.insert(values.end(), 100, 7);
  values.push_back(5);
  put_indices(out, values.data(), values.size(), 3);
  // Eight literals 1 2 3 7 7 7 7 7, a run of 95 sevens, the last literal alone in its group.
  EXPECT_EQ(hex(out),
            "03"
            "03"
            "d1feff"
            "be01"
            "07"
            "03"
            "050000");
}

TEST(ParquetEncoding, LevelsOfUniformPagesAreOneRun) {
  const std::vector<std::uint8_t> all(300, 1), none(300, 0);
  ParquetBuffer out;
  put_definition_levels(out, all.data(), all.size(), 0);
  put_definition_levels(out, none.data(), none.size(), 300);
  EXPECT_EQ(hex(out),
            "03000000"
            "d804"
            "01"
            "03000000"
            "d804"
            "00");
}

TEST(ParquetEncoding, LevelsOfMixedPagesAreBits) {
  const std::uint8_t valid[] = {1, 0, 1, 1, 0, 0, 0, 1, 0, 1};
  ParquetBuffer out;
  put_definition_levels(out, valid, 10, 5);
  EXPECT_EQ(hex(out),
            "03000000"
            "05"
            "8d"
            "02");
}

// The reading half, written from the specification for this test.
class Bits {
 public:
  explicit Bits(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t take(unsigned width) {
    std::uint64_t value = 0;
    for (unsigned k = 0; k < width; ++k, ++bit_) value |= static_cast<std::uint64_t>(bytes_[bit_ / 8] >> bit_ % 8 & 1) << k;
    return value;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = take(8);
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  }
  std::uint64_t zigzag() {
    const auto v = varint();
    return v >> 1 ^ (0 - (v & 1));
  }
  bool done() const { return bit_ / 8 == bytes_.size(); }

 private:
  std::string_view bytes_;
  std::size_t bit_ = 0;
};

template <class S>
std::vector<S> read_delta(std::string_view bytes) {
  Bits in(bytes);
  EXPECT_EQ(in.varint(), 128u);
  EXPECT_EQ(in.varint(), 4u);
  const auto count = in.varint();
  std::uint64_t value = in.zigzag();
  std::vector<S> values;
  if (count > 0) values.push_back(static_cast<S>(value));
  while (values.size() < count) {
    const auto least = in.zigzag();
    unsigned widths[4];
    for (auto& width : widths) width = static_cast<unsigned>(in.take(8));
    for (unsigned m = 0; m < 4 && values.size() < count; ++m)
      for (unsigned k = 0; k < 32; ++k) {
        value += least + in.take(widths[m]);
        if (values.size() < count) values.push_back(static_cast<S>(value));
      }
  }
  EXPECT_TRUE(in.done());
  return values;
}

template <class S>
void check_random_deltas() {
  std::mt19937_64 random(7);
  for (int round = 0; round < 500; ++round) {
    std::vector<S> values(random() % 400);
    const auto width = random() % (sizeof(S) * 8 + 1);
    const auto mask = width == 64 ? ~0ull : (1ull << width) - 1;
    for (auto& value : values) value = static_cast<S>(random() & mask);
    ParquetBuffer out;
    put_delta(out, values.data(), values.size());
    ASSERT_EQ(read_delta<S>(out.view()), values) << "round " << round << ", " << width << " bits";
  }
}

TEST(ParquetEncoding, DeltasOfAnyWidthReadBack) {
  check_random_deltas<std::int32_t>();
  check_random_deltas<std::int64_t>();
}

TEST(ParquetEncoding, IndicesOfAnyWidthReadBack) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 500; ++round) {
    const auto width = 1 + static_cast<unsigned>(random() % 20);
    std::vector<std::uint32_t> values;
    const auto wanted = random() % 2000;
    while (values.size() < wanted)
      values.insert(values.end(), random() % 3 == 0 ? random() % 200 : 1, static_cast<std::uint32_t>(random() & ((1u << width) - 1)));
    ParquetBuffer out;
    put_indices(out, values.data(), values.size(), width);
    Bits in(out.view());
    ASSERT_EQ(in.take(8), width);
    std::vector<std::uint32_t> read;
    while (!in.done()) {
      const auto header = in.varint();
      if (header & 1) {
        for (std::uint64_t k = 0; k < (header >> 1) * 8; ++k) read.push_back(static_cast<std::uint32_t>(in.take(width)));
      } else {
        const auto value = static_cast<std::uint32_t>(in.take((width + 7) / 8 * 8));
        read.insert(read.end(), header >> 1, value);
      }
    }
    ASSERT_GE(read.size(), values.size());
    ASSERT_LT(read.size(), values.size() + 8);  // the last group is filled up
    read.resize(values.size());
    ASSERT_EQ(read, values) << "round " << round << ", " << width << " bits";
  }
}

}  // namespace
}  // namespace headpond::bronze
