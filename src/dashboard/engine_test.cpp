#include "dashboard/engine.h"

#include <gtest/gtest.h>

#include "bronze/log_upkeep.h"
#include "bronze/view.h"
#include "dashboard/bronze_fixture.h"
#include "dashboard/gold.h"
#include "env/fake_remote.h"
#include "lease/look.h"

namespace headpond::dashboard {
namespace {

class EngineTest : public ::testing::Test {
 protected:
  std::unique_ptr<Engine> open(env::ObjectStore& store, const std::string& scratch = "a", Limits limits = {}) {
    auto engine = Engine::open(bronze.topology, bronze.branch,
                               World{.lake = store,
                                     .paths = spec::LakePaths{.lake = "", .bronze = BronzeFixture::kRoot},
                                     .clock = bronze.clock,
                                     .random = bronze.random,
                                     .failpoints = failpoints,
                                     .local_directory = bronze.directory + "/" + scratch},
                               limits);
    EXPECT_TRUE(engine) << engine.error().message;
    return engine ? std::move(*engine) : nullptr;
  }
  std::unique_ptr<Engine> open() { return open(*bronze.store); }

  void run(Engine& engine) {
    while (true) {
      const auto more = engine.step();
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) return;
    }
  }
  // To the next whole minute of the wall clock, and one step there.
  void next_minute(Engine& engine) {
    bronze.clock.set(base::floor_to(bronze.clock.now(), base::kMinute) + base::kMinute);
    run(engine);
  }

  // Gold's live files of one kind as a relation.
  std::string gold(const std::string& kind) {
    delta::Table table(*bronze.store, "gold/ops");
    auto snapshot = table.snapshot();
    EXPECT_TRUE(snapshot) << snapshot.error().message;
    std::vector<std::string> files;
    for (const auto& [path, add] : snapshot->files)
      if (add.partition_values.at("kind") == kind) files.push_back(*bronze.store->local_path(table.path(path)));
    if (files.empty()) return "(SELECT 1 WHERE false)";
    return "read_parquet(" + sql::list_literal(files) + ", union_by_name = true, hive_partitioning = false)";
  }
  sql::ResultSet ask(const std::string& text) {
    auto result = bronze.sql->query(text);
    EXPECT_TRUE(result) << result.error().message << "\n" << text;
    return result ? *result : sql::ResultSet{};
  }
  std::int64_t number(const std::string& text) { return ask(text).rows.at(0).at(0).as_int(); }
  void expect_same(const std::string& a, const std::string& b) {
    EXPECT_EQ(number("SELECT count(*) FROM ((" + a + ") EXCEPT ALL (" + b + "))"), 0) << a << "\n" << b;
    EXPECT_EQ(number("SELECT count(*) FROM ((" + b + ") EXCEPT ALL (" + a + "))"), 0) << a << "\n" << b;
  }

  // Everything gold says, from its definition over all of bronze, in another way than the engine computes it.
  void expect_gold_equals_bronze() {
    auto view = bronze::open_view(*bronze.store, BronzeFixture::kRoot);
    ASSERT_TRUE(view) << view.error().message;
    const std::string rows =
        "(SELECT time_bucket(INTERVAL 1 MINUTE, ts) AS minute, '{\"service\":' || coalesce('\"' || service || '\"', 'null') || "
        "',\"severity\":\"' ||"
        " (['TRACE','DEBUG','INFO','WARN','ERROR','FATAL'])[(severity_number - 1) // 4 + 1] || '\"}' AS key, bytes,"
        " (severity_number >= 17 OR status >= 500)::INTEGER AS failed, duration_ms FROM " +
        view->relation + ")";
    expect_same(
        "SELECT minute::TIMESTAMP, key, sum(n)::BIGINT, sum(bytes)::BIGINT, sum(errors)::BIGINT FROM " + gold("rollup") + " GROUP BY ALL",
        "SELECT minute, key, count(*), sum(bytes)::BIGINT, sum(failed)::BIGINT FROM " + rows + " GROUP BY ALL");
    const std::string buckets =
        "SELECT minute, key, floor(log2(duration_ms) * 8 + 1e-9)::INTEGER AS bucket FROM " + rows + " WHERE duration_ms > 0";
    expect_same("SELECT minute::TIMESTAMP, key, bucket, sum(n)::BIGINT FROM " + gold("histogram") + " WHERE bucket > -32768 GROUP BY ALL",
                "SELECT minute, key, bucket, count(*) FROM (" + buckets + ") GROUP BY ALL");
    // For each minute that begins within five minutes before a row's, the rows in between, one by one.
    const std::string windows = "(SELECT w.window_end, r.* FROM (SELECT DISTINCT minute + INTERVAL (k) MINUTE AS window_end FROM " + rows +
                                ", range(1, 6) t(k)) w JOIN " + rows +
                                " r ON r.minute < w.window_end AND r.minute >= w.window_end - INTERVAL 5 MINUTE)";
    const auto percentile = [&](int p) {
      return "(SELECT CASE WHEN duration_ms <= 0 THEN 0 ELSE round(pow(2, (floor(log2(duration_ms) * 8 + 1e-9) + 0.5) / 8), 6) END FROM "
             "(SELECT unnest(d) AS "
             "duration_ms, generate_subscripts(d, 1) AS i) WHERE i = ceil(len(d) * " +
             std::to_string(p) + " / 100.0)) AS p" + std::to_string(p);
    };
    expect_same("SELECT window_end::TIMESTAMP, key, n, bytes, errors, round(p50, 6), round(p95, 6), round(p99, 6) FROM " +
                    gold("rolling_5m") + " QUALIFY row_number() OVER (PARTITION BY rollup, key, window_end ORDER BY batch_id DESC) = 1",
                "SELECT window_end, key, n, bytes, errors, " + percentile(50) + ", " + percentile(95) + ", " + percentile(99) +
                    " FROM (SELECT window_end, key, count(*) AS n, sum(bytes)::BIGINT AS bytes, sum(failed)::BIGINT AS errors,"
                    " list(duration_ms ORDER BY duration_ms) FILTER (WHERE duration_ms IS NOT NULL) AS d FROM " +
                    windows + " GROUP BY ALL)");
    EXPECT_EQ(number("SELECT sum(\"rows\")::BIGINT FROM " + gold("batch")), number("SELECT count(*) FROM " + rows));
  }

  std::vector<Row> some_rows(const std::string& minute, int n = 7) {
    std::vector<Row> rows;
    for (int i = 0; i < n; ++i)
      rows.push_back({.partition = i % 2,
                      .ts = at(minute + ":0" + std::to_string(i % 10)),
                      .service = i % 3 ? "api" : "checkout",
                      .severity_number = i % 4 ? 9 : 17,
                      .status = i % 5 ? 200 : 503,
                      .duration_ms = 0.5 * i * i,
                      .bytes = 100 + i});
    return rows;
  }

  BronzeFixture bronze;
  env::FakeFailpoints failpoints;
};

TEST_F(EngineTest, WaitsForBronzeAndThenTakesTheHistoryAtOnce) {
  auto engine = open();
  run(*engine);
  EXPECT_EQ(engine->status().state, "starting");
  bronze.commit(some_rows("11:55"), at("11:59:59"));
  bronze.commit(some_rows("11:57"), at("12:00:00"));
  run(*engine);
  EXPECT_EQ(engine->status().state, "running");
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 1);
  EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("rollup")), 14);
  expect_gold_equals_bronze();
}

// Each engine ends after one batch of the gap, not knowing of the next; two partitions take turns in being ahead.
TEST_F(EngineTest, AGapInTheLogIsCrossedInBatchesOfAFewFilesWhoeverEndsBetweenThem) {
  for (int minute = 40; minute < 47; ++minute) bronze.commit(some_rows("11:" + std::to_string(minute), minute), at("11:50:00"));
  const auto kept =
      bronze::keep_log(*bronze.store, BronzeFixture::kRoot,
                       {.scratch = bronze.directory + "/upkeep", .log_retention = {}, .checkpoint_now = true}, {bronze.clock, failpoints});
  ASSERT_TRUE(kept) << kept.error().message;
  ASSERT_EQ(kept->log_begins, base::Version(6));
  for (int batch = 1; batch <= 3; ++batch) {
    SCOPED_TRACE(batch);
    auto engine = open(*bronze.store, "a", {.gap_files_max = 2});
    for (int steps = 0; steps < 20 && number("SELECT count(*) FROM " + gold("batch")) < batch; ++steps) ASSERT_TRUE(engine->step());
    ASSERT_EQ(number("SELECT count(*) FROM " + gold("batch")), batch);
    EXPECT_FALSE(engine->status().complete_until) << "nothing is complete before the end of the gap";
    EXPECT_EQ(engine->status().durable_version, base::Version(-1));
    ASSERT_TRUE(engine->drain());
  }
  auto engine = open(*bronze.store, "a", {.gap_files_max = 2});
  run(*engine);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 4);
  EXPECT_EQ(number("SELECT max(\"rows\") FROM " + gold("batch")), 44 + 45);
  EXPECT_EQ(number("SELECT max(last_version) FROM " + gold("batch")), 6);
  EXPECT_EQ(engine->status().complete_until, at("11:49:00"));
  expect_gold_equals_bronze();
  bronze.commit(some_rows("11:51"), at("11:52:00"));
  next_minute(*engine);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, BatchesBeginOnWholeMinutesOfTheWallClock) {
  auto engine = open();
  bronze.commit(some_rows("11:59"), at("12:00:00"));
  run(*engine);
  bronze.clock.set(at("12:00:30"));
  bronze.commit(some_rows("12:00"), at("12:00:30"));
  run(*engine);
  bronze.clock.set(at("12:00:59"));
  run(*engine);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 1);
  EXPECT_EQ(engine->status().figures.at("pending_rows"), 7);
  bronze.clock.set(at("12:01:00"));
  run(*engine);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 2);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, ALakeThatIsNoFolderIsReadThroughItsStore) {
  env::FakeRemoteStore remote(*bronze.store);
  for (int restart = 0; restart < 2; ++restart) {
    auto engine = open(remote);
    bronze.commit(some_rows(restart == 0 ? "11:59" : "12:01"), at(restart == 0 ? "12:00:00" : "12:02:00"));
    next_minute(*engine);
  }
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 2);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, FarBehindItDoesNotWaitForTheMinute) {
  auto engine = open();
  bronze.commit(some_rows("09:00"), at("09:00:10"));
  run(*engine);
  bronze.commit(some_rows("09:01"), at("09:01:10"));
  bronze.clock.advance(base::kSecond);
  run(*engine);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 2);
}

TEST_F(EngineTest, AMinuteIsCompleteWhenEveryUnstalledClockIsTenSecondsPastIt) {
  auto engine = open();
  bronze.commit(some_rows("11:58"), at("12:00:09.999999"));
  run(*engine);
  EXPECT_EQ(engine->status().complete_until, at("11:59:00"));
  bronze.commit({}, at("12:00:10"));  // a heartbeat completes the minute without any row
  run(*engine);
  EXPECT_EQ(engine->status().complete_until, at("12:00:00"));
  // Rows that are read but not yet in gold hold it back, whatever their clocks say.
  bronze.commit(some_rows("12:00"), at("12:05:00"));
  run(*engine);
  EXPECT_EQ(engine->status().complete_until, at("12:00:00"));
  next_minute(*engine);
  EXPECT_EQ(engine->status().complete_until, at("12:04:00"));
  // One partition behind holds the minute; once it is named stalled, the others go on and the status says so.
  bronze.commit({}, at("12:08:00"), {{1, at("12:05:10")}});
  run(*engine);
  EXPECT_EQ(engine->status().complete_until, at("12:05:00"));
  bronze.commit({}, at("12:08:00"), {}, {1});
  run(*engine);
  EXPECT_EQ(engine->status().complete_until, at("12:07:00"));
  EXPECT_EQ(engine->status().figures.at("stalled_partitions"), 1);
  EXPECT_NE(engine->status().message.find("partition 1"), std::string::npos) << engine->status().message;
}

TEST_F(EngineTest, ALateEventIsOneMorePartialRowOfItsMinute) {
  auto engine = open();
  bronze.commit(some_rows("11:50"), at("12:00:00"));
  run(*engine);
  const auto before = number("SELECT count(*) FROM " + gold("rollup"));
  bronze.commit({{.partition = 0, .ts = at("11:50:30"), .duration_ms = 900, .arrival = at("12:00:30")}}, at("12:00:40"));
  next_minute(*engine);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("rollup")), before + 1);
  EXPECT_EQ(number("SELECT late FROM " + gold("batch") + " WHERE batch_id = 2"), 1);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("rolling_5m") + " WHERE batch_id = 2"), 5);
  EXPECT_EQ(engine->status().figures.at("late_rows"), 1);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, ValuesWithoutALogarithmHaveTheirPlace) {
  auto engine = open();
  bronze.commit({{.ts = at("11:59:00"), .duration_ms = 0},
                 {.ts = at("11:59:01"), .duration_ms = -1 /* null */},
                 {.ts = at("11:59:02"), .duration_ms = 4}},
                at("12:00:00"));
  run(*engine);
  EXPECT_EQ(number("SELECT n FROM " + gold("histogram") + " WHERE bucket = -32768"), 1);
  EXPECT_EQ(number("SELECT n FROM " + gold("histogram") + " WHERE bucket = 16"), 1);
  EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("histogram")), 2);
  EXPECT_EQ(number("SELECT count_duration_ms FROM " + gold("rollup")), 2);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, KeysBeyondTheLimitFoldIntoOtherForGood) {
  bronze.branch.max_keys = 2;
  auto engine = open();
  const auto rows = [](const std::string& minute, std::vector<std::string> services) {
    std::vector<Row> made;
    for (auto& service : services) made.push_back({.ts = at(minute + ":00"), .service = service});
    return made;
  };
  // b and c are more frequent than a; between b and c, equally frequent, the key decides.
  bronze.commit(rows("11:58", {"a", "c", "c", "b", "b"}), at("12:00:00"));
  run(*engine);
  bronze.commit(rows("11:59", {"a", "a", "a", "d"}), at("12:00:01"));
  next_minute(*engine);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("key")), 2);
  EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("rollup") + " WHERE key = 'other'"), 5);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("rollup") + " WHERE key = 'other' AND service IS NOT NULL"), 0);
  // A new engine knows the admitted keys.
  engine = open();
  bronze.commit(rows("12:01", {"b", "e"}), at("12:02:00"));
  next_minute(*engine);
  EXPECT_EQ(number("SELECT count(DISTINCT key) FROM " + gold("rollup")), 3);
}

TEST_F(EngineTest, ALongHistoryIsManyBoundedBatches) {
  for (int m = 10; m < 30; ++m) bronze.commit(some_rows("11:" + std::to_string(m)), at("11:" + std::to_string(m) + ":59"));
  auto engine = open(*bronze.store, "a", {.batch_files_max = 4, .versions_per_step_max = 3});
  run(*engine);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 5);
  EXPECT_EQ(number("SELECT max(\"rows\") FROM " + gold("batch")), 28);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, ACrashAtAnyWriteOfABatchLosesAndDoublesNothing) {
  std::int64_t rows = 0;
  for (const auto fault : {env::Fault::kDieBefore, env::Fault::kDieAfter, env::Fault::kLostReply, env::Fault::kRefuse}) {
    for (int k = 1;; ++k) {
      bronze.commit(some_rows("11:58"), at("12:00:00"));
      env::FaultyStore faulty(*bronze.store);
      auto engine = open(faulty, "dying");
      faulty.fail_at(k, fault);
      bool failed = false;
      for (int i = 0; i < 3; ++i) failed |= !engine->step();
      const bool hit = faulty.mutations() >= k;
      engine.reset();
      auto next = open();
      run(*next);
      rows += 7;
      EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("rollup")), rows);
      EXPECT_EQ(number("SELECT sum(\"rows\")::BIGINT FROM " + gold("batch")), rows);
      if (HasFailure()) FAIL() << "fault " << static_cast<int>(fault) << " at write " << k;
      if (!hit) break;
      ASSERT_LT(k, 30);
    }
  }
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, TheSecondOfTwoEnginesWaitsForTheLease) {
  bronze.commit(some_rows("11:58"), at("12:00:00"));
  auto first = open(*bronze.store, "a"), second = open(*bronze.store, "b");
  run(*first);
  const auto seen = lease::look(*bronze.store, "gold/ops/_leases/engine");
  ASSERT_TRUE(seen && *seen);
  EXPECT_EQ((*seen)->word(), "embedded");
  bronze.commit(some_rows("12:00"), at("12:01:00"));
  next_minute(*second);
  EXPECT_EQ(second->status().state, "waiting for the lease");
  EXPECT_EQ(number("SELECT max(batch_id) FROM " + gold("batch")), 1);
  EXPECT_EQ(bronze::read_statuses(*bronze.store, BronzeFixture::kRoot)->at(0).state, "running");  // the holder's word
  ASSERT_TRUE(first->drain());
  run(*second);  // sees the first one's batch
  next_minute(*second);
  EXPECT_EQ(second->status().state, "running");
  EXPECT_EQ(number("SELECT max(batch_id) FROM " + gold("batch")), 2);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, AnEngineOfTheSameDirectoryNeedNotWaitForItsDeadPredecessor) {
  bronze.commit(some_rows("11:58"), at("12:00:00"));
  auto first = open();
  run(*first);
  auto second = open();
  bronze.commit(some_rows("12:00"), at("12:01:00"));
  next_minute(*second);
  EXPECT_EQ(number("SELECT max(batch_id) FROM " + gold("batch")), 2);
}

TEST_F(EngineTest, ABatchThatOutlastsItsLeaseIsNotCommitted) {
  auto first = open(*bronze.store, "a"), second = open(*bronze.store, "b");
  bronze.commit(some_rows("11:58"), at("12:00:00"));
  failpoints.on_reach = [&](std::string_view name) {
    if (name != "dashboard.after_range") return;
    failpoints.on_reach = nullptr;
    EXPECT_FALSE(*second->step());  // sees whose it is
    bronze.clock.advance(Limits{}.lease + Limits{}.lease_grace);
    run(*second);
  };
  const auto fenced = first->step();
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().kind, base::ErrorKind::kFenced);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 1);
  ASSERT_TRUE(second->drain());
  first = open(*bronze.store, "a");
  bronze.commit(some_rows("12:00"), at("12:05:00"));
  next_minute(*first);
  EXPECT_EQ(number("SELECT max(batch_id) FROM " + gold("batch")), 2);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, TheSecondOfTwoThatCommitFindsItselfOvertaken) {
  const Limits nobody_waits{.lease = base::Duration(0), .lease_grace = base::Duration(0)};
  auto first = open(*bronze.store, "a", nobody_waits), second = open(*bronze.store, "b", nobody_waits);
  bronze.commit(some_rows("11:58"), at("12:00:00"));
  failpoints.on_reach = [&](std::string_view name) {
    if (name != "dashboard.before_commit") return;
    failpoints.on_reach = nullptr;
    run(*second);
  };
  ASSERT_TRUE(first->step());
  EXPECT_EQ(failpoints.hits["dashboard.before_commit"], 2);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 1);
  bronze.commit(some_rows("12:00"), at("12:01:00"));
  first.reset();
  next_minute(*second);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("batch")), 2);
  EXPECT_EQ(number("SELECT max(batch_id) FROM " + gold("batch")), 2);
  expect_gold_equals_bronze();
}

TEST_F(EngineTest, RollupsAreAsDeclared) {
  bronze.branch.rollups = {{.name = "by_status", .by = {"status"}, .measures = {"duration_ms", "severity_number"}},
                           {.name = "all", .by = {}, .measures = {}}};
  auto engine = open();
  bronze.commit(some_rows("11:58"), at("12:00:00"));
  run(*engine);
  EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("rollup") + " WHERE rollup = 'by_status'"), 7);
  EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("rollup") + " WHERE key = '{\"status\":503}' AND status = '503'"), 2);
  EXPECT_EQ(number("SELECT n FROM " + gold("rollup") + " WHERE rollup = 'all' AND key = '{}'"), 7);
  EXPECT_EQ(number("SELECT sum(sum_severity_number)::BIGINT FROM " + gold("rollup") + " WHERE rollup = 'by_status'"), 79);
  EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("histogram") + " WHERE measure = 'severity_number'"), 7);
  EXPECT_EQ(number("SELECT count(*) FROM " + gold("rolling_5m") + " WHERE rollup = 'all' AND p50 IS NULL AND n = 7"), 5);
  // The same name with another meaning is refused; a new name is a new column or two.
  engine.reset();
  bronze.branch.rollups[0].by = {"service"};
  auto refused = Engine::open(bronze.topology, bronze.branch,
                              World{.lake = *bronze.store,
                                    .paths = {.lake = "", .bronze = BronzeFixture::kRoot},
                                    .clock = bronze.clock,
                                    .random = bronze.random,
                                    .failpoints = failpoints,
                                    .local_directory = bronze.directory + "/c"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  EXPECT_NE(refused.error().message.find("new name"), std::string::npos) << refused.error().message;
  bronze.branch.rollups[0].name = "by_service";
  engine = open();
  bronze.commit(some_rows("12:01"), at("12:02:00"));
  next_minute(*engine);
  EXPECT_EQ(number("SELECT sum(n)::BIGINT FROM " + gold("rollup") + " WHERE rollup = 'by_service' AND service = 'api'"), 4);
}

TEST_F(EngineTest, ARollupThatBronzeCannotAnswerIsRefusedWithItsPlace) {
  bronze.branch.place = {.file = "topology.yaml", .line = 12, .column = 5};
  const auto refused = [&](spec::RollupDecl rollup) {
    bronze.branch.rollups = {std::move(rollup)};
    const auto result = resolve_rollups(bronze.branch, bronze.topology.bronze);
    EXPECT_FALSE(result);
    return result ? "" : result.error().message;
  };
  EXPECT_TRUE(refused({"r", {"servise"}, {}}).starts_with("topology.yaml:12:5: rollup 'r': no column 'servise' in bronze"));
  EXPECT_NE(refused({"r", {"kind"}, {}}).find("another name"), std::string::npos);
  EXPECT_NE(refused({"r", {}, {"service"}}).find("not a number"), std::string::npos);
  EXPECT_NE(refused({"r", {"service", "service"}, {}}).find("twice"), std::string::npos);
}

TEST(Positions, SurviveTheirText) {
  const base::PositionVector positions{{{"logs@0", base::PartitionId(0)}, base::Offset(41)},
                                       {{"logs@0", base::PartitionId(12)}, base::Offset(-1)},
                                       {{"logs@1", base::PartitionId(0)}, base::Offset(9'000'000'000)}};
  EXPECT_EQ(positions_json(positions), R"({"logs@0":{"0":41,"12":-1},"logs@1":{"0":9000000000}})");
  EXPECT_EQ(*parse_positions(positions_json(positions)), positions);
  EXPECT_EQ(parse_positions("[1]").error().kind, base::ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace headpond::dashboard
