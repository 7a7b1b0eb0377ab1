// What readers find in the files is tests/oracle/parquet_readers.py's business; here: when bytes go out, and what is said of them.
#include "bronze/parquet_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bronze/parquet_dictionary.h"

namespace headpond::bronze {
namespace {

struct Sink {
  std::string bytes;
  int appends = 0;
  bool closed = false;
  int fail_at = -1;  // the append that fails
};

class SinkStream final : public env::WriteStream {
 public:
  explicit SinkStream(Sink& sink) : sink_(sink) {}
  base::Result<void> append(std::string_view bytes) override {
    if (sink_.appends++ == sink_.fail_at) return base::fail(base::ErrorKind::kRetry, "disk full");
    sink_.bytes += bytes;
    return {};
  }
  base::Result<void> close() override {
    sink_.closed = true;
    return {};
  }

 private:
  Sink& sink_;
};

const std::vector<columns::ColumnSpec> kSpecs = {{"service", columns::Type::kString}, {"status", columns::Type::kInt32}};

void fill(columns::Batch& batch, std::size_t rows, std::string_view payload) {
  batch.reset();
  batch.source = "logs@0";
  for (std::size_t i = 0; i < rows; ++i) {
    const auto row = batch.begin_row(payload).index;
    batch.ts[row] = 1000 - static_cast<std::int64_t>(i);
    batch.arrival[row] = 2000 + static_cast<std::int64_t>(i);
    batch.kafka_partition[row] = static_cast<std::int32_t>(i % 3);
    batch.kafka_offset[row] = 50 + static_cast<std::int64_t>(i);
  }
}

TEST(ParquetWriter, NothingLeavesBeforeARowGroupIsFull) {
  Sink sink;
  columns::Batch batch(kSpecs);
  fill(batch, 100, "payload");
  auto writer = ParquetWriter::create(kSpecs, {.row_group_rows_max = 250}, std::make_unique<SinkStream>(sink));
  ASSERT_TRUE(writer->append(batch, 0, 100));
  ASSERT_TRUE(writer->append(batch, 0, 100));
  EXPECT_EQ(sink.bytes.size(), 0u);
  ASSERT_TRUE(writer->append(batch, 0, 100));
  EXPECT_EQ(sink.bytes.substr(0, 4), "PAR1");
  const auto first_group = sink.bytes.size();
  EXPECT_GT(first_group, 300u);
  EXPECT_EQ(writer->rows(), 300);
  EXPECT_FALSE(sink.closed);
  ASSERT_TRUE(writer->finish());
  EXPECT_FALSE(sink.closed);
  ASSERT_TRUE(writer->close());
  EXPECT_TRUE(sink.closed);
  EXPECT_EQ(sink.bytes.substr(sink.bytes.size() - 4), "PAR1");
}

TEST(ParquetWriter, ARowGroupClosesBySizeToo) {
  Sink sink;
  columns::Batch batch(kSpecs);
  std::string noise(300'000, '\0');
  std::uint64_t state = 1;
  for (auto& c : noise) c = static_cast<char>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
  fill(batch, 1, noise);
  auto writer = ParquetWriter::create(kSpecs, {.row_group_bytes_max = 1 << 20}, std::make_unique<SinkStream>(sink));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer->append(batch, 0, 1));
  EXPECT_EQ(sink.bytes.size(), 0u);
  ASSERT_TRUE(writer->append(batch, 0, 1));
  EXPECT_GT(sink.bytes.size(), 1'200'000u);
}

TEST(ParquetWriter, TotalsCoverExactlyTheRowsAppended) {
  Sink sink;
  columns::Batch batch(kSpecs);
  fill(batch, 100, "payload");
  auto writer = ParquetWriter::create(kSpecs, {}, std::make_unique<SinkStream>(sink));
  ASSERT_TRUE(writer->append(batch, 10, 20));
  ASSERT_TRUE(writer->append(batch, 40, 1));
  const auto totals = writer->finish();
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->rows, 21);
  EXPECT_EQ(totals->file_bytes, static_cast<std::int64_t>(sink.bytes.size()));
  const auto stats = nlohmann::json::parse(totals->delta_stats);
  EXPECT_EQ(stats.at("numRecords"), 21);
  EXPECT_EQ(stats.at("minValues").at("ts"), "1970-01-01T00:00:00.000960Z");
  EXPECT_EQ(stats.at("maxValues").at("ts"), "1970-01-01T00:00:00.000990Z");
  EXPECT_EQ(stats.at("minValues").at("arrival"), "1970-01-01T00:00:00.002010Z");
  EXPECT_EQ(stats.at("maxValues").at("arrival"), "1970-01-01T00:00:00.002040Z");
  EXPECT_EQ(stats.at("minValues").at("kafka_offset"), 60);
  EXPECT_EQ(stats.at("maxValues").at("kafka_offset"), 90);
  EXPECT_EQ(stats.at("minValues").at("kafka_partition"), 0);
  EXPECT_EQ(stats.at("maxValues").at("kafka_partition"), 2);
  EXPECT_EQ(stats.at("nullCount").at("raw"), 0);
  EXPECT_FALSE(stats.at("minValues").contains("raw"));
}

TEST(ParquetWriter, AFailedAppendReachesTheCaller) {
  Sink sink;
  sink.fail_at = 5;
  columns::Batch batch(kSpecs);
  fill(batch, 100, "payload");
  auto writer = ParquetWriter::create(kSpecs, {.row_group_rows_max = 100}, std::make_unique<SinkStream>(sink));
  const auto done = writer->append(batch, 0, 100);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, base::ErrorKind::kRetry);
  EXPECT_FALSE(sink.closed);
}

TEST(ParquetWriter, TheBatchIsAsItWas) {
  Sink sink;
  columns::Batch batch(kSpecs);
  fill(batch, 1000, "payload");
  const std::string before(batch.raw_page());
  auto writer = ParquetWriter::create(kSpecs, {}, std::make_unique<SinkStream>(sink));
  ASSERT_TRUE(writer->append(batch, 0, 1000));
  EXPECT_EQ(batch.raw_page(), before);
}

TEST(ParquetDictionary, GivesEqualValuesOneIndexAcrossGrowth) {
  StringDictionary strings;
  NumberDictionary<std::int64_t> numbers;
  for (int round = 0; round < 2; ++round)
    for (std::uint32_t i = 0; i < 5000; ++i) {
      ASSERT_EQ(strings.find_or_add("value-" + std::to_string(i)), i);
      ASSERT_EQ(numbers.find_or_add(static_cast<std::int64_t>(i) << 40), i);
    }
  EXPECT_EQ(strings[4321], "value-4321");
  EXPECT_EQ(strings.size(), 5000u);
  strings.clear();
  EXPECT_EQ(strings.find_or_add("value-1"), 0u);
}

}  // namespace
}  // namespace headpond::bronze
