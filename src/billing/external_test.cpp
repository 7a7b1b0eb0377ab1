#include "billing/external.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "billing/calculation.h"
#include "billing/test_world.h"
#include "lease/lease.h"

namespace headpond::billing {
namespace {

using testing::at;
using testing::day;
using ::testing::HasSubstr;
using testing::TestLake;

std::string after(const env::ProcessRequest& request, const std::string& word) {
  const auto it = std::find(request.argv.begin(), request.argv.end(), word);
  return it == request.argv.end() ? "" : *(it + 1);
}

// Does what an engine does: reads the inputs, runs the models, writes the result. `spoil` is SQL run before it is written.
class EngineDouble final : public env::Processes {
 public:
  base::Result<env::ProcessResult> run(const env::ProcessRequest& request) override {
    ++runs;
    last = request;
    if (before) before();
    if (request.give_up && request.give_up()) return base::fail(base::ErrorKind::kRetry, "given up");
    if (code != 0) return env::ProcessResult{code, "one\ntwo\nthe cause\n"};
    const auto inputs = nlohmann::json::parse(std::ifstream(after(request, "--inputs")));
    auto sql = *sql::Engine::open({});
    const std::string date = inputs["day"], output = after(request, "--output");
    TRY_VOID(compute_usage(*sql, date, inputs["relation"].get<std::string>()));
    std::vector<Rate> rates;
    for (const auto& r : inputs["rates"]) {
      const auto text = [&](const char* key) { return r[key].is_null() ? std::nullopt : std::optional(r[key].get<std::string>()); };
      rates.push_back({text("tenant"), r["item"], r["tier"], r["lower"], text("upper"), r["price"], r["currency"]});
    }
    TRY_VOID(compute_lines(*sql, date, rates));
    if (!spoil.empty()) TRY_VOID(sql->query(spoil));
    for (const std::string table : {"usage_15m", "usage_peak", "invoice_lines"}) {
      std::filesystem::create_directories(output + "/" + table);
      TRY_VOID(sql->query("COPY " + table + " TO '" + output + "/" + table + "/part-0.parquet' (FORMAT parquet)"));
    }
    if (finish) std::ofstream(after(request, "--result")) << R"({"format": 1, "engine": "dbt-duckdb", "versions": "dbt-core 1.11.16"})";
    return env::ProcessResult{0, ""};
  }
  base::Result<std::int64_t> start(const env::ProcessRequest&) override { return base::fail(base::ErrorKind::kInvalid, "not used"); }
  bool running(std::int64_t) override { return false; }

  int runs = 0, code = 0;
  bool finish = true;
  std::string spoil;
  std::function<void()> before;
  env::ProcessRequest last;
};

struct ExternalBill : ::testing::Test {
  ExternalBill()
      : calculator({.word = "dbt", .argv = {"dbt", "--work={run}/work"}, .environment = {}, .files = {{"job.json", "{}"}}}, engine) {
    lake.fill_two_days();
  }
  base::Result<DayResult> run(const char* date = "2026-11-24") {
    auto world = lake.world();
    world.calculator = &calculator;
    return run_day(lake.settings, world, day(date), false);
  }
  std::string refusal() {
    const auto result = run("2026-11-23");
    if (result) return "no refusal";
    for (const auto& [path, bytes] : lake.branch_objects()) ADD_FAILURE() << path << " was written";
    return result.error().message;
  }

  TestLake lake;
  EngineDouble engine;
  ExternalCalculator calculator;
};

TEST_F(ExternalBill, StoresTheBytesThatTheEmbeddedEngineStoresAndItsNameInTheCertificate) {
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-24"), false));
  const auto embedded = lake.branch_objects();
  std::filesystem::remove_all(lake.directory / "lake" / "billing");
  const auto result = run();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(engine.runs, 2);
  for (const auto& [path, bytes] : embedded) {
    // The engine's name stands in the certificates, and their hash in the next day's page.
    if (path.find("_delta_log") == std::string::npos && path.find("/certificates/") == std::string::npos && !path.ends_with("-24.html")) {
      EXPECT_EQ(lake.read(path), bytes) << path;
    }
  }
  for (const auto& [path, bytes] : lake.branch_objects()) EXPECT_EQ(path.find("_staging"), std::string::npos) << path;
  const std::string name = "billing/billing-capacity/certificates/2026-11-23.json";
  const auto ours = *parse_certificate(embedded.at(name), name);
  auto theirs = *parse_certificate(lake.read(name), name);
  EXPECT_FALSE(ours.engine);
  EXPECT_EQ(theirs.engine, (MadeBy{"dbt-duckdb", "dbt-core 1.11.16"}));
  theirs.engine = ours.engine;
  EXPECT_EQ(to_json(theirs), embedded.at(name));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(after(engine.last, "--inputs")).parent_path()));
  EXPECT_EQ(engine.last.argv[1], "--work=" + std::filesystem::path(after(engine.last, "--inputs")).parent_path().string() + "/work");
  const auto again = run();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->stored_before);
  EXPECT_EQ(engine.runs, 3);
  const auto before = lake.branch_objects();
  const auto embedded_again = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_TRUE(embedded_again) << embedded_again.error().message;
  EXPECT_TRUE(embedded_again->stored_before);
  EXPECT_EQ(lake.branch_objects(), before);
}

TEST_F(ExternalBill, RefusesAResultThatTheLedgerOrThePricesContradict) {
  engine.spoil = "DELETE FROM usage_15m WHERE tenant = 'acme' AND slot = 3 AND service = 'api'";
  EXPECT_THAT(refusal(), HasSubstr("(dbt) does not add up with bronze's log: at 00:45"));
  engine.spoil = "UPDATE usage_15m SET bytes = bytes + 1 WHERE slot = 90";
  EXPECT_THAT(refusal(), HasSubstr("does not add up with bronze's log: at 22:30"));
  engine.spoil = "UPDATE invoice_lines SET amount = amount + 0.01 WHERE tenant = 'globex' AND tier = 2";
  EXPECT_THAT(refusal(), HasSubstr("the invoice_lines of dbt are not those of its usage at the day's prices"));
  engine.spoil = "UPDATE usage_peak SET peak_epm = 1000 WHERE slot = 3";
  EXPECT_THAT(refusal(), HasSubstr("the usage_peak of dbt does not fit its usage_15m"));
  engine.spoil = "DELETE FROM usage_peak WHERE slot = 3";
  EXPECT_THAT(refusal(), HasSubstr("does not fit"));
  engine.spoil = "UPDATE usage_peak SET day = DATE '2020-01-01'";
  EXPECT_THAT(refusal(), HasSubstr("rows of another day than 2026-11-23"));
  engine.spoil.clear();
  engine.finish = false;
  EXPECT_THAT(refusal(), HasSubstr("ended well but left no result"));
  engine.finish = true;
  EXPECT_TRUE(run());
}

TEST_F(ExternalBill, AFailedEngineIsTriedAgainAndItsLastWordsAreGiven) {
  engine.code = 3;
  const auto failed = run();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, base::ErrorKind::kRetry);
  EXPECT_THAT(failed.error().message, HasSubstr("dbt failed on 2026-11-23 with exit code 3: one | two | the cause; all of it is in "));
  EXPECT_THAT(failed.error().message, HasSubstr("/dbt-2026-11-23.log"));
  engine.code = 0;
  EXPECT_TRUE(run());
}

TEST_F(ExternalBill, AnInterruptedRunIsGivenUp) {
  engine.before = [&] { calculator.interrupt(); };
  const auto stopped = run();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().kind, base::ErrorKind::kRetry);
  EXPECT_EQ(engine.runs, 1);
  EXPECT_FALSE(run());
  EXPECT_EQ(engine.runs, 1);
}

TEST_F(ExternalBill, DoesNotBeginWhileAnotherEngineHoldsTheBranchAndStopsWhenItLosesIt) {
  const lease::LeaseOptions options{.root = "billing/billing-capacity/_leases/engine", .holder = "pyspark:elsewhere"};
  lease::Lease other(*lake.store, lake.clock, lake.random, options);
  ASSERT_TRUE(*other.acquire());
  EXPECT_THAT(refusal(), HasSubstr("branch billing-capacity is run by pyspark:elsewhere elsewhere"));
  EXPECT_EQ(engine.runs, 0);
  ASSERT_TRUE(other.release());
  engine.before = [&] {
    lake.clock.advance(base::Duration::seconds(60));
    lease::Lease taker(*lake.store, lake.clock, lake.random, options);
    EXPECT_FALSE(*taker.acquire());
    lake.clock.advance(base::Duration::seconds(60));
    EXPECT_TRUE(*taker.acquire());
  };
  EXPECT_THAT(refusal(), HasSubstr("another engine took over branch billing-capacity; this one was stopped"));
}

}  // namespace
}  // namespace headpond::billing
