// A log that is checkpointed, folded into the ledger and cleaned says what the whole log said.
#include "bronze/log_upkeep.h"

#include "base/time.h"
#include "bronze/test_kept_table.h"
#include "bronze/view.h"

namespace headpond::bronze {
namespace {

using base::Offset;
using base::Version;
using testing::kNow;
using testing::kRoot;
using testing::kSource;
using testing::part;
using testing::scratch;

class LogUpkeepTest : public ::testing::Test, protected testing::KeptTable {};

TEST(LogUpkeep, ACheckpointIsDueAfterAHundredCommitsOfAQuarterOfItsSize) {
  EXPECT_FALSE(checkpoint_due(99, 1 << 30, 0));
  EXPECT_TRUE(checkpoint_due(100, 1, 0));
  EXPECT_FALSE(checkpoint_due(100, 0, 0));
  EXPECT_FALSE(checkpoint_due(5000, 250, 1000));
  EXPECT_TRUE(checkpoint_due(5000, 251, 1000));
}

TEST(LogUpkeep, OfOldCheckpointsOneAnHourStaysAndNoneBeforeTheLog) {
  const auto at = [](const char* time) { return *base::parse_rfc3339(std::string("2026-11-25T") + time + "Z"); };
  const std::vector<KnownCheckpoint> known = {{Version(10), at("01:10:00")}, {Version(20), at("02:05:00")}, {Version(30), at("02:10:00")},
                                              {Version(40), at("02:20:00")}, {Version(50), at("03:00:00")}, {Version(60), at("03:59:00")},
                                              {Version(70), at("04:30:00")}, {Version(80), at("04:31:00")}};
  EXPECT_EQ(superseded(known, Version(20), at("05:00:00")), (std::vector{Version(10), Version(30), Version(40), Version(60)}));
  EXPECT_EQ(superseded(known, Version(20), at("04:45:00")), (std::vector{Version(10), Version(30), Version(40)}));
  EXPECT_EQ(superseded(known, Version(80), at("09:00:00")).size(), 7u);
  EXPECT_TRUE(superseded({}, Version(0), at("05:00:00")).empty());
}

TEST(LogUpkeep, TheStateOfATableSurvivesItsText) {
  TableClock clock;
  CommitFacts first;
  first.topic = Topic{"logs", "id", 0, true};
  first.partitions = {part(0), part(1)};
  ASSERT_TRUE(clock.apply(first));
  CommitFacts second;
  second.batches.push_back({.txn_id = "t",
                            .writer = "w",
                            .source = kSource,
                            .files = {},
                            .ranges = {{.partition = base::PartitionId(0), .first = Offset(0), .last = Offset(4), .rows = 5}},
                            .seconds = {},
                            .gap_kinds = {}});
  second.clocks = {testing::clock_at(0, kNow, 4)};
  second.stalled = {{part(1), "no leader ☂"}};
  second.leader_epochs = {{part(0), 7}};
  ASSERT_TRUE(clock.apply(second));
  CommitFacts third;
  third.topic = Topic{"logs", "id2", 1};
  third.partitions = {part(0, "logs@1")};
  ASSERT_TRUE(clock.apply(third));
  const auto back = TableClock::parse(clock.to_json(), "here");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->partitions(), clock.partitions());
  EXPECT_EQ(back->to_json(), clock.to_json());
  ASSERT_EQ(back->topics().size(), 2u);
  EXPECT_TRUE(back->topics()[0].log_append_time);
  EXPECT_EQ(back->topic()->id, "id2");
  EXPECT_EQ(TableClock::parse("{}", "here").error().kind, base::ErrorKind::kCorrupt);
}

TEST_F(LogUpkeepTest, NothingIsDueInASmallTable) {
  ingest();
  const auto report = kept({}, false);
  EXPECT_FALSE(report.checkpoint);
  EXPECT_EQ(report.entries_deleted, 0);
  EXPECT_EQ(oldest(), Version(0));
  EXPECT_EQ(keep_log(world_.store, "elsewhere", {.scratch = scratch()}, {world_.clock, world_.failpoints}).error().kind,
            base::ErrorKind::kNotFound);
}

TEST_F(LogUpkeepTest, TheSecondCheckpointGoesOnFromTheFirstAndBothHoldEveryFile) {
  ingest(20);
  const auto first = kept(base::Duration::hours(1)).checkpoint;
  ASSERT_TRUE(first);
  ingest();
  const auto second = kept(base::Duration::hours(1)).checkpoint;
  ASSERT_TRUE(second);
  EXPECT_GT(second->version, first->version);
  const delta::Table table(world_.memory, kRoot);
  delta::Snapshot replayed;
  for (auto v = Version(0); v <= second->version; v = v.next()) {
    const auto commit = table.read(v);
    ASSERT_TRUE(commit);
    ASSERT_TRUE(delta::apply(replayed, *commit, ""));
  }
  std::map<std::string, delta::AddFile> files;
  const auto read = delta::read_checkpoint(table, second->version, [&](delta::AddFile add) -> base::Result<void> {
    files.emplace(add.path, add);
    return {};
  });
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(files.size(), replayed.files.size());
  for (const auto& [path, add] : replayed.files) {
    ASSERT_TRUE(files.contains(path));
    const auto& there = files.at(path);
    EXPECT_EQ(there.stats, add.stats);
    EXPECT_EQ(there.tags, add.tags);
    EXPECT_EQ(there.partition_values, add.partition_values);
    EXPECT_EQ(there.size, add.size);
    EXPECT_EQ(there.modification_ms, add.modification_ms);
    EXPECT_FALSE(there.data_change);
  }
  EXPECT_EQ(read->txns, replayed.txns);
  EXPECT_EQ(read->metadata.id, replayed.metadata.id);
  EXPECT_EQ(read->protocol.writer_features, replayed.protocol.writer_features);
  EXPECT_EQ(delta::last_checkpoint(table)->value().version, second->version);
  EXPECT_EQ(second->files, static_cast<std::int64_t>(files.size()));
  expect_clean(world_.memory);
}

TEST_F(LogUpkeepTest, ACleanedTableIsOpenedAuditedContinuedAndViewed) {
  ingest(25);
  const auto whole = open_view(world_.memory, kRoot);
  const auto report = kept();
  EXPECT_GT(report.entries_deleted, 5);
  EXPECT_EQ(oldest(), report.head);
  const auto cleaned = open_view(world_.memory, kRoot);
  ASSERT_TRUE(cleaned) << cleaned.error().message;
  EXPECT_EQ(cleaned->version, whole->version);
  EXPECT_EQ(cleaned->relation, whole->relation);
  ingest();  // opens a writer
  expect_clean(world_.memory);
  const auto again = kept();
  EXPECT_GT(again.entries_deleted, 0);
  EXPECT_GT(again.checkpoints_deleted, 0);
  expect_clean(world_.memory);
  EXPECT_EQ(kept({}, false).entries_deleted, 0);  // and once more changes nothing
  expect_clean(world_.memory);
}

TEST_F(LogUpkeepTest, AYoungLogStays) {
  ingest();
  const auto report = kept(base::Duration::hours(1));
  EXPECT_TRUE(report.checkpoint);
  EXPECT_EQ(report.entries_deleted, 0);
  EXPECT_FALSE(report.held_by);
  world_.clock.advance(base::Duration::hours(1));
  EXPECT_GT(kept(base::Duration::hours(1), false).entries_deleted, 0);
}

TEST_F(LogUpkeepTest, NoEntryGoesThatARunningIngesterHasNotRead) {
  ingest(20);
  const auto first = kept(base::Duration::hours(1));
  ingest();
  cursor("ingest", first.head.value() + 9, world_.clock.now(), "ingest");
  cursor("ingest-1", first.head.value(), world_.clock.now(), "ingest");
  const auto second = kept();
  EXPECT_EQ(oldest(), first.head);
  EXPECT_FALSE(second.held_by);

  world_.clock.advance(base::Duration::minutes(20));  // by now it would look before it commits
  kept({}, false);
  EXPECT_EQ(oldest(), second.head);
}

TEST_F(LogUpkeepTest, NoEntryBehindABranchGoesUntilItsCursorHasExpired) {
  ingest(20);
  const auto first = kept(base::Duration::hours(1));
  ingest();
  cursor("ops", first.head.value(), world_.clock.now());
  cursor("ingest", 0, world_.clock.now(), "ingest", "stopped");
  const auto second = kept();
  EXPECT_EQ(oldest(), first.head);  // the branch stands at that very checkpoint
  EXPECT_EQ(second.held_by, "ops");
  EXPECT_TRUE(second.silent.empty());

  cursor("ops", first.head.value() - 1, world_.clock.now());
  world_.clock.advance(base::Duration::hours(25));
  const auto dead = kept({}, false);
  EXPECT_EQ(oldest(), first.head);
  ASSERT_EQ(dead.silent.size(), 1u);
  EXPECT_EQ(dead.silent[0].branch, "ops");
  EXPECT_FALSE(dead.silent[0].expired);

  world_.clock.advance(base::Duration::hours(24 * 7));
  const auto expired = kept({}, false);
  EXPECT_TRUE(expired.silent.at(0).expired);
  EXPECT_EQ(oldest(), second.head);
  expect_clean(world_.memory);
}

TEST_F(LogUpkeepTest, AMissingEntryStopsItBeforeAnythingIsDeleted) {
  ingest();
  const delta::Table table(world_.memory, kRoot);
  ASSERT_TRUE(world_.memory.remove(table.path(delta::log_path(Version(5)))));
  const auto report = keep();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, base::ErrorKind::kCorrupt);
  EXPECT_NE(report.error().message.find("00000000000000000005.json"), std::string::npos);
  EXPECT_EQ(oldest(), Version(0));
}

// A writer that was held up while the log was cleaned: its next place in the log is free again.
TEST_F(LogUpkeepTest, AWriterThatWasLeftBehindACleanedLogIsFenced) {
  ingest(10);
  auto held_up = Writer::open(world_.spec, {}, world_.seams());
  ASSERT_TRUE(held_up);
  ingest();
  kept();
  world_.clock.advance(base::Duration::hours(25));
  CommitRequest beat;
  beat.clocks = {testing::clock_at(0, world_.clock.now().value(), (*held_up)->table_clock().partitions().at(part(0)).position.value())};
  const auto done = (*held_up)->commit(beat);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, base::ErrorKind::kFenced);
  expect_clean(world_.memory);
}

}  // namespace
}  // namespace headpond::bronze
