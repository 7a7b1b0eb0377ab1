// Topics that were re-created, cut or lost their beginning; partitions that come later or fall silent.
#include "ingest/test_world.h"

namespace headpond::ingest {
namespace {

using ::testing::HasSubstr;
using testing::IngestTest;
using testing::kSecond;

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

TEST_F(IngestTest, ATopicReCreatedBetweenItsDescriptionAndTheTableIsNoReasonToStop) {
  broker_.topic_id = "id-2";
  must_open();  // another ingester, which has named the new one
  broker_.topic_ids = {"id-1"};
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, base::ErrorKind::kRetry) << opened.error().message;
  must_open();
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

TEST_F(IngestTest, EverythingThatRetentionTookIsNamedAtOnce) {
  produce(0, 1);
  produce(1, 1);
  must_open();
  must_run(1.5);
  produce(0, 4);
  produce(1, 4);
  broker_.partitions[0].start = 3;
  broker_.partitions[1].start = 2;
  must_open();
  const auto ran = run(1.5);
  ASSERT_FALSE(ran);
  EXPECT_THAT(ran.error().message, HasSubstr("topic 'logs' partition 0: offsets 1-2 (2 records), partition 1: offsets 1-1 (1 record) were "
                                             "deleted by the topic's retention before they were read, 3 records in all"));
}

TEST_F(IngestTest, ALogThatWasCutAndWrittenAnewStops) {
  produce(0, 5);
  must_open();
  must_run(1.5);
  source_->events.push_back({kafka::EventKind::kTruncated, base::PartitionId(0), base::Offset(-1), "truncation detected"});
  const auto ran = run(0.1);
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(ran.error().message, HasSubstr("the table is at offset 4, the broker's log was cut below that and written anew"));
}

TEST_F(IngestTest, TheEpochOfAPositionIsToldOnlyWhereARecordOfItWasHandedOver) {
  broker_.transactions = true;
  broker_.partitions[0].leader_epoch = broker_.partitions[1].leader_epoch = 4;
  produce(0, 3);
  produce(1, 3);
  must_open();
  must_run(1.5);
  broker_.hide(1);  // a marker, perhaps of epoch 5: asked where epoch 4 ended, the broker would name offset 3
  must_run(1.5);
  must_open();
  EXPECT_EQ(broker_.epochs[0], 4);
  EXPECT_EQ(broker_.epochs[1], -1);
}

TEST_F(IngestTest, WhatIsHandedOverBehindAnErrorDoesNotCoverItUp) {
  broker_.transactions = true;
  produce(0, 3);
  must_open();
  must_run(1.5);
  produce(0, 4);
  broker_.partitions[0].start = 5;
  broker_.hide(1);
  produce(1, 1);  // a gap to be fetched again, in the same poll
  must_open();
  const auto ran = run(1.5);
  ASSERT_FALSE(ran);
  EXPECT_THAT(ran.error().message, HasSubstr("deleted by the topic's retention"));
}

TEST_F(IngestTest, ALossAcceptedBeforeAnyRowGivesNoClock) {
  settings_.accept_loss = true;
  produce(0, 10);
  must_open();
  broker_.partitions[0].start = broker_.partitions[0].stable = 5;  // from 5 on they wait for a transaction
  must_run(2.5);
  EXPECT_FALSE(state(0).clock);
  broker_.partitions[0].stable = 10;
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(0).gaps, 5);
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

TEST_F(IngestTest, StartAtATimePassesOverWhatIsOlderAndItsClockIsThatTime) {
  topology_.source.start = spec::StartAt::kTime;
  topology_.source.start_time = clock_.now() - base::Duration::seconds(60);
  produce(0, 6, 90 * kSecond);
  produce(0, 2, 30 * kSecond);
  produce(1, 3, 90 * kSecond);  // nothing as new as that: from its end on
  must_open();
  EXPECT_EQ(state(0).position.value(), 5);
  EXPECT_EQ(*state(0).clock, topology_.source.start_time - topology_.bronze.max_clock_error);
  EXPECT_EQ(state(1).position.value(), 2);
  EXPECT_EQ(*state(1).clock, clock_.now() - topology_.bronze.max_clock_error);
  produce(1, 1);
  must_run(1.5);
  EXPECT_EQ(covered(0).rows, 2);
  EXPECT_EQ(covered(0).gaps, 6);
  EXPECT_THAT(covered(0).gap_kinds, ::testing::ElementsAre("before start"));
  EXPECT_EQ(covered(1).rows, 1);
  EXPECT_EQ(covered(1).gaps, 3);
}

TEST_F(IngestTest, AStartInTheFutureIsRefused) {
  topology_.source.start = spec::StartAt::kTime;
  topology_.source.start_time = clock_.now() + base::Duration::seconds(60);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(opened.error().message, HasSubstr("lies in the future; say latest"));
}

TEST_F(IngestTest, LagIsNotToldBeforeTheEndOfEveryPartitionIs) {
  produce(0, 3);
  must_open();
  EXPECT_FALSE(engine_->status().figures.contains("kafka_lag"));
  must_run(0.5);
  EXPECT_FALSE(engine_->status().figures.contains("kafka_lag"));
  must_run(2);
  EXPECT_EQ(engine_->status().figures.at("kafka_lag"), 0);
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

}  // namespace
}  // namespace headpond::ingest
