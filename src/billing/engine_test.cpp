#include "billing/engine.h"

#include <gtest/gtest.h>

#include "billing/test_world.h"

namespace headpond::billing {
namespace {

using testing::at;
using testing::day;
using testing::TestLake;

// Steps until the engine has nothing to do at once; the clock passes the poll interval first.
void settle(Engine& engine, TestLake& lake) {
  lake.clock.advance(base::Duration::seconds(2));
  for (int i = 0; i < 100; ++i) {
    const auto more = engine.step();
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) return;
  }
  FAIL() << "the engine never rests";
}

std::unique_ptr<Engine> open(TestLake& lake) {
  auto engine = Engine::open(lake.settings, lake.world());
  EXPECT_TRUE(engine) << engine.error().message;
  return std::move(*engine);
}

TEST(BillingEngine, ClosesMissedDaysInOrderOnceTheScheduleHasCome) {
  TestLake lake;
  lake.fill_two_days();
  lake.clock.set(at("2026-11-24T02:30:00Z"));  // the 24th is closed by its clocks, but its night has not come
  const auto engine = open(lake);
  settle(*engine, lake);
  EXPECT_TRUE(lake.branch_objects().contains("billing/billing-capacity/certificates/2026-11-23.json"));
  EXPECT_FALSE(lake.branch_objects().contains("billing/billing-capacity/certificates/2026-11-24.json"));
  EXPECT_EQ(engine->status().complete_until, day("2026-11-24"));
  lake.clock.set(at("2026-11-25T02:00:00Z"));
  settle(*engine, lake);
  EXPECT_TRUE(lake.branch_objects().contains("billing/billing-capacity/certificates/2026-11-24.json"));
  EXPECT_EQ(engine->status().complete_until, day("2026-11-25"));
  EXPECT_EQ(engine->status().state, "running");
  EXPECT_EQ(engine->status().message, "");
  EXPECT_EQ(engine->last_closed()->day, day("2026-11-24"));
}

TEST(BillingEngine, GoesOnAfterARestartWhereItStopped) {
  TestLake lake;
  lake.fill_two_days();
  lake.clock.set(at("2026-11-24T02:30:00Z"));
  {
    const auto engine = open(lake);
    settle(*engine, lake);
  }
  lake.clock.set(at("2026-11-25T02:30:00Z"));
  const auto engine = open(lake);
  settle(*engine, lake);
  EXPECT_EQ(engine->last_closed()->day, day("2026-11-24"));
  EXPECT_TRUE(verify_day(lake.settings, lake.world(), day("2026-11-24"), true)->clean());
}

TEST(BillingEngine, SaysWhichPartitionKeepsADayOpenPastItsNight) {
  TestLake lake;
  lake.fill_two_days();
  lake.commit({}, {{0, at("2026-11-26T01:00:00Z")}}, {{testing::part(1), "no leader"}});
  lake.clock.set(at("2026-11-26T02:00:00Z"));
  const auto engine = open(lake);
  settle(*engine, lake);
  EXPECT_EQ(engine->status().message, "2026-11-25 is kept open by logs@0 partition 1 (clock 2026-11-25T00:00:10Z, stalled: no leader)");
  lake.commit({}, {{1, at("2026-11-26T01:00:00Z")}});
  settle(*engine, lake);
  EXPECT_EQ(engine->status().message, "");
  EXPECT_EQ(engine->status().complete_until, day("2026-11-26"));
}

TEST(BillingEngine, WaitsForABronzeThatDoesNotExistYet) {
  TestLake lake;
  const auto engine = open(lake);
  settle(*engine, lake);
  EXPECT_EQ(engine->status().message, "waiting for bronze");
  lake.fill_two_days();
  settle(*engine, lake);
  EXPECT_EQ(engine->status().complete_until, day("2026-11-25"));
}

TEST(BillingEngine, ADayBilledByHandBeforeItsNightCountsAsDone) {
  TestLake lake;
  lake.fill_two_days();
  lake.clock.set(at("2026-11-25T01:00:00Z"));  // an hour before the 24th's night
  const auto engine = open(lake);
  settle(*engine, lake);
  EXPECT_EQ(engine->status().complete_until, day("2026-11-24"));
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-24"), false));
  lake.clock.advance(base::Duration::seconds(10));
  settle(*engine, lake);
  EXPECT_EQ(engine->status().complete_until, day("2026-11-25"));
  EXPECT_EQ(engine->status().figures.at("days_open"), 0);
}

TEST(BillingEngine, PublishesHowFarItIs) {
  TestLake lake;
  lake.fill_two_days();
  const auto engine = open(lake);
  settle(*engine, lake);
  ASSERT_TRUE(engine->drain());
  const auto statuses = bronze::read_statuses(*lake.local, "bronze/logs");
  ASSERT_TRUE(statuses) << statuses.error().message;
  ASSERT_EQ(statuses->size(), 1u);
  EXPECT_EQ(statuses->front().branch, "billing-capacity");
  EXPECT_EQ(statuses->front().state, "stopped");
  EXPECT_EQ(statuses->front().complete_until, day("2026-11-25"));
  EXPECT_EQ(statuses->front().durable_version, statuses->front().version);
}

TEST(BillingEngine, ARefusedWriteIsRetriedByTheSameEngine) {
  TestLake lake;
  lake.fill_two_days();
  const auto engine = open(lake);
  lake.store->refuse("billing/");
  lake.clock.advance(base::Duration::seconds(2));
  auto step = engine->step();
  for (int i = 0; step && i < 100; ++i) step = engine->step();
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().kind, base::ErrorKind::kRetry);
  lake.store->refuse("");
  settle(*engine, lake);
  EXPECT_EQ(engine->status().complete_until, day("2026-11-25"));
}

}  // namespace
}  // namespace headpond::billing
