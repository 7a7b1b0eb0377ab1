#include "bronze/writer.h"

#include <gtest/gtest.h>

#include "bronze/audit.h"
#include "bronze/test_world.h"

namespace headpond::bronze {
namespace {

using base::ErrorKind;
using base::Micros;
using base::Offset;
using base::PartitionId;
using base::Version;
using testing::add_rows;
using testing::clock_at;
using testing::kNow;
using testing::kSource;
using testing::part;
using testing::TestWorld;

class WriterTest : public ::testing::Test {
 protected:
  std::unique_ptr<Writer> open(const WriterOptions& options = {}) {
    auto writer = world_.open(options);
    EXPECT_TRUE(writer) << writer.error().message;
    return writer ? std::move(*writer) : nullptr;
  }
  void append(Writer& writer, int partition, std::int64_t first, int count, std::int64_t arrival = kNow) {
    columns::Batch batch(world_.spec.declared);
    add_rows(batch, partition, first, count, arrival);
    const auto done = writer.append(batch);
    ASSERT_TRUE(done) << done.error().message;
  }
  Version commit(Writer& writer, const CommitRequest& request = {}) {
    const auto done = writer.commit(request);
    EXPECT_TRUE(done) << done.error().message;
    return done ? done->version : Version(-2);
  }
  std::vector<Step> steps() {
    auto all = testing::all_steps(world_.memory);
    EXPECT_TRUE(all) << all.error().message;
    return all ? std::move(*all) : std::vector<Step>{};
  }
  CommitRequest first_request() {
    CommitRequest request;
    request.topic = Topic{"logs", "id-A", 0};
    request.partitions = {part(0), part(1)};
    return request;
  }
  TestWorld world_;
};

TEST_F(WriterTest, CreatesATableThatOnlyHeadpondMayWrite) {
  const auto writer = open();
  EXPECT_EQ(writer->version(), Version(0));
  const auto commit = delta::Table(world_.store, "bronze/logs").read(Version(0));
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ(commit->protocol->min_reader_version, 1);
  EXPECT_EQ(commit->protocol->min_writer_version, 7);
  EXPECT_EQ(commit->protocol->writer_features, std::vector<std::string>{"headpond"});
  EXPECT_EQ(commit->metadata->partition_columns, std::vector<std::string>{"ingest_date"});
  EXPECT_TRUE(commit->metadata->configuration.empty());  // delta.appendOnly stays unset
  EXPECT_EQ(commit->metadata->schema.back().name, "ingest_date");
}

TEST_F(WriterTest, PublishesRowsPositionsClocksAndFingerprintsAsOneVersion) {
  const auto writer = open();
  append(*writer, 0, 0, 5);
  append(*writer, 1, 0, 2);
  EXPECT_EQ(writer->staged_rows(), 7);
  const auto result = writer->commit(first_request());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->version, Version(1));
  EXPECT_EQ(result->rows, 7);
  EXPECT_EQ(result->bytes, 7 * 13);
  EXPECT_EQ(writer->staged_rows(), 0);

  const auto commit = delta::Table(world_.store, "bronze/logs").read(Version(1));
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_TRUE(commit->blind_append);
  ASSERT_EQ(commit->txns.size(), 2u);
  EXPECT_EQ(commit->txns[0].app_id, "acme-logs-logs@0-0");
  EXPECT_EQ(commit->txns[0].version, 4);
  ASSERT_EQ(commit->adds.size(), 1u);
  EXPECT_EQ(commit->adds[0].tags.at("headpond.versions"), "1-1");
  EXPECT_EQ(commit->adds[0].partition_values.at("ingest_date"), "2026-11-18");

  const auto step = steps().at(1);
  ASSERT_EQ(step.files.size(), 1u);
  EXPECT_EQ(step.files[0].rows, 7);
  EXPECT_EQ(step.files[0].arrival_min, Micros(kNow));
  EXPECT_EQ(step.files[0].arrival_max, Micros(kNow + 4000));
  EXPECT_EQ(world_.memory.head("bronze/logs/" + step.files[0].path)->size, step.files[0].size);
  ASSERT_EQ(step.facts.batches.size(), 1u);
  const auto& batch = step.facts.batches[0];
  EXPECT_EQ(batch.files, std::vector<std::string>{step.files[0].path});
  EXPECT_EQ(batch.writer, "ingest");
  ASSERT_EQ(batch.ranges.size(), 2u);
  EXPECT_EQ(batch.ranges[0].rows, 5);
  EXPECT_EQ(batch.ranges[0].errors, 1);  // offset 4
  std::uint64_t expected = 0, payloads = 0;
  for (int offset = 0; offset < 5; ++offset) {
    const auto tenant = "tenant" + std::to_string(offset % 2);
    expected += row_fingerprint(kSource, 0, offset, 0, offset % 3 == 0 ? std::string_view() : tenant, 13);
    payloads += payload_fingerprint(offset, R"({"p":0,"o":)" + std::to_string(offset) + "}");
  }
  EXPECT_EQ(batch.ranges[0].fingerprint, expected);
  EXPECT_EQ(batch.ranges[0].payload_fingerprint, payloads);
  ASSERT_EQ(batch.seconds.size(), 1u);
  EXPECT_EQ(batch.seconds[0].second, kNow / 1'000'000);
  EXPECT_EQ(batch.seconds[0].rows, 7);
  EXPECT_EQ(step.clock.partitions().at(part(0)).clock, Micros(kNow + 4000));  // arrival of the last covered record
  EXPECT_EQ(step.clock.topic()->id, "id-A");
  EXPECT_EQ(writer->table_clock().positions(), step.clock.positions());
}

TEST_F(WriterTest, AnEmptyTenantIsNotTheAbsenceOfOne) {
  const auto writer = open();
  columns::Batch batch(world_.spec.declared);
  add_rows(batch, 0, 0, 1, kNow);  // offset 0 has no tenant
  batch.declared[1].set_string(0, {});
  ASSERT_TRUE(writer->append(batch));
  commit(*writer, first_request());
  EXPECT_EQ(steps().at(1).facts.batches[0].ranges[0].fingerprint, row_fingerprint(kSource, 0, 0, 0, "", 13));
}

TEST_F(WriterTest, SplitsAtMidnightIntoTwoFilesAndAtQuarterHoursIntoRanges) {
  const auto writer = open();
  const std::int64_t midnight = 1'795'046'400'000'000;
  columns::Batch batch(world_.spec.declared);
  add_rows(batch, 0, 0, 4, midnight - 1'000'000, 500'000);  // two before, two from midnight on
  add_rows(batch, 1, 0, 1, midnight - 16 * 60'000'000ll);
  ASSERT_TRUE(writer->append(batch));
  commit(*writer, first_request());
  const auto step = steps().at(1);
  ASSERT_EQ(step.files.size(), 2u);
  EXPECT_EQ(step.files[0].ingest_date, "2026-11-18");
  EXPECT_EQ(step.files[0].rows, 3);
  EXPECT_EQ(step.files[1].ingest_date, "2026-11-19");
  EXPECT_EQ(step.files[1].arrival_min, Micros(midnight));
  const auto& ranges = step.facts.batches[0].ranges;
  ASSERT_EQ(ranges.size(), 3u);
  EXPECT_EQ(ranges[0].last, Offset(1));
  EXPECT_EQ(ranges[1].first, Offset(2));
  EXPECT_EQ(ranges[1].quarter, midnight / 900'000'000);
  EXPECT_EQ(ranges[0].quarter, ranges[1].quarter - 1);
  EXPECT_EQ(ranges[2].quarter, ranges[1].quarter - 2);
}

TEST_F(WriterTest, RowGroupsStreamOutWhileTheSecondFills) {
  WriterOptions options;
  options.row_group_rows_max = 4;
  auto writer = Writer::open(world_.spec, options, world_.seams());
  ASSERT_TRUE(writer);
  append(**writer, 0, 0, 5);
  world_.store.refuse("bronze/logs/ingest_date=");
  columns::Batch batch(world_.spec.declared);
  add_rows(batch, 0, 5, 5, kNow + 5000);
  const auto refused = (*writer)->append(batch);
  ASSERT_FALSE(refused);  // so the row group went out before commit()
  EXPECT_EQ(refused.error().kind, ErrorKind::kRetry);
}

TEST_F(WriterTest, RecordsLegalGapsWithTheirKinds) {
  const auto writer = open();
  writer->declare_gap(kSource, PartitionId(0), Offset(0), Offset(99), "before start", Micros(kNow - 3'600'000'000));
  append(*writer, 0, 100, 2);
  writer->declare_gap(kSource, PartitionId(0), Offset(102), Offset(102), "control", Micros(kNow + 2000));
  commit(*writer, first_request());
  const auto step = steps().at(1);
  const auto& batch = step.facts.batches[0];
  ASSERT_EQ(batch.ranges.size(), 1u);
  EXPECT_EQ(batch.ranges[0].first, Offset(0));
  EXPECT_EQ(batch.ranges[0].last, Offset(102));
  EXPECT_EQ(batch.ranges[0].rows, 2);
  EXPECT_EQ(batch.ranges[0].gaps, 101);
  EXPECT_EQ(batch.ranges[0].quarter, kNow / 900'000'000);  // that of the rows
  EXPECT_EQ(batch.gap_kinds, (std::vector<std::string>{"before start", "control"}));
}

TEST_F(WriterTest, AGapAloneMovesThePositionWithoutAFile) {
  const auto writer = open();
  writer->declare_gap(kSource, PartitionId(0), Offset(0), Offset(0), "control", Micros(kNow));
  auto request = first_request();
  request.clocks = {clock_at(0, kNow, 0)};
  EXPECT_EQ(commit(*writer, request), Version(1));
  const auto step = steps().at(1);
  EXPECT_TRUE(step.files.empty());
  EXPECT_EQ(step.clock.partitions().at(part(0)).position, Offset(0));
  EXPECT_EQ(step.clock.partitions().at(part(0)).clock, Micros(kNow));
}

TEST_F(WriterTest, HeartbeatsCarryClocksWithoutFiles) {
  const auto writer = open();
  commit(*writer, first_request());
  CommitRequest beat;
  beat.clocks = {clock_at(0, kNow, -1), clock_at(1, kNow + 1, -1)};
  EXPECT_EQ(commit(*writer, beat), Version(2));
  const auto step = steps().at(2);
  EXPECT_TRUE(step.files.empty());
  EXPECT_EQ(step.clock.smallest_unstalled(), Micros(kNow));
  EXPECT_EQ(world_.failpoints.hits["ingest.before_data_put"], 0);
}

TEST_F(WriterTest, AHeartbeatThatSaysNothingNewIsNoVersion) {
  const auto writer = open();
  commit(*writer, first_request());
  CommitRequest beat;
  beat.clocks = {clock_at(0, kNow, -1)};
  EXPECT_EQ(commit(*writer, beat), Version(2));
  EXPECT_EQ(commit(*writer, beat), Version(2));  // the same clock again
  beat.clocks = {clock_at(0, kNow - 5, -1)};
  EXPECT_EQ(commit(*writer, beat), Version(2));  // a clock never goes back
}

TEST_F(WriterTest, LeavesOutAClockWhosePositionIsNotTheTables) {
  const auto writer = open();
  commit(*writer, first_request());
  append(*writer, 0, 0, 3);
  CommitRequest request;
  request.clocks = {clock_at(0, kNow + 9'000'000, 1), clock_at(1, kNow, 7)};
  commit(*writer, request);
  const auto step = steps().at(2);
  EXPECT_EQ(step.clock.partitions().at(part(0)).clock, Micros(kNow + 2000));  // its last row's, not the one proven at offset 1
  EXPECT_EQ(step.clock.partitions().at(part(1)).clock, std::nullopt);
}

TEST_F(WriterTest, TakesTheCallersClockWhereItIsLaterThanTheLastRow) {
  const auto writer = open();
  append(*writer, 0, 0, 3);
  auto request = first_request();
  request.clocks = {clock_at(0, kNow + 9'000'000, 2)};
  commit(*writer, request);
  EXPECT_EQ(writer->table_clock().partitions().at(part(0)).clock, Micros(kNow + 9'000'000));
}

TEST_F(WriterTest, ReopensAtTheTablesPositions) {
  {
    const auto writer = open();
    append(*writer, 0, 0, 5);
    commit(*writer, first_request());
  }
  const auto writer = open();
  EXPECT_EQ(writer->version(), Version(1));
  EXPECT_EQ(writer->table_clock().partitions().at(part(0)).position, Offset(4));
  EXPECT_EQ(writer->table_clock().topic()->source(), kSource);
  append(*writer, 0, 5, 1, kNow + 10'000);
  EXPECT_EQ(commit(*writer, first_request()), Version(2));
  EXPECT_FALSE(steps().at(2).facts.topic);  // named once
}

TEST_F(WriterTest, PassesItsFailpointsInOrder) {
  std::vector<std::string> reached;
  world_.failpoints.on_reach = [&](std::string_view name) { reached.emplace_back(name); };
  const auto writer = open({.row_group_rows_max = 4});
  append(*writer, 0, 0, 3);
  EXPECT_TRUE(reached.empty());  // nothing of it has left the process
  append(*writer, 0, 3, 1, kNow + 10'000);
  commit(*writer, first_request());
  EXPECT_EQ(reached,
            (std::vector<std::string>{"ingest.mid_multipart", "ingest.before_data_put", "ingest.after_data_put", "ingest.after_log_put"}));
}

TEST_F(WriterTest, LanesAreOneCommitThatSaysWhatOneLaneWouldHaveSaid) {
  const auto rows_of = [&](int partition) {
    columns::Batch batch(testing::declared_columns());
    add_rows(batch, partition, 0, 20, kNow + partition * 500'000, 100'000);
    return batch;
  };
  const auto facts_with = [&](std::size_t lanes) {
    TestWorld world;
    auto writer = world.open({.lanes = lanes});
    EXPECT_TRUE(writer);
    std::vector<std::unique_ptr<Writer::Cut>> cuts;
    for (int p = 0; p < 4; ++p) EXPECT_TRUE((*writer)->stage(static_cast<std::size_t>(p) % lanes).append(rows_of(p)));
    (*writer)->stage(lanes - 1).declare_gap(kSource, PartitionId(4), Offset(0), Offset(2), "before start", Micros(kNow));
    for (std::size_t lane = 0; lane < lanes; ++lane) cuts.push_back((*writer)->stage(lane).cut());
    auto request = first_request();
    for (int p = 2; p < 5; ++p) request.partitions.push_back(part(p));
    const auto done = (*writer)->publish(std::move(cuts), request);
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->rows, 80);
    auto steps = *testing::all_steps(world.store);
    EXPECT_EQ(steps.back().files.size(), std::min<std::size_t>(lanes, 4));
    auto facts = steps.back().facts;
    EXPECT_EQ(facts.batches.at(0).files.size(), steps.back().files.size());
    EXPECT_EQ(facts.batches.at(0).ranges.size(), 5u);
    facts.batches.at(0).files.clear();
    facts.batches.at(0).txn_id.clear();
    return to_json(facts);
  };
  const auto one = facts_with(1);
  for (const std::size_t lanes : {2, 3, 6}) EXPECT_EQ(facts_with(lanes), one) << lanes;
}

TEST_F(WriterTest, ANewGenerationTakesOverFromTheOld) {
  const auto writer = open();
  append(*writer, 0, 0, 5);
  commit(*writer, first_request());
  CommitRequest next;
  next.topic = Topic{"logs", "id-B", 1};
  next.partitions = {part(0, "logs@1")};
  commit(*writer, next);
  EXPECT_FALSE(writer->table_clock().partitions().at(part(0)).in_force);
  EXPECT_EQ(writer->table_clock().topic()->id, "id-B");
  // A zombie of the old generation.
  append(*writer, 0, 5, 1, kNow + 10'000);
  const auto refused = writer->commit({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kFenced);
}

TEST_F(WriterTest, ABatchOfTheOldSourceCannotNameTheNewOne) {
  const auto writer = open();
  append(*writer, 0, 0, 5);
  commit(*writer, first_request());
  append(*writer, 0, 5, 1, kNow + 10'000);
  CommitRequest next;
  next.topic = Topic{"logs", "id-B", 1};
  next.partitions = {part(0, "logs@1")};
  const auto refused = writer->commit(next);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kFenced);
  EXPECT_NE(refused.error().message.find("this batch is of logs@0, the source in force is logs@1"), std::string::npos);
  EXPECT_EQ(steps().size(), 2u);
}

TEST_F(WriterTest, AfterAnErrorRefusesToGoOn) {
  const auto writer = open();
  append(*writer, 0, 0, 5);
  world_.store.fail_at(1, env::Fault::kRefuse);
  ASSERT_FALSE(writer->commit(first_request()));
  const auto again = writer->commit(first_request());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kRetry);
  EXPECT_NE(again.error().message.find("open the table again"), std::string::npos);
  EXPECT_EQ(steps().size(), 1u);
}

TEST_F(WriterTest, ARecreatedTopicStopsWithBothIdsAndTheMend) {
  const auto writer = open();
  commit(*writer, first_request());
  auto request = first_request();
  request.topic->id = "id-B";
  const auto refused = writer->commit(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  for (const auto* part_of_it : {"id-A", "id-B", "generation: 1"})
    EXPECT_NE(refused.error().message.find(part_of_it), std::string::npos) << refused.error().message;
}

TEST_F(WriterTest, TellsEachLeaderEpochOnce) {
  const auto writer = open();
  auto request = first_request();
  request.leader_epochs = {{part(0), 3}};
  EXPECT_EQ(commit(*writer, request), Version(1));
  EXPECT_EQ(commit(*writer, request), Version(1));
  EXPECT_EQ(writer->table_clock().partitions().at(part(0)).leader_epoch, 3);
}

}  // namespace
}  // namespace headpond::bronze
