// An ingester dies at each mutating call of open + append + commit, and at random; whatever happens, each offset is in the table once and
// the versions form a chain.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "bronze/audit.h"
#include "bronze/test_ingester.h"
#include "env/real.h"

namespace headpond::bronze {
namespace {

using base::Offset;
using testing::Ingester;
using testing::kPartitions;
using testing::part;
using testing::TestWorld;

// The chain itself is checked by Tail; this looks at what it leads to.
void expect_each_offset_once(env::ObjectStore& store, int records) {
  const auto steps = testing::all_steps(store);
  ASSERT_TRUE(steps) << steps.error().message;
  std::int64_t covered = 0, rows = 0, rows_in_files = 0;
  for (const auto& step : *steps) {
    for (const auto& batch : step.facts.batches)
      for (const auto& range : batch.ranges) {
        EXPECT_EQ(range.last.value() - range.first.value() + 1, range.rows + range.gaps);
        covered += range.rows + range.gaps;
        rows += range.rows;
      }
    for (const auto& file : step.files) {
      rows_in_files += file.rows;
      EXPECT_TRUE(store.head("bronze/logs/" + file.path)) << file.path;
    }
  }
  EXPECT_EQ(covered, std::int64_t{kPartitions} * records);
  EXPECT_EQ(rows, rows_in_files);
  for (int p = 0; p < kPartitions; ++p) EXPECT_EQ(steps->back().clock.partitions().at(part(p)).position, Offset(records - 1));
  const auto report = audit(store, "bronze/logs", {});
  ASSERT_TRUE(report) << report.error().message;
  for (const auto& finding : report->findings) ADD_FAILURE() << finding.what << " at " << finding.where;
}

// Returns the number of mutating calls a run without faults makes.
std::int64_t run(TestWorld& world, std::uint64_t seed, int records) {
  Ingester ingester(world, world.store, seed, records, {0, 1, 2});
  for (int round = 0; round < 1000; ++round) {
    world.clock.advance(base::Duration::seconds(1));
    const auto more = ingester.step();
    if (!more) world.store.revive();
    if (more && !*more) return world.store.mutations();
  }
  ADD_FAILURE() << "seed " << seed << " never came to an end";
  return 0;
}

TEST(WriterCrash, AtEachMutatingCallLeavesEachOffsetOnce) {
  constexpr int kRecords = 9;
  TestWorld clean;
  const auto calls = run(clean, 1, kRecords);
  expect_each_offset_once(clean.memory, kRecords);
  ASSERT_GE(calls, 10);
  for (const auto fault : {env::Fault::kRefuse, env::Fault::kLostReply, env::Fault::kDieBefore, env::Fault::kDieAfter}) {
    for (std::int64_t k = 1; k <= calls; ++k) {
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at call " + std::to_string(k));
      TestWorld world;
      world.store.fail_at(k, fault);
      run(world, 1, kRecords);
      expect_each_offset_once(world.memory, kRecords);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// HEADPOND_TEST_SEED alone, or thirty fixed seeds and thirty fresh ones.
std::vector<std::uint64_t> seeds() {
  if (const auto* text = std::getenv("HEADPOND_TEST_SEED")) return {std::strtoull(text, nullptr, 10)};
  const auto fresh = static_cast<std::uint64_t>(::testing::UnitTest::GetInstance()->start_timestamp());
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = 1; i <= 30; ++i) out.push_back(i);
  for (std::uint64_t i = 0; i < 30; ++i) out.push_back(fresh + i);
  std::printf("seeds 1-30 and %llu-%llu; HEADPOND_TEST_SEED=N repeats one\n", static_cast<unsigned long long>(fresh),
              static_cast<unsigned long long>(fresh + 29));
  return out;
}

// Two ingesters that both believe they own everything, crashes and lost replies included.
TEST(WriterCrash, RandomHistoriesOfTwoRivalsLeaveEachOffsetOnce) {
  constexpr int kRecords = 25;
  int fenced = 0;
  for (const auto seed : seeds()) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestWorld world;
    env::FaultyStore other(world.memory);
    env::SeededRandom dice(seed);
    Ingester a(world, world.store, seed * 2, kRecords, {0, 1, 2}), b(world, other, seed * 2 + 1, kRecords, {2, 1, 0});
    bool done = false;
    for (int round = 0; round < 3000 && !done; ++round) {
      world.clock.advance(base::Duration::millis(static_cast<std::int64_t>(dice.next() % 2000)));
      const bool first = dice.next() % 2 == 0;
      auto& store = first ? world.store : other;
      if (dice.next() % 4 == 0) store.fail_at(1 + static_cast<std::int64_t>(dice.next() % 4), static_cast<env::Fault>(dice.next() % 4));
      const auto more = (first ? a : b).step();
      if (!more) store.revive();
      if (!more && more.error().kind == base::ErrorKind::kFenced) ++fenced;
      done = more && !*more;
    }
    ASSERT_TRUE(done);
    world.store.revive();
    expect_each_offset_once(world.memory, kRecords);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_TRUE(fenced > 0 || std::getenv("HEADPOND_TEST_SEED") != nullptr);  // else nobody raced
}

// Real threads over a real directory, all of them sure that they own everything.
TEST(WriterCrash, RivalThreadsOverADirectoryLeaveEachOffsetOnce) {
  constexpr int kRecords = 15;
  const auto directory = std::filesystem::path(::testing::TempDir()) / ("headpond-rivals-" + std::to_string(getpid()));
  std::filesystem::remove_all(directory);
  const auto store = env::open_local_store(directory);
  ASSERT_TRUE(store) << store.error().message;
  std::atomic<int> unfinished = 3;
  std::vector<std::jthread> rivals;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    rivals.emplace_back([&, seed] {
      TestWorld world;
      Ingester ingester(world, **store, seed, kRecords, {0, 1, 2});
      for (int round = 0; round < 3000; ++round) {
        world.clock.advance(base::Duration::millis(100));
        const auto more = ingester.step();
        if (more && !*more) {
          --unfinished;
          return;
        }
      }
    });
  }
  rivals.clear();
  EXPECT_EQ(unfinished, 0);
  expect_each_offset_once(**store, kRecords);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace headpond::bronze
