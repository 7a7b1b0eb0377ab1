// Each test is one sentence of "Time" in docs/formats/bronze.md.
#include <gtest/gtest.h>

#include "bronze/facts.h"

namespace headpond::bronze {
namespace {

using base::ErrorKind;
using base::Micros;
using base::Offset;
using base::PartitionId;
using base::SourcePartition;

SourcePartition part(int id, const std::string& source = "logs@0") {
  return {source, PartitionId(id)};
}

CommitFacts naming(std::vector<SourcePartition> partitions) {
  CommitFacts facts;
  facts.partitions = std::move(partitions);
  return facts;
}
CommitFacts clocks(std::vector<PartitionClock> values) {
  CommitFacts facts;
  facts.clocks = std::move(values);
  return facts;
}
CommitFacts stalling(std::vector<Stalled> values) {
  CommitFacts facts;
  facts.stalled = std::move(values);
  return facts;
}
CommitFacts rows(int id, std::int64_t first, std::int64_t last, const std::string& source = "logs@0") {
  CommitFacts facts;
  facts.batches = {{.txn_id = "t", .writer = "w", .source = source, .files = {}, .ranges = {}, .seconds = {}, .gap_kinds = {}}};
  facts.batches[0].ranges = {{PartitionId(id), 0, Offset(first), Offset(last), last - first + 1, 0, 0, 0, 0, 0}};
  return facts;
}
PartitionClock at(int id, std::int64_t clock, std::int64_t position = -1, const std::string& source = "logs@0") {
  return {part(id, source), Micros(clock), Offset(position)};
}

class TableClockTest : public testing::Test {
 protected:
  void apply(const CommitFacts& facts) {
    const auto done = clock_.apply(facts);
    ASSERT_TRUE(done) << done.error().message;
  }
  void refused(const CommitFacts& facts, const std::string& why) {
    const auto done = clock_.apply(facts);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(done.error().message.find(why), std::string::npos) << done.error().message;
  }
  const PartitionState& state(int id, const std::string& source = "logs@0") { return clock_.partitions().at(part(id, source)); }
  TableClock clock_;
};

TEST_F(TableClockTest, NamesNothingBeforeTheFirstNamingCommit) {
  apply(CommitFacts{});
  EXPECT_EQ(clock_.smallest_unstalled(), std::nullopt);
  EXPECT_TRUE(clock_.positions().empty());
}

TEST_F(TableClockTest, APartitionWithoutAClockHoldsTheMinimum) {
  auto first = naming({part(0), part(1)});
  first.clocks = {at(0, 100)};
  apply(first);
  EXPECT_EQ(clock_.smallest_unstalled(), std::nullopt);
  apply(clocks({at(1, 70)}));
  EXPECT_EQ(clock_.smallest_unstalled(), Micros(70));
}

TEST_F(TableClockTest, ALaterPartitionStartsWithTheSmallestUnstalledClockOfTheVersionBefore) {
  apply(naming({part(0), part(1), part(2)}));
  apply(clocks({at(0, 100), at(1, 70), at(2, 10)}));
  apply(stalling({{part(2), "no leader"}}));
  auto grown = naming({part(3)});
  grown.clocks = {at(0, 500), at(1, 500)};  // this version's own clocks do not count
  apply(grown);
  EXPECT_EQ(state(3).clock, Micros(70));
  EXPECT_EQ(state(3).position, Offset(-1));
  EXPECT_TRUE(state(3).in_force);
  EXPECT_EQ(clock_.smallest_unstalled(), Micros(70));
}

TEST_F(TableClockTest, ALaterPartitionHasNoClockWhereTheVersionBeforeHadNone) {
  apply(naming({part(0)}));
  apply(naming({part(1)}));
  EXPECT_EQ(state(1).clock, std::nullopt);
}

TEST_F(TableClockTest, ANewGenerationTakesTheOldSourceOutOfForce) {
  auto first = naming({part(0), part(1)});
  first.topic = Topic{"logs", "A", 0};
  apply(first);
  apply(rows(0, 0, 9));
  apply(clocks({at(0, 100, 9), at(1, 40)}));
  auto next = naming({part(0, "logs@1")});
  next.topic = Topic{"logs", "B", 1};
  apply(next);
  EXPECT_FALSE(state(0).in_force);
  EXPECT_FALSE(state(1).in_force);
  EXPECT_TRUE(state(0, "logs@1").in_force);
  EXPECT_EQ(state(0, "logs@1").clock, Micros(40));
  EXPECT_EQ(clock_.topic()->generation, 1);
  apply(clocks({at(0, 90, -1, "logs@1")}));
  EXPECT_EQ(clock_.smallest_unstalled(), Micros(90));    // partition 1 of the old source holds nothing any more
  EXPECT_EQ(clock_.positions().at(part(0)), Offset(9));  // but what was covered stays known
  refused(rows(0, 10, 10), "no longer in force");
}

TEST_F(TableClockTest, AnotherPartitionOfTheSameSourceTakesNothingOutOfForce) {
  apply(naming({part(0)}));
  apply(naming({part(1)}));
  EXPECT_TRUE(state(0).in_force);
}

TEST_F(TableClockTest, AStalledPartitionLeavesTheMinimum) {
  auto first = naming({part(0), part(1)});
  first.clocks = {at(0, 100), at(1, 10)};
  apply(first);
  apply(stalling({{part(1), "no owner"}}));
  EXPECT_EQ(clock_.smallest_unstalled(), Micros(100));
  ASSERT_EQ(clock_.stalled().size(), 1u);
  EXPECT_EQ(clock_.stalled()[0].reason, "no owner");
}

TEST_F(TableClockTest, StalledLastsOverCommitsThatDoNotTouchThePartition) {
  auto first = naming({part(0), part(1)});
  first.clocks = {at(0, 100), at(1, 10)};
  apply(first);
  apply(stalling({{part(1), "no owner"}}));
  apply(rows(0, 0, 5));
  apply(clocks({at(0, 200, 5), at(1, 10)}));  // the same clock again is no change
  EXPECT_TRUE(state(1).stalled);
}

TEST_F(TableClockTest, AChangeOfPositionLiftsStalled) {
  apply(naming({part(0)}));
  apply(stalling({{part(0), "no owner"}}));
  apply(rows(0, 0, 0));
  EXPECT_FALSE(state(0).stalled);
}

TEST_F(TableClockTest, AChangeOfClockLiftsStalled) {
  apply(naming({part(0)}));
  apply(stalling({{part(0), "no owner"}}));
  apply(clocks({at(0, 1)}));
  EXPECT_FALSE(state(0).stalled);
  EXPECT_EQ(clock_.smallest_unstalled(), Micros(1));
}

TEST_F(TableClockTest, WhatMovesInTheVeryVersionThatNamesItIsNotStalled) {
  apply(naming({part(0)}));
  auto both = rows(0, 0, 0);
  both.stalled = {{part(0), "no owner"}};
  apply(both);
  EXPECT_FALSE(state(0).stalled);
}

TEST_F(TableClockTest, IfEveryPartitionInForceIsStalledNothingSettles) {
  auto first = naming({part(0)});
  first.clocks = {at(0, 100)};
  apply(first);
  apply(stalling({{part(0), "no leader"}}));
  EXPECT_EQ(clock_.smallest_unstalled(), std::nullopt);
}

TEST_F(TableClockTest, AClockNeverGoesBack) {
  auto first = naming({part(0)});
  first.clocks = {at(0, 100)};
  apply(first);
  refused(clocks({at(0, 99)}), "goes back from 100 to 99");
}

TEST_F(TableClockTest, AClockIsValidOnlyWhileItsPositionIsTheTables) {
  apply(naming({part(0)}));
  apply(rows(0, 0, 9));
  refused(clocks({at(0, 50, 8)}), "proven at offset 8, the table is at 9");
}

TEST_F(TableClockTest, AClockMayBeProvenAtThePositionItsOwnCommitReaches) {
  auto first = naming({part(0)});
  first.batches = rows(0, 0, 9).batches;
  first.clocks = {at(0, 50, 9)};
  apply(first);
  EXPECT_EQ(state(0).clock, Micros(50));
}

TEST_F(TableClockTest, RangesFollowOneAnother) {
  apply(naming({part(0)}));
  apply(rows(0, 0, 9));
  apply(rows(0, 10, 10));
  EXPECT_EQ(state(0).position, Offset(10));
  refused(rows(0, 12, 13), "offsets 12-13 do not follow offset 10");
}

TEST_F(TableClockTest, ARangeIsNotCoveredTwice) {
  apply(naming({part(0)}));
  apply(rows(0, 0, 9));
  refused(rows(0, 0, 9), "do not follow");
}

TEST_F(TableClockTest, RowsOfAnUnnamedPartitionAreCorrupt) {
  apply(naming({part(0)}));
  refused(rows(1, 0, 9), "never named");
}

TEST_F(TableClockTest, AGenerationNeverGoesBack) {
  auto first = naming({part(0, "logs@1")});
  first.topic = Topic{"logs", "B", 1};
  apply(first);
  auto old = naming({part(0)});
  old.topic = Topic{"logs", "A", 0};
  refused(old, "generation goes back from 1 to 0");
}

TEST_F(TableClockTest, OnlyTheTopicInForceNamesPartitions) {
  auto first = naming({part(0, "logs@1")});
  first.topic = Topic{"logs", "B", 1};
  apply(first);
  refused(naming({part(1)}), "logs@0 partition 1 is not of the topic in force, logs@1");
}

TEST_F(TableClockTest, KeepsTheNewestLeaderEpoch) {
  apply(naming({part(0)}));
  CommitFacts facts;
  facts.leader_epochs = {{part(0), 5}};
  apply(facts);
  facts.leader_epochs = {{part(0), 4}};
  apply(facts);
  EXPECT_EQ(state(0).leader_epoch, 5);
}

}  // namespace
}  // namespace headpond::bronze
