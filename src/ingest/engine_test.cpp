// Commits, crashes, fences and clocks.
#include "ingest/test_world.h"

namespace headpond::ingest {
namespace {

using testing::FakeSource;
using ::testing::HasSubstr;
using testing::IngestTest;
using testing::kSecond;

TEST_F(IngestTest, FirstCommitNamesTopicAndPartitionsThenRowsFollow) {
  produce(0, 5);
  produce(1, 3);
  must_open();
  ASSERT_EQ(steps().size(), 2u) << "the table's creation, then the naming";
  EXPECT_EQ(steps()[1].facts.topic->id, "id-1");
  EXPECT_EQ(steps()[1].facts.partitions.size(), 2u);
  must_run(2.5);
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(1).rows, 3);
  EXPECT_EQ(covered(1).last, 2);
  EXPECT_THAT(broker_.group_offsets, ::testing::ElementsAre(std::pair(0, 5), std::pair(1, 3)));
  const auto status = engine_->status();
  EXPECT_EQ(status.figures.at("rows"), 8);
  EXPECT_EQ(status.state, "running");
}

TEST_F(IngestTest, ResumesBehindTheTable) {
  produce(0, 5);
  must_open();
  must_run(1.5);
  produce(0, 4);
  must_open();
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 9);
}

TEST_F(IngestTest, DrainCommitsWhatWasTakenIn) {
  must_open();
  produce(0, 5);
  must_run(0.3);
  EXPECT_EQ(covered(0).rows, 0);
  ASSERT_TRUE(engine_->drain());
  EXPECT_EQ(covered(0).rows, 5);
  const auto cursors = bronze::read_statuses(store_, "bronze/logs");
  ASSERT_EQ(cursors->size(), 1u);
  EXPECT_EQ(cursors->front().state, "stopped");
}

TEST_F(IngestTest, MalformedRecordsAndTombstonesAreRows) {
  must_open();
  broker_.produce(0, "{\"status\":", clock_.now().value());
  broker_.produce(0, "", clock_.now().value());
  broker_.partitions[0].log.push_back({.payload = "", .timestamp_us = clock_.now().value(), .key = "k", .tombstone = true});
  produce(0, 1);
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 4);
  EXPECT_EQ(covered(0).errors, 2);
  EXPECT_EQ(engine_->status().figures.at("errors"), 2);
}

// Rows of many days are as many files at once. They are committed before the interval is over when they have taken their share of memory.
TEST_F(IngestTest, ABacklogOfManyDaysIsCommittedEarlyAndPiecemeal) {
  constexpr std::int64_t kDays = 320, kDay = 86'400;
  topology_.bronze.memory_bytes = 8 << 20;
  topology_.bronze.commit_interval = base::Duration::seconds(60);
  for (std::int64_t day = 0; day < kDays; ++day) {
    for (int i = 0; i < 128; ++i)
      broker_.produce(0, R"({"tenant":"t1","status":200})", clock_.now().value() - (kDays - day) * kDay * kSecond);
  }
  must_open();
  must_run(10);
  EXPECT_EQ(covered(0).rows, kDays * 128);
  std::size_t most = 0;
  for (const auto& step : steps()) most = std::max(most, step.files.size());
  EXPECT_LE(most, 100u);
  const auto commits = steps().size();
  produce(0, 1);
  must_run(45);
  EXPECT_EQ(steps().size(), commits) << "an early commit shortens no interval";
  must_run(10);
  EXPECT_EQ(steps().size(), commits + 1) << "nor does it lengthen one";
}

// A crash at any mutating call of the store, before or after it took effect, neither loses nor doubles a record.
TEST_F(IngestTest, ACrashAtAnyStepOfACommitLosesAndDoublesNothing) {
  std::int64_t crashes = 0;
  for (const auto fault : {env::Fault::kDieBefore, env::Fault::kDieAfter, env::Fault::kRefuse, env::Fault::kLostReply}) {
    for (std::int64_t k = 1; k <= 12; ++k) {
      store_.revive();
      must_open();
      store_.fail_at(k, fault);
      bool failed = false;
      for (int round = 0; round < 4 && !failed; ++round) {
        produce(0, 3);
        produce(1, 2);
        failed = !run(1).has_value();
      }
      crashes += failed ? 1 : 0;
      store_.revive();
      must_open();
      must_run(2.2);
      ASSERT_EQ(covered(0).rows, broker_.partitions[0].end()) << "fault " << static_cast<int>(fault) << " at call " << k;
      ASSERT_EQ(covered(1).rows, broker_.partitions[1].end());
    }
  }
  EXPECT_GT(crashes, 20);
}

TEST_F(IngestTest, TheSlowerOfTwoIngestersIsFencedAndNothingIsDoubled) {
  must_open();
  std::vector<std::unique_ptr<kafka::Source>> other_sources;
  other_sources.push_back(std::make_unique<FakeSource>(broker_));
  auto other = Engine::open_over(std::move(other_sources), topology_, world(), settings_);
  ASSERT_TRUE(other);
  produce(0, 5);
  must_run(1.5);
  const auto stepped = [&]() -> base::Result<void> {
    for (int i = 0; i < 40; ++i) TRY_VOID((*other)->step());
    return {};
  }();
  ASSERT_FALSE(stepped);
  EXPECT_EQ(stepped.error().kind, base::ErrorKind::kFenced);
  EXPECT_EQ(covered(0).rows, 5);
}

TEST_F(IngestTest, ClocksOfIdlePartitionsGoOnByHeartbeats) {
  produce(0, 1);
  must_open();
  must_run(3);
  const auto before = state(1).clock;
  ASSERT_TRUE(before);
  must_run(3);
  EXPECT_EQ(*state(1).clock - *before, base::Duration::seconds(3));
  // asked 100 ms before the cut, less max_clock_error
  EXPECT_LE((clock_.now() - *state(1).clock).value(), 1'700'000);
  EXPECT_TRUE(steps().back().files.empty());
}

TEST_F(IngestTest, ABacklogHoldsTheClockAtTheLastArrival) {
  produce(0, 10, 3600 * kSecond);
  must_open();
  source_->records_per_poll = 0;
  must_run(2.2);
  EXPECT_FALSE(state(0).clock) << "behind, with nothing read: no clock";
  source_->records_per_poll = 1;
  must_run(0.2);
  source_->records_per_poll = 0;
  must_run(1);
  ASSERT_TRUE(state(0).clock);
  EXPECT_GT((clock_.now() - *state(0).clock).value(), 3600 * kSecond);
}

TEST_F(IngestTest, NoRowIsBelowAPublishedClock) {
  must_open();
  must_run(3);
  const auto clock = *state(0).clock;
  produce(0, 3, 600 * kSecond);  // a producer with an old record time
  must_run(1.2);
  EXPECT_EQ(covered(0).rows, 3);
  EXPECT_GE(*state(0).clock, clock);
  for (const auto& step : steps()) {
    for (const auto& file : step.files) EXPECT_GE(file.arrival_min, clock);
  }
}

TEST_F(IngestTest, FutureTimesAreReplacedAndCounted) {
  must_open();
  broker_.produce(0, R"({"ts":"2099-01-01T00:00:00Z"})", clock_.now().value());
  broker_.produce(0, R"({"tenant":"t1"})", clock_.now().value() + 3600 * kSecond);
  must_run(1.5);
  EXPECT_EQ(engine_->status().figures.at("future_ts"), 1);
  EXPECT_EQ(engine_->status().figures.at("future_timestamps"), 1);
  for (const auto& step : steps()) {
    for (const auto& file : step.files) EXPECT_LE(file.ts_max, clock_.now());
  }
}

TEST_F(IngestTest, NoBrokerNoTable) {
  broker_.answers = false;
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, base::ErrorKind::kRetry);
  EXPECT_THAT(opened.error().message, HasSubstr("is it running?"));
  EXPECT_TRUE(memory_.list("")->empty());
}

}  // namespace
}  // namespace headpond::ingest
