// The whole engine over a fake broker, clock and store.
#include "ingest/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bronze/cursor.h"
#include "bronze/tail.h"
#include "env/fake.h"
#include "ingest/fake_broker.h"

namespace headpond::ingest {
namespace {

using testing::FakeBroker;
using testing::FakeSource;
using ::testing::HasSubstr;

constexpr std::int64_t kSecond = 1'000'000;

spec::Topology topology() {
  spec::Topology t;
  t.name = "acme";
  t.source.topic = "logs";
  t.source.brokers = "fake:1";
  t.bronze.ts = {.place = {}, .name = "ts", .from = {"/ts"}, .type = "timestamp", .default_value = {}};
  t.bronze.columns = {{.place = {}, .name = "tenant", .from = {"/tenant"}, .type = "string", .default_value = {}},
                      {.place = {}, .name = "status", .from = {"/status"}, .type = "int32", .default_value = {}}};
  return t;
}

struct Covered {
  std::int64_t rows = 0, gaps = 0, errors = 0;
  std::int64_t last = -1;
  std::vector<std::string> gap_kinds;
};

class IngestTest : public ::testing::Test {
 protected:
  World world() { return {store_, {"", "bronze/logs"}, clock_, random_, failpoints_}; }

  base::Result<void> open() {
    auto source = std::make_unique<FakeSource>(broker_);
    source_ = source.get();
    engine_.reset();
    auto engine = Engine::open_over(std::move(source), topology_, world(), settings_);
    if (!engine) return std::unexpected(engine.error());
    engine_ = std::move(*engine);
    return {};
  }
  void must_open() {
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  // Lets `seconds` pass in small steps. The first error ends it.
  base::Result<void> run(double seconds) {
    for (std::int64_t t = 0; t < static_cast<std::int64_t>(seconds * 20); ++t) {
      clock_.advance(base::Duration::millis(50));
      const auto stepped = engine_->step();
      if (!stepped) return std::unexpected(stepped.error());
    }
    return {};
  }
  void must_run(double seconds) {
    const auto ran = run(seconds);
    ASSERT_TRUE(ran) << ran.error().message;
  }
  void produce(int partition, int count, std::int64_t age = 0) {
    for (int i = 0; i < count; ++i) broker_.produce(partition, R"({"tenant":"t1","status":200})", clock_.now().value() - age);
  }

  std::vector<bronze::Step> steps() {
    std::vector<bronze::Step> all;
    auto tail = bronze::Tail::open(memory_, "bronze/logs", base::Version(-1));
    EXPECT_TRUE(tail) << tail.error().message;
    while (true) {
      auto step = tail->next();
      EXPECT_TRUE(step) << step.error().message;
      if (!step || !*step) return all;
      all.push_back(std::move(**step));
    }
  }
  // What the table covers of a partition; every range must follow the one before.
  Covered covered(int partition, const std::string& source = "logs@0") {
    Covered sum;
    for (const auto& step : steps()) {
      for (const auto& batch : step.facts.batches) {
        if (batch.source != source) continue;
        bool here = false;
        for (const auto& range : batch.ranges) {
          if (range.partition.value() != partition) continue;
          EXPECT_EQ(range.first.value(), sum.last + 1);
          sum.last = range.last.value();
          sum.rows += range.rows;
          sum.gaps += range.gaps;
          sum.errors += range.errors;
          here = true;
        }
        if (here) sum.gap_kinds.insert(sum.gap_kinds.end(), batch.gap_kinds.begin(), batch.gap_kinds.end());
      }
    }
    return sum;
  }
  bronze::PartitionState state(int partition, const std::string& source = "logs@0") {
    return steps().back().clock.partitions().at({source, base::PartitionId(partition)});
  }

  env::FakeClock clock_;
  env::SeededRandom random_;
  env::FakeFailpoints failpoints_;
  env::MemoryStore memory_{&clock_};
  env::FaultyStore store_{memory_};
  spec::Topology topology_ = topology();
  Settings settings_;
  FakeBroker broker_{2};
  FakeSource* source_ = nullptr;
  std::unique_ptr<Engine> engine_;
};

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
  auto other_source = std::make_unique<FakeSource>(broker_);
  auto other = Engine::open_over(std::move(other_source), topology_, world(), settings_);
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

TEST_F(IngestTest, AGapWithinASessionOfATransactionalTopicIsRecorded) {
  broker_.transactions = true;
  produce(0, 3);
  broker_.hide(0);  // a commit marker
  produce(0, 2);
  broker_.hide(0, 4);  // an aborted transaction
  produce(0, 1);
  must_open();
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 6);
  EXPECT_EQ(covered(0).gaps, 5);
  EXPECT_THAT(covered(0).gap_kinds, ::testing::UnorderedElementsAre("aborted", "control"));
  EXPECT_EQ(broker_.fetches, 2) << "no second fetch is needed inside a session";
}

TEST_F(IngestTest, APartitionThatEndsInACommitMarkerHasItsPositionBehindIt) {
  broker_.transactions = true;
  produce(0, 3);
  broker_.hide(0);
  must_open();
  must_run(2.5);
  EXPECT_EQ(state(0).position.value(), 3);
  EXPECT_LE((clock_.now() - *state(0).clock).value(), 1'700'000) << "the log end is the position, so the clock goes on";
}

TEST_F(IngestTest, AGapInFrontOfTheFirstRecordIsFetchedTwice) {
  broker_.transactions = true;
  produce(0, 3);
  must_open();
  must_run(1.5);
  broker_.hide(0);
  produce(0, 2);
  const int before = broker_.fetches;
  must_open();
  must_run(1.5);
  EXPECT_EQ(broker_.fetches, before + 3) << "two assignments, one of them fetched again";
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(0).gaps, 1);
}

TEST_F(IngestTest, AGapAcrossALeaderChangeOrABrokenConnectionIsFetchedTwice) {
  broker_.transactions = true;
  produce(0, 3);
  must_open();
  must_run(1.5);
  const int before = broker_.fetches;
  broker_.hide(0);
  produce(0, 1);
  broker_.partitions[0].leader_epoch = 1;
  must_run(1.5);
  EXPECT_EQ(broker_.fetches, before + 1);
  source_->events.push_back({kafka::EventKind::kInterrupted, base::PartitionId(-1), base::Offset(-1), "connection reset"});
  must_run(0.1);
  broker_.hide(0);
  produce(0, 1);
  must_run(1.5);
  EXPECT_EQ(broker_.fetches, before + 2);
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(0).gaps, 2);
}

TEST_F(IngestTest, AClientThatSkipsIsCaughtByTheSecondFetch) {
  broker_.transactions = true;
  produce(0, 5);
  must_open();
  source_->skip_once = {{0, 0}, {0, 1}};
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(0).gaps, 0);
}

TEST_F(IngestTest, AGapOnAPlainTopicStopsItsPartitionAndNamesItStalled) {
  produce(0, 3);
  broker_.hide(0, 2);
  produce(0, 2);
  produce(1, 2);
  must_open();
  must_run(2.5);
  produce(1, 2);
  must_run(11);
  EXPECT_EQ(covered(0).rows, 3);
  EXPECT_EQ(covered(0).gaps, 0);
  EXPECT_EQ(covered(1).rows, 4);
  EXPECT_EQ(state(0).stalled, "stopped: offsets 3-4 are missing, twice, on a topic with neither transactions nor compaction");
  EXPECT_THAT(engine_->status().message, HasSubstr("offsets 3-4 are missing"));
}

TEST_F(IngestTest, ATopicThatHasBecomeTransactionalMayHaveGaps) {
  must_open();
  must_run(1);
  broker_.transactions = true;  // not yet known
  produce(0, 3);
  broker_.hide(0);
  produce(0, 2);
  must_run(2);
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(0).gaps, 1);
}

TEST_F(IngestTest, AReCreatedTopicStopsWithBothIdsAndTheMend) {
  produce(0, 3);
  must_open();
  must_run(1.5);
  broker_.topic_id = "id-2";
  broker_.partitions[0].log.clear();
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(opened.error().message, HasSubstr("id-1"));
  EXPECT_THAT(opened.error().message, HasSubstr("id-2"));
  EXPECT_THAT(opened.error().message, HasSubstr("generation: 1"));
  topology_.source.generation = 1;
  produce(0, 2);
  must_open();
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 3);
  EXPECT_EQ(covered(0, "logs@1").rows, 2);
  EXPECT_FALSE(state(0).in_force);
}

TEST_F(IngestTest, ATopicReCreatedWhileRunningStops) {
  must_open();
  broker_.topic_id = "id-2";
  const auto ran = run(12);
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(ran.error().message, HasSubstr("re-created"));
}

TEST_F(IngestTest, ALogThatEndsBelowThePositionStops) {
  produce(0, 5);
  must_open();
  must_run(1.5);
  broker_.partitions[0].log.resize(2);
  must_open();
  const auto ran = run(1.5);
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(ran.error().message, HasSubstr("the table is at offset 4, the broker's log ends at 2"));
}

TEST_F(IngestTest, ALeaderEpochThatGoesBackStops) {
  broker_.partitions[0].leader_epoch = 7;
  produce(0, 2);
  must_open();
  must_run(1.5);
  EXPECT_EQ(state(0).leader_epoch, 7);
  broker_.partitions[0].leader_epoch = 3;
  produce(0, 1);
  must_open();
  const auto ran = run(1.5);
  ASSERT_FALSE(ran);
  EXPECT_THAT(ran.error().message, HasSubstr("leader epoch 7"));
}

TEST_F(IngestTest, LossByRetentionStopsAndSaysWhatIsMissing) {
  produce(0, 3);
  must_open();
  must_run(1.5);
  produce(0, 4);
  broker_.partitions[0].start = 5;
  must_open();
  const auto ran = run(1.5);
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(ran.error().message, HasSubstr("offsets 3-4 (2 records) were deleted by the topic's retention"));
  settings_.accept_loss = true;
  must_open();
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(0).gaps, 2);
  EXPECT_THAT(covered(0).gap_kinds, ::testing::ElementsAre("retention (accepted)"));
}

TEST_F(IngestTest, ATopicWhoseBeginningIsGoneStartsWhereItBegins) {
  produce(0, 6);
  broker_.partitions[0].start = 4;
  broker_.partitions[1].start = 3;  // and empty
  broker_.partitions[1].log.resize(3);
  must_open();
  must_run(2.5);
  EXPECT_EQ(covered(0).rows, 2);
  EXPECT_EQ(covered(0).gaps, 4);
  EXPECT_EQ(covered(1).gaps, 3);
  EXPECT_TRUE(state(1).clock);
}

TEST_F(IngestTest, StartLatestPassesOverWhatIsThereAndSaysSo) {
  topology_.source.start = spec::StartAt::kLatest;
  produce(0, 6);
  must_open();
  produce(0, 2);
  produce(1, 1);
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 2);
  EXPECT_EQ(covered(0).gaps, 6);
  produce(1, 1);
  must_open();  // not from the end again
  must_run(1.5);
  EXPECT_EQ(covered(1).rows, 2);
}

TEST_F(IngestTest, APartitionAddedLaterIsNamedAndReadFromItsBeginning) {
  must_open();
  must_run(3);
  broker_.partitions[2];
  produce(2, 4, 3600 * kSecond);
  must_run(14);
  EXPECT_EQ(covered(2).rows, 4);
}

TEST_F(IngestTest, SilentAndStalledAreDifferentFacts) {
  produce(0, 1);
  must_open();
  must_run(12);
  EXPECT_FALSE(state(0).stalled) << "silent: the clock goes on";
  broker_.partitions[0].has_leader = false;
  must_run(9);
  EXPECT_FALSE(state(0).stalled);
  must_run(13);
  EXPECT_EQ(state(0).stalled, "no leader");
  EXPECT_FALSE(state(1).stalled);
  EXPECT_EQ(engine_->status().figures.at("stalled_partitions"), 1);
  broker_.partitions[0].has_leader = true;
  must_run(2.5);
  EXPECT_FALSE(state(0).stalled) << "its clock has moved";
}

TEST_F(IngestTest, AnOpenTransactionStallsByName) {
  broker_.transactions = true;
  produce(0, 2);
  must_open();
  must_run(1.5);
  broker_.partitions[0].stable = 2;
  produce(0, 3);
  must_run(14);
  EXPECT_EQ(state(0).stalled, "open transaction");
  broker_.partitions[0].stable = INT64_MAX;
  must_run(2.5);
  EXPECT_FALSE(state(0).stalled);
  EXPECT_EQ(covered(0).rows, 5);
}

TEST_F(IngestTest, ABrokerThatFallsSilentStallsEverything) {
  must_open();
  must_run(2);
  broker_.answers = false;
  must_run(14);
  EXPECT_EQ(state(0).stalled, "no broker answers");
  EXPECT_EQ(state(1).stalled, "no broker answers");
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
