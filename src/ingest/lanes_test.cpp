// One ingester with several lanes: what it commits is what one lane would have committed.
#include "ingest/lanes.h"

#include <set>

#include "env/worker.h"
#include "ingest/test_world.h"

namespace headpond::ingest {
namespace {

using ::testing::HasSubstr;
using testing::IngestTest;

class LanesTest : public IngestTest {
 protected:
  LanesTest() {
    lanes_ = 2;
    for (int id = 2; id < 5; ++id) broker_.partitions[id];
  }
  std::size_t versions_with_rows() {
    std::size_t count = 0;
    for (const auto& step : steps()) count += step.facts.batches.empty() ? 0 : 1;
    return count;
  }
};

TEST_F(LanesTest, RowsOfAllLanesAreOneCommitAndOneBatch) {
  must_open();
  for (int id = 0; id < 5; ++id) produce(id, 10 + id);
  must_run(1.2);
  const auto all = steps();
  const auto& last = all.back();
  ASSERT_EQ(last.facts.batches.size(), 1u);
  EXPECT_EQ(last.facts.batches[0].ranges.size(), 5u);
  EXPECT_EQ(last.files.size(), 2u);  // a lane's rows are a file of its own
  EXPECT_EQ(last.facts.batches[0].files.size(), 2u);
  std::int64_t rows = 0;
  for (const auto& second : last.facts.batches[0].seconds) rows += second.rows;
  EXPECT_EQ(rows, 60);
  for (int id = 0; id < 5; ++id) EXPECT_EQ(covered(id).rows, 10 + id);
}

TEST_F(LanesTest, PartitionsAreDealtEvenlyAndThoseThatComeGoToWhoHasFewest) {
  must_open();
  EXPECT_EQ(source_->assigned().size(), 3u);
  broker_.partitions[5];
  broker_.partitions[6];
  must_run(6);
  EXPECT_EQ(source_->assigned().size(), 4u);
  produce(5, 3);
  produce(6, 4);
  must_run(2);
  EXPECT_EQ(covered(5).rows, 3);
  EXPECT_EQ(covered(6).rows, 4);
}

TEST_F(LanesTest, OnThreadsNothingIsLostBetweenTheCuts) {
  workers_ = env::thread_worker;
  must_open();
  for (int round = 0; round < 40; ++round) {
    for (int id = 0; id < 5; ++id) produce(id, 50);
    must_run(0.25);
  }
  ASSERT_TRUE(engine_->drain());
  for (int id = 0; id < 5; ++id) {
    EXPECT_EQ(covered(id).rows, 2000) << id;
    EXPECT_EQ(covered(id).last, 1999) << id;
  }
  EXPECT_GT(versions_with_rows(), 1u);
}

TEST_F(LanesTest, TroubleOfALaneEndsTheEngine) {
  must_open();
  source_->events.push_back({kafka::EventKind::kRefused, base::PartitionId(0), base::Offset(-1), "Broker: Topic authorization failed"});
  const auto ran = run(0.2);
  ASSERT_FALSE(ran);
  EXPECT_THAT(ran.error().message, HasSubstr("partition 0: Broker: Topic authorization failed"));
}

TEST_F(LanesTest, ReopensWithAnotherNumberOfLanes) {
  must_open();
  for (int id = 0; id < 5; ++id) produce(id, 7);
  must_run(1.2);
  for (const int lanes : {1, 3, 5, 8}) {
    lanes_ = lanes;
    must_open();
    for (int id = 0; id < 5; ++id) produce(id, 1);
    must_run(1.2);
  }
  for (int id = 0; id < 5; ++id) EXPECT_EQ(covered(id).rows, 11);
}

TEST_F(LanesTest, AGapOfOneLaneIsInTheCommitOfAll) {
  broker_.transactions = true;
  produce(0, 5);
  broker_.hide(0);
  produce(0, 1);
  produce(1, 2);
  must_open();
  must_run(2);
  EXPECT_EQ(covered(0).rows, 6);
  EXPECT_EQ(covered(0).gaps, 1);
  EXPECT_EQ(covered(1).rows, 2);
}

}  // namespace
}  // namespace headpond::ingest
