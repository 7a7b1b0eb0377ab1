// Readers that find the entries gone that they would read next.
#include "bronze/test_kept_table.h"

namespace headpond::bronze {
namespace {

using base::Version;
using testing::expect_readers_arrive;
using testing::kRoot;
using testing::whole_log;

class LogGapTest : public ::testing::Test, protected testing::KeptTable {};

TEST_F(LogGapTest, AReaderAtAnyVersionCrossesTheGap) {
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

TEST_F(LogGapTest, AGapComesInPiecesThatAreWholeInEveryPartition) {
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
TEST_F(LogGapTest, FilesWhoseVersionsOverlapAreOnePieceOfAGap) {
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
TEST_F(LogGapTest, ATailThatIsOvertakenByTheCleanUpCrossesTheGap) {
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

}  // namespace
}  // namespace headpond::bronze
