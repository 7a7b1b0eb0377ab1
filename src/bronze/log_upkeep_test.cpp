// A log that is checkpointed, folded into the ledger and cleaned, with every crash on the way, says what the whole log said.
#include "bronze/log_upkeep.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/time.h"
#include "bronze/audit.h"
#include "bronze/cursor.h"
#include "bronze/ledger.h"
#include "bronze/log_checkpoint.h"
#include "bronze/test_ingester.h"
#include "bronze/view.h"

namespace headpond::bronze {
namespace {

using base::Micros;
using base::Offset;
using base::Version;
using testing::Ingester;
using testing::kNow;
using testing::kPartitions;
using testing::kSource;
using testing::part;
using testing::TestWorld;

constexpr char kRoot[] = "bronze/logs";
constexpr int kRecords = 40;

std::string scratch() {
  return (std::filesystem::path(::testing::TempDir()) / ("headpond-upkeep-" + std::to_string(getpid()))).string();
}

// A table whose log is kept.
struct KeptTable {
  ~KeptTable() { std::filesystem::remove_all(scratch()); }

  // Commits until each partition has `records`; a version a second.
  void ingest(int records = kRecords) {
    Ingester ingester(world_, world_.store, ++ingesters_, records, {0, 1, 2});
    for (bool more = true; more;) {
      world_.clock.advance(base::Duration::seconds(1));
      const auto step = ingester.step();
      ASSERT_TRUE(step) << step.error().message;
      more = *step;
    }
  }
  base::Result<UpkeepReport> keep(base::Duration retention = {}, bool now = true, env::ObjectStore* store = nullptr) {
    return keep_log(store != nullptr ? *store : world_.store, kRoot,
                    {.scratch = scratch(), .log_retention = retention, .checkpoint_now = now, .block_versions_max = 4},
                    {world_.clock, world_.failpoints});
  }
  UpkeepReport kept(base::Duration retention = {}, bool now = true) {
    auto report = keep(retention, now);
    EXPECT_TRUE(report) << report.error().message;
    return report.value_or(UpkeepReport{});
  }
  void cursor(const std::string& branch, std::int64_t durable, Micros at, const std::string& kind = "pager",
              const std::string& state = "running") {
    BranchStatus status;
    status.branch = branch;
    status.kind = kind;
    status.state = state;
    status.version = status.durable_version = Version(durable);
    status.updated_at = at;
    ASSERT_TRUE(publish_status(world_.store, kRoot, status));
  }
  Version oldest() { return delta::Table(world_.memory, kRoot).oldest().value_or(Version(-2)); }
  void expect_clean(env::ObjectStore& store) {
    const auto report = audit(store, kRoot, {});
    ASSERT_TRUE(report) << report.error().message;
    for (const auto& finding : report->findings) ADD_FAILURE() << finding.what << " at " << finding.where;
    std::int64_t covered = 0;
    for (const auto& [id, totals] : report->partitions) covered += totals.rows + totals.gaps;
    EXPECT_EQ(covered, std::int64_t{kPartitions} * kRecords);
    const delta::Table table(store, kRoot);
    const auto named = delta::last_checkpoint(table);
    ASSERT_TRUE(named) << named.error().message;
    if (!*named) return;
    EXPECT_TRUE(read_log_checkpoint(table, (*named)->version)) << "`_last_checkpoint` names one without facts";
  }

  TestWorld world_;
  std::uint64_t ingesters_ = 0;  // so far: the seed of the next
};
class LogUpkeepTest : public ::testing::Test, protected KeptTable {};

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

// What the log was before any of it went: every step of it.
std::vector<Step> whole_log(env::ObjectStore& store) {
  auto steps = testing::all_steps(store);
  EXPECT_TRUE(steps) << steps.error().message;
  return steps.value_or(std::vector<Step>{});
}

// A reader at each version of a cleaned log comes to where the whole log leads, by the same clocks, and misses no file.
void expect_readers_arrive(env::ObjectStore& cleaned, const std::vector<Step>& whole) {
  for (std::int64_t after = -1; after < static_cast<std::int64_t>(whole.size()); ++after) {
    SCOPED_TRACE("a reader at version " + std::to_string(after));
    auto tail = Tail::open(cleaned, kRoot, Version(after));
    ASSERT_TRUE(tail) << tail.error().message;
    std::set<std::string> files, expected;
    auto at = Version(after);
    for (auto step = tail->next();; step = tail->next()) {
      ASSERT_TRUE(step) << step.error().message;
      if (!*step) break;
      EXPECT_TRUE((*step)->gap || (*step)->version == at.next());
      at = (*step)->version;
      EXPECT_EQ((*step)->clock.partitions(), whole.at(static_cast<std::size_t>(at.value())).clock.partitions());
      for (const auto& file : (*step)->files) EXPECT_TRUE(files.insert(file.path).second) << file.path << " comes twice";
    }
    EXPECT_EQ(at.value() + 1, static_cast<std::int64_t>(whole.size()));
    for (const auto& step : whole)
      if (step.version > Version(after))
        for (const auto& file : step.files) expected.insert(file.path);
    EXPECT_EQ(files, expected);
  }
}

TEST_F(LogUpkeepTest, AReaderAtAnyVersionCrossesTheGap) {
  ingest(15);
  const auto middle = kept(base::Duration::hours(1)).head;
  ingest();
  const auto whole = whole_log(world_.memory);
  cursor("ops", middle.value() + 2, world_.clock.now());
  kept();
  ASSERT_EQ(oldest(), middle);
  expect_readers_arrive(world_.memory, whole);

  // The first step over the gap, of a branch that never read, is all there is; its rows count where a position does not hold them.
  auto tail = Tail::open(world_.memory, kRoot, Version(-1));
  ASSERT_TRUE(tail);
  ASSERT_NE(tail->gap_to(), nullptr);
  EXPECT_TRUE(tail->clock().partitions().empty());
  const auto step = tail->next();
  ASSERT_TRUE(step && *step) << step.error().message;
  EXPECT_TRUE((*step)->gap);
  EXPECT_EQ((*step)->version, middle);
  EXPECT_TRUE((*step)->facts.batches.empty());
  EXPECT_EQ(tail->gap_to(), nullptr);
}

TEST_F(LogUpkeepTest, AGapComesInPiecesThatAreWholeInEveryPartition) {
  ingest();
  const auto whole = whole_log(world_.memory);
  kept();
  for (const std::size_t files_max : {1, 3, 1000}) {
    SCOPED_TRACE(files_max);
    auto tail = Tail::open(world_.memory, kRoot, Version(4), {.files_max = files_max});
    ASSERT_TRUE(tail);
    std::size_t pieces = 0;
    for (auto at = Version(4); tail->gap_to() != nullptr; ++pieces) {
      EXPECT_EQ(tail->version(), Version(4));
      const auto end = tail->gap_to()->version;
      const auto step = tail->next();
      ASSERT_TRUE(step && *step) << step.error().message;
      EXPECT_TRUE((*step)->gap);
      EXPECT_LE((*step)->files.size(), files_max);
      EXPECT_GT((*step)->version, at);
      EXPECT_EQ((*step)->rest_from.has_value(), (*step)->version < end);
      std::vector<std::string> expected, found;
      for (const auto& version : whole)
        if (version.version > at && version.version <= (*step)->version)
          for (const auto& file : version.files) expected.push_back(file.path);
      for (const auto& file : (*step)->files) found.push_back(file.path);
      EXPECT_EQ(found, expected);
      for (const auto& version : whole) {
        if (version.version <= (*step)->version || version.version > end) continue;
        for (const auto& file : version.files) EXPECT_GE(file.arrival_min, (*step)->rest_from);
      }
      at = (*step)->version;
    }
    EXPECT_EQ(tail->version(), oldest());
    EXPECT_EQ(pieces > 1, files_max < 1000);
  }
}

// The file of versions 7 and 9 holds rows on both sides of that of version 8: positions between the two would be true of neither.
TEST_F(LogUpkeepTest, FilesWhoseVersionsOverlapAreOnePieceOfAGap) {
  ingest();
  delta::Table table(world_.memory, kRoot);
  const auto of = [&](int version) { return table.read(Version(version))->adds.at(0); };
  delta::Commit rewrite;
  rewrite.timestamp_ms = world_.clock.now().value() / 1000;
  rewrite.operation = "OPTIMIZE";
  rewrite.headpond = to_json(CommitFacts{});
  auto merged = of(7);
  merged.path += ".merged.parquet";
  merged.tags["headpond.versions"] = "7-9";
  merged.data_change = false;
  rewrite.adds.push_back(merged);
  for (const int version : {7, 9})
    rewrite.removes.push_back({.path = of(version).path, .deletion_ms = rewrite.timestamp_ms, .data_change = false});
  const auto beside = of(8).path;
  ASSERT_TRUE(table.put(table.latest()->next(), rewrite));
  kept();
  auto tail = Tail::open(world_.memory, kRoot, Version(-1), {.files_max = 1});
  ASSERT_TRUE(tail);
  bool together = false;
  while (tail->gap_to() != nullptr) {
    const auto step = tail->next();
    ASSERT_TRUE(step && *step) << step.error().message;
    std::set<std::string> paths;
    for (const auto& file : (*step)->files) paths.insert(file.path);
    EXPECT_EQ(paths.contains(merged.path), paths.contains(beside)) << "version " << (*step)->version.value();
    together = together || paths.contains(beside);
  }
  EXPECT_TRUE(together);
}

// A tail that stands still while the log is cleaned under it.
TEST_F(LogUpkeepTest, ATailThatIsOvertakenByTheCleanUpCrossesTheGap) {
  ingest(10);
  auto tail = Tail::open(world_.memory, kRoot, Version(3));
  ASSERT_TRUE(tail);
  ingest();
  kept();
  std::optional<Step> crossed;
  for (int polls = 0; polls < 2000 && !crossed; ++polls) {
    auto step = tail->next();
    ASSERT_TRUE(step) << step.error().message;
    crossed = *step;
  }
  ASSERT_TRUE(crossed);
  EXPECT_TRUE(crossed->gap);
  EXPECT_EQ(crossed->version, oldest());
}

// Dies or is refused at each call that changes something, and at each failpoint; then another runs to its end.
TEST_F(LogUpkeepTest, AfterACrashAtAnyCallTheNextRunGoesOn) {
  const auto prepare = [](KeptTable& test) {
    test.ingest(15);
    test.kept(base::Duration::hours(1));
    test.ingest();
  };
  prepare(*this);
  const auto whole = whole_log(world_.memory);
  const auto from = world_.store.mutations();
  const auto plain = kept();
  const auto calls = world_.store.mutations() - from;
  ASSERT_GT(calls, 20);
  // HEADPOND_TEST_ALL: each call meets each fault; without it those of the checkpoint do, and of the others every second one meets one.
  const std::int64_t stride = std::getenv("HEADPOND_TEST_ALL") != nullptr ? 1 : 6;
  std::int64_t shift = 0;
  for (const auto fault : {env::Fault::kRefuse, env::Fault::kLostReply, env::Fault::kDieAfter}) {
    for (std::int64_t k = 1; k <= calls; ++k) {
      if (k > 3 && k % stride != shift) continue;
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at call " + std::to_string(k));
      KeptTable test;
      prepare(test);
      test.world_.store.fail_at(k, fault);
      (void)test.keep();
      test.world_.store.revive();
      test.expect_clean(test.world_.memory);  // at the crash
      if (k % 5 == 0) expect_readers_arrive(test.world_.memory, whole);
      test.kept();
      EXPECT_EQ(test.oldest(), plain.head);
      test.expect_clean(test.world_.memory);
      if (::testing::Test::HasFailure()) return;
    }
    shift = (shift + 2) % stride;
  }
}

TEST_F(LogUpkeepTest, AnotherRunAtAnyMomentDoesNoHarm) {
  for (const auto* moment : {"upkeep.after_checkpoint_file", "upkeep.after_facts", "upkeep.after_checkpoint", "upkeep.after_ledger",
                             "upkeep.after_delete", "upkeep.after_old_facts"}) {
    SCOPED_TRACE(moment);
    KeptTable test;
    test.ingest(15);
    test.kept(base::Duration::hours(1));
    test.ingest(25);
    bool done = false;
    test.world_.failpoints.on_reach = [&](std::string_view name) {
      if (done || name != moment) return;
      done = true;
      test.ingest();  // the table goes on meanwhile
      const auto other = test.keep();
      EXPECT_TRUE(other) << other.error().message;
    };
    const auto report = test.keep();
    EXPECT_TRUE(done) << "never reached";
    EXPECT_TRUE(report || report.error().kind == base::ErrorKind::kRetry) << report.error().message;
    test.world_.failpoints.on_reach = nullptr;
    test.kept({}, false);
    test.expect_clean(test.world_.memory);
    if (::testing::Test::HasFailure()) return;
  }
}

// HEADPOND_TEST_SEED alone, or ten fixed seeds and ten fresh ones.
std::vector<std::uint64_t> seeds() {
  if (const auto* text = std::getenv("HEADPOND_TEST_SEED")) return {std::strtoull(text, nullptr, 10)};
  const auto fresh = static_cast<std::uint64_t>(::testing::UnitTest::GetInstance()->start_timestamp());
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = 1; i <= 10; ++i) out.push_back(i);
  for (std::uint64_t i = 0; i < 10; ++i) out.push_back(fresh + i);
  std::printf("seeds 1-10 and %llu-%llu; HEADPOND_TEST_SEED=N repeats one\n", static_cast<unsigned long long>(fresh),
              static_cast<unsigned long long>(fresh + 9));
  return out;
}

// Two ingesters that both own everything, two that keep the log, all of them over stores that fail.
TEST_F(LogUpkeepTest, RandomHistoriesSayWhatTheWholeLogSays) {
  for (const auto seed : seeds()) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestWorld world;
    env::MemoryStore shadow;  // keeps what is deleted
    std::vector<std::unique_ptr<env::FaultyStore>> stores;
    for (int i = 0; i < 4; ++i) stores.push_back(std::make_unique<env::FaultyStore>(world.memory));
    env::SeededRandom dice(seed);
    Ingester a(world, *stores[0], seed * 2, kRecords, {0, 1, 2}), b(world, *stores[1], seed * 2 + 1, kRecords, {2, 1, 0});
    bool done = false;
    for (int round = 0; round < 3000 && !done; ++round) {
      world.clock.advance(base::Duration::millis(static_cast<std::int64_t>(dice.next() % 2000)));
      const auto who = dice.next() % 16 == 0 ? 2 + dice.next() % 2 : dice.next() % 2;
      auto& store = *stores[who];
      if (dice.next() % 4 == 0) store.fail_at(1 + static_cast<std::int64_t>(dice.next() % 6), static_cast<env::Fault>(dice.next() % 4));
      if (who >= 2) {
        const auto kept = keep_log(store, kRoot,
                                   {.scratch = scratch(),
                                    .log_retention = base::Duration::seconds(static_cast<std::int64_t>(dice.next() % 30)),
                                    .checkpoint_now = dice.next() % 3 != 0,
                                    .block_versions_max = 1 + static_cast<std::int64_t>(dice.next() % 9)},
                                   {world.clock, world.failpoints});
        if (!kept) store.revive();
        EXPECT_TRUE(kept || kept.error().kind != base::ErrorKind::kCorrupt) << kept.error().message;
      } else {
        const auto more = (who == 0 ? a : b).step();
        if (!more) store.revive();
        done = more && !*more;
        const auto objects = world.memory.list(std::string(kRoot) + "/_delta_log/");
        for (const auto& object : *objects)
          if (delta::log_version(object.path)) (void)shadow.put_if_absent(object.path, *world.memory.get(object.path));
      }
    }
    ASSERT_TRUE(done);
    expect_clean(world.memory);
    expect_readers_arrive(world.memory, whole_log(shadow));
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace headpond::bronze
