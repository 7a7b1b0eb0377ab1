#include "columns/batch.h"

#include <gtest/gtest.h>

#include <cstring>

namespace headpond::columns {
namespace {

const std::vector<ColumnSpec> kSpecs = {{"service", Type::kString}, {"status", Type::kInt32}, {"duration_ms", Type::kDouble}};

TEST(Batch, PayloadsLieAsAParquetPlainPage) {
  Batch batch(kSpecs);
  EXPECT_EQ(batch.begin_row("abc").payload, "abc");
  batch.begin_row(std::string_view());  // a tombstone: no bytes at all
  batch.begin_row("");                  // an empty payload: present, of length 0
  batch.begin_row("de");
  using namespace std::string_view_literals;
  EXPECT_EQ(batch.raw_page(), "\3\0\0\0abc\0\0\0\0\2\0\0\0de"sv);
  EXPECT_EQ(batch.rows(), 4u);
  EXPECT_EQ((std::vector<int>{batch.raw_valid[0], batch.raw_valid[1], batch.raw_valid[2]}), (std::vector<int>{1, 0, 1}));
  EXPECT_EQ(batch.payload[1].data(), nullptr);
  EXPECT_NE(batch.payload[2].data(), nullptr);
  EXPECT_EQ(batch.bytes[3], 2);
}

TEST(Batch, ViewsStayValidUntilTheBatchIsFull) {
  Batch batch(kSpecs);
  const std::string payload(1000, 'x');
  std::vector<std::string_view> views;
  while (batch.fits(payload.size())) views.push_back(batch.begin_row(payload).payload);
  EXPECT_EQ(batch.rows(), Batch::kRowsMax);
  for (const auto view : views) ASSERT_EQ(view, payload);
}

TEST(Batch, IsFullByBytesBeforeRows) {
  Batch batch(kSpecs);
  const std::string payload(1 << 20, 'x');
  while (batch.fits(payload.size())) batch.begin_row(payload);
  EXPECT_EQ(batch.rows(), 7u);
  EXPECT_TRUE(batch.fits(100));
}

TEST(Batch, APayloadLargerThanTheTargetHasABatchOfItsOwn) {
  Batch batch(kSpecs);
  const std::string large(Batch::kRawBytesTarget + 12345, 'y');
  ASSERT_TRUE(batch.fits(large.size()));
  EXPECT_EQ(batch.begin_row(large).payload, large);
  EXPECT_FALSE(batch.fits(1));
  batch.reset();
  ASSERT_TRUE(batch.fits(1));
  batch.begin_row("a");
  EXPECT_FALSE(batch.fits(large.size()));
}

TEST(Batch, APayloadAsideIsRawOnlyWhenItIsKept) {
  Batch batch(kSpecs);
  EXPECT_EQ(batch.begin_row_aside("abc").payload, "abc");
  const auto bad = batch.begin_row_aside("xy");
  batch.keep_raw(bad.index, "xy");
  EXPECT_EQ(batch.begin_row_aside(std::string_view()).payload.data(), nullptr);
  using namespace std::string_view_literals;
  EXPECT_EQ(batch.raw_page(), "\2\0\0\0xy"sv);
  EXPECT_EQ((std::vector<int>{batch.raw_valid[0], batch.raw_valid[1], batch.raw_valid[2]}), (std::vector<int>{0, 1, 0}));
  EXPECT_EQ((std::vector<int>{batch.bytes[0], batch.bytes[1], batch.bytes[2]}), (std::vector<int>{3, 2, 0}));
  EXPECT_EQ(batch.payload[0].data(), nullptr);
  EXPECT_EQ(batch.payload[1], "xy");
  const std::string large(Batch::kRawBytesTarget / 2, 'z');  // what lies aside fills a batch as well
  ASSERT_TRUE(batch.fits(large.size()));
  batch.begin_row_aside(large);
  EXPECT_FALSE(batch.fits(large.size()));
  batch.reset();
  EXPECT_TRUE(batch.fits(large.size()));
}

TEST(Batch, ReadableBytesFollowTheLastPayload) {
  Batch batch(kSpecs);
  const std::string large(Batch::kRawBytesTarget + 1, 'y');
  const auto row = batch.begin_row(large);
  volatile char sum = 0;  // AddressSanitizer is the judge
  for (std::size_t i = 0; i < Batch::kPadding; ++i)
    sum = static_cast<char>(sum + (std::memcmp(row.payload.data() + large.size() + i, "", 1) != 0));
  for (std::size_t i = 0; i < Batch::kHeadroom; ++i) batch.raw_headroom()[i] = 'h';
  EXPECT_EQ(batch.raw_page().substr(4), large);
}

TEST(Batch, AResetBatchHasOnlyNulls) {
  Batch batch(kSpecs);
  batch.source = "logs@0";
  for (int i = 0; i < 3; ++i) {
    const auto row = batch.begin_row("abc").index;
    batch.declared[0].set_string(row, "web");
    batch.declared[1].set_int(row, 200);
    batch.declared[2].set_double(row, 1.5);
    batch.error[row] = batch.kafka_key[row] = batch.kafka_headers[row] = batch.arena.copy("bad");
    batch.kafka_timestamp[row] = 5;
    batch.record_index[row] = 7;
    batch.pattern_id_valid[row] = 1;
  }
  batch.reset();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.raw_page(), "");
  EXPECT_EQ(batch.source, "logs@0");
  for (int i = 0; i < 3; ++i) {
    const auto row = batch.begin_row("xy").index;
    for (const auto& column : batch.declared) EXPECT_EQ(column.valid[row], 0);
    for (const auto* column : {&batch.error, &batch.kafka_key, &batch.kafka_headers}) EXPECT_EQ((*column)[row].data(), nullptr);
    EXPECT_EQ(batch.kafka_timestamp[row], -1);
    EXPECT_EQ(batch.record_index[row], 0);
    EXPECT_EQ(batch.pattern_id_valid[row], 0);
  }
}

TEST(Arena, CopiesStayPutUntilReset) {
  Arena arena;
  std::vector<std::pair<std::string, std::string_view>> copies;
  for (std::size_t i = 0; i < 2000; ++i) {
    std::string text(i * 37 % 5000 + (i % 500 == 0 ? 100'000 : 0), static_cast<char>('a' + i % 26));
    copies.emplace_back(text, arena.copy(text));
  }
  for (const auto& [text, view] : copies) ASSERT_EQ(view, text);
  EXPECT_NE(arena.copy("").data(), nullptr);  // empty is not null
}

TEST(Arena, WhatIsLargerThanABlockLeavesNoBlockUnused) {
  Arena arena;
  std::size_t kept = 0;
  for (int round = 0; round < 10; ++round) {
    arena.reset();
    const auto large = arena.copy(std::string(200'000, 'x'));  // a message that began in another batch
    for (int i = 0; i < 10'000; ++i) arena.copy("0123456789abcdef0123456789abcdef");
    EXPECT_EQ(large, std::string(200'000, 'x'));
    EXPECT_EQ(arena.allocated(), 200'000u + 320'000u);
    if (round == 0) kept = arena.memory();
    EXPECT_EQ(arena.memory(), kept);
  }
  EXPECT_LT(kept, 400'000u);
}

TEST(Arena, UsesItsMemoryAgain) {
  Arena arena;
  const char* const first = arena.copy("abc").data();
  arena.reset();
  EXPECT_EQ(arena.copy("z").data(), first);
}

}  // namespace
}  // namespace headpond::columns
