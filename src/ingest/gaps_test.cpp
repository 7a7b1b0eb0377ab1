// Which missing offsets are gaps, and which stop a partition.
#include "ingest/test_world.h"

namespace headpond::ingest {
namespace {

using ::testing::HasSubstr;
using testing::IngestTest;

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

}  // namespace
}  // namespace headpond::ingest
