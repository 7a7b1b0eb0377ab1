// What becomes rows of a record: OTLP messages of many log records, and payloads that are kept or not.
#include "bronze/audit.h"
#include "ingest/test_world.h"

namespace headpond::ingest {
namespace {

using testing::IngestTest;

std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  auto size = bytes.size();
  for (; size >= 0x80; size >>= 7) out += static_cast<char>(size | 0x80);
  return out + static_cast<char>(size) + std::string(bytes);
}
std::string otlp(std::string_view records) {
  return field(1, field(2, records));
}

class RecordsTest : public IngestTest {
 protected:
  void be_otlp() {
    topology_.source.encoding = spec::Encoding::kOtlpProto;
    topology_.bronze.ts.from = {"/time_unix_nano"};
    topology_.bronze.columns = {{.place = {}, .name = "tenant", .from = {"tenant"}, .type = "string", .default_value = {}}};
  }
  // The only range there is.
  bronze::Range range() {
    std::vector<bronze::Range> all;
    for (const auto& step : steps())
      for (const auto& batch : step.facts.batches) all.insert(all.end(), batch.ranges.begin(), batch.ranges.end());
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? bronze::Range{} : all.front();
  }
};

TEST_F(RecordsTest, AnOtlpMessageOfManyBatchesIsOneVersion) {
  be_otlp();
  std::string records;
  for (int i = 0; i < 20'000; ++i) records += field(2, "");
  const auto payload = otlp(records);
  broker_.produce(0, payload, clock_.now().value());
  must_open();
  must_run(2.5);
  const auto all = range();
  EXPECT_EQ(all.rows, 20'000);
  EXPECT_EQ(all.bytes, static_cast<std::int64_t>(payload.size()));
  EXPECT_EQ(all.last.value(), 0);
  EXPECT_EQ(all.errors, 0);
  EXPECT_EQ(all.payload_fingerprint, bronze::payload_fingerprint(0, payload));
}

TEST_F(RecordsTest, WithRawOfErrorsOnlyABrokenRecordKeepsItsPayload) {
  topology_.bronze.raw = spec::RawOf::kErrors;
  produce(0, 2);
  broker_.produce(0, "{broken", clock_.now().value());
  produce(0, 1);
  must_open();
  must_run(2.5);
  const auto all = range();
  EXPECT_EQ(all.rows, 4);
  EXPECT_EQ(all.errors, 1);
  EXPECT_EQ(all.bytes, 3 * static_cast<std::int64_t>(std::string_view(R"({"tenant":"t1","status":200})").size()) + 7);
  EXPECT_EQ(all.payload_fingerprint, bronze::payload_fingerprint(2, "{broken"));
}

TEST_F(RecordsTest, WithRawOfErrorsAMessageIsKeptForAnyOfItsLogRecords) {
  be_otlp();
  topology_.bronze.raw = spec::RawOf::kErrors;
  const auto good = otlp(field(2, "") + field(2, "")), bad = otlp(field(2, "") + field(2, "\x0a") + field(2, ""));
  broker_.produce(0, good, clock_.now().value());
  broker_.produce(0, bad, clock_.now().value());
  must_open();
  must_run(2.5);
  const auto all = range();
  EXPECT_EQ(all.rows, 5);
  EXPECT_EQ(all.errors, 1);
  EXPECT_EQ(all.payload_fingerprint, bronze::payload_fingerprint(1, bad));
}

TEST_F(RecordsTest, ANewColumnIsACommitOfItsOwnAndARetypedOneIsRefused) {
  produce(0, 1);
  must_open();
  must_run(1.5);
  const auto before = steps().size();
  const auto old = topology_.bronze.columns;
  topology_.bronze.columns.push_back({.place = {}, .name = "added", .from = {"/a"}, .type = "double", .default_value = {}});
  must_open();
  const auto after = steps();
  ASSERT_GT(after.size(), before);
  EXPECT_TRUE(after[before].facts.batches.empty());
  EXPECT_TRUE(after[before].facts.clocks.empty());
  topology_.bronze.columns.front().type = "int64";
  const auto refused = open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(refused.error().message, ::testing::AllOf(::testing::HasSubstr("column 'tenant' is string in the table"),
                                                        ::testing::HasSubstr("restore the type, or give the new one another name")));
  // One that is no longer declared stays in the table, null.
  topology_.bronze.columns = {old.front()};
  produce(0, 1);
  must_open();
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 2);
  EXPECT_EQ(steps().back().version.value(), static_cast<std::int64_t>(steps().size()) - 1);
}

}  // namespace
}  // namespace headpond::ingest
