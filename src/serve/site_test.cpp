#include "serve/site.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "delta/upload.h"
#include "env/fake.h"
#include "env/real.h"

namespace headpond::serve {
namespace {

using Json = nlohmann::json;

base::Micros at(const std::string& time) {
  return *base::parse_rfc3339("2026-11-25T" + time + "Z");
}

struct FakeSource final : StatusSource {
  base::Result<std::vector<bronze::BranchStatus>> statuses() override {
    if (!trouble.empty()) return base::fail(base::ErrorKind::kRetry, trouble);
    return all;
  }
  std::vector<bronze::BranchStatus> all;
  std::string trouble;
};

class SiteTest : public ::testing::Test {
 protected:
  SiteTest()
      : directory((std::filesystem::temp_directory_path() /
                   ("headpond-serve-" + std::to_string(::getpid()) + "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name()))
                      .string()) {
    std::filesystem::remove_all(directory);
    store = std::move(*env::open_local_store(directory + "/lake"));
    sql = std::move(*sql::Engine::open({}));
    topology.name = "acme";
    topology.source.topic = "logs";
    for (const auto& [name, tier, freshness] : {std::tuple{"on-call", 1, 30}, {"live-ops", 2, 300}, {"finance", 4, 86400}}) {
      spec::Consumer consumer;
      consumer.name = name;
      consumer.tier = tier;
      consumer.freshness = base::Duration::seconds(freshness);
      topology.consumers.push_back(consumer);
    }
    add_branch("pages", spec::BranchKind::kPager, "on-call");
    add_branch("ops", spec::BranchKind::kDashboard, "live-ops");
    add_branch("bills", spec::BranchKind::kBilling, "finance");
    status("ingest", "ingest", 20, at("12:04:59"), 0);
    status("ops", "dashboard", 18, at("12:04:00"), 300);
  }
  ~SiteTest() override { std::filesystem::remove_all(directory); }

  void add_branch(const std::string& name, spec::BranchKind kind, const std::string& serves) {
    spec::Branch branch;
    branch.name = name;
    branch.kind = kind;
    branch.serves = {serves};
    topology.branches.push_back(branch);
  }
  void status(const std::string& branch, const std::string& kind, int version, base::Micros until, double promise) {
    bronze::BranchStatus status;
    status.branch = branch;
    status.kind = kind;
    status.engine = "embedded";
    status.state = "running";
    status.version = base::Version(version);
    status.updated_at = clock.now();
    status.complete_until = until;
    status.promise_s = promise;
    status.figures = {{"rows_per_s", 41.5}, {"kafka_lag", 3}};
    source.all.push_back(status);
  }
  std::unique_ptr<Site> open() {
    auto site = Site::open({topology, *store, {.lake = "", .bronze = "bronze/logs"}, clock, source, directory}, 256 << 20);
    EXPECT_TRUE(site) << site.error().message;
    (*site)->refresh();
    return std::move(*site);
  }
  Json ask(Site& site, const std::string& path, std::map<std::string, std::string> parameters = {}, int expected = 200) {
    const auto answer = site.handle({path, std::move(parameters)});
    EXPECT_EQ(answer.status, expected) << path << ": " << answer.body;
    return Json::parse(answer.body, nullptr, false);
  }

  // One version of the gold table: rows of `kind` given as SQL values.
  void gold(const std::vector<std::pair<std::string, std::string>>& selects, bool data_change = true) {
    delta::Table table(*store, "gold/ops");
    delta::Commit commit;
    commit.operation = "WRITE";
    if (gold_version_ < 0) {
      commit.protocol = delta::Protocol{};
      delta::Metadata metadata;
      metadata.id = delta::make_uuid(3, 4);
      for (const auto& [name, type] : {std::pair{"batch_id", "long"},
                                       {"rollup", "string"},
                                       {"minute", "timestamp"},
                                       {"key", "string"},
                                       {"service", "string"},
                                       {"n", "long"},
                                       {"bytes", "long"},
                                       {"errors", "long"},
                                       {"sum_duration_ms", "double"},
                                       {"count_duration_ms", "long"},
                                       {"measure", "string"},
                                       {"bucket", "integer"},
                                       {"rows", "long"},
                                       {"late", "long"},
                                       {"last_version", "long"},
                                       {"committed_at", "timestamp"},
                                       {"kind", "string"}})
        metadata.schema.push_back({name, type});
      metadata.partition_columns = {"kind"};
      metadata.configuration = {{"headpond.format", "1"}, {"headpond.rollup.default", "by service; measures duration_ms"}};
      commit.metadata = metadata;
    }
    for (const auto& [kind, select] : selects) {
      const auto local = directory + "/gold.parquet";
      const auto copied = sql->query("COPY (" + select + ") TO " + sql::quote_literal(local) + " (FORMAT parquet)");
      EXPECT_TRUE(copied) << copied.error().message;
      auto add = delta::upload_file(table, local, "kind=" + kind + "/" + std::to_string(++files_) + ".parquet", {{"kind", kind}}, 1, 0);
      EXPECT_TRUE(add) << add.error().message;
      add->data_change = data_change;
      commit.adds.push_back(std::move(*add));
    }
    const auto put = table.put(base::Version(++gold_version_), commit);
    ASSERT_TRUE(put) << put.error().message;
  }
  static std::pair<std::string, std::string> rollup(const std::string& values) {
    return {"rollup",
            "SELECT 1::BIGINT AS batch_id, 'default' AS rollup, ('2026-11-25 ' || m || ':00Z')::TIMESTAMPTZ AS minute, k AS key, s AS "
            "service, n::BIGINT AS n,"
            " (n * 100)::BIGINT AS bytes, e::BIGINT AS errors, (n * 2.5)::DOUBLE AS sum_duration_ms, n::BIGINT AS count_duration_ms FROM "
            "(VALUES " +
                values + ") v(m, k, s, n, e)"};
  }
  static std::pair<std::string, std::string> histogram(const std::string& values) {
    return {"histogram",
            "SELECT 1::BIGINT AS batch_id, 'default' AS rollup, ('2026-11-25 ' || m || ':00Z')::TIMESTAMPTZ AS minute, k AS key, "
            "'duration_ms' AS measure,"
            " b::INTEGER AS bucket, n::BIGINT AS n FROM (VALUES " +
                values + ") v(m, k, b, n)"};
  }
  static std::pair<std::string, std::string> batch(int id, int late) {
    return {"batch", "SELECT " + std::to_string(id) + "::BIGINT AS batch_id, 10::BIGINT AS \"rows\", " + std::to_string(late) +
                         "::BIGINT AS late, 18::BIGINT AS last_version, '2026-11-25 12:04:30Z'::TIMESTAMPTZ AS committed_at"};
  }

  std::string directory;
  std::unique_ptr<env::ObjectStore> store;
  std::unique_ptr<sql::Engine> sql;
  env::FakeClock clock{at("12:05:30")};
  spec::Topology topology;
  FakeSource source;
  int gold_version_ = -1, files_ = 0;
};

TEST_F(SiteTest, SumsPartialsIntoMinutesAndWindowsOfFive) {
  gold({rollup("('11:58', '{\"service\":\"api\"}', 'api', 1000, 9), ('11:59', '{\"service\":\"api\"}', 'api', 10, 1), ('12:03', "
               "'{\"service\":\"api\"}', 'api', 30, 2),"
               " ('12:03', '{\"service\":\"web\"}', 'web', 5, 5), ('12:04', '{\"service\":\"api\"}', 'api', 7, 0)"),
        histogram("('11:59', '{\"service\":\"api\"}', 16, 10), ('12:03', '{\"service\":\"api\"}', 24, 30), ('12:03', "
                  "'{\"service\":\"web\"}', -32768, 5)"),
        batch(1, 4)});
  auto site = open();
  auto d = ask(*site, "/api/dashboard", {{"minutes", "3"}});
  EXPECT_EQ(d["minutes"],
            Json({at("12:03:00").value() / 1'000'000, at("12:04:00").value() / 1'000'000, at("12:05:00").value() / 1'000'000}));
  EXPECT_EQ(d["complete"], 1);  // of those three, 12:03 alone
  EXPECT_EQ(d["complete_until_ms"], at("12:04:00").value() / 1000);
  // The last five complete minutes are 11:59 to 12:03; 11:58 and 12:04 are not in them.
  EXPECT_EQ(d["all"]["window"]["n"], 45);
  EXPECT_EQ(d["all"]["window"]["errors"], 8);
  EXPECT_EQ(d["groups"][0]["name"], "api");
  EXPECT_EQ(d["groups"][0]["window"]["n"], 40);
  EXPECT_EQ(d["groups"][0]["window"]["bytes"], 4000);
  EXPECT_NEAR(d["groups"][0]["window"]["p50"].get<double>(), std::pow(2, 24.5 / 8), 1e-9);
  EXPECT_EQ(d["groups"][1]["window"]["p99"], 0.0);
  EXPECT_EQ(d["groups"][0]["n"], Json({30, 7, 0}));
  EXPECT_EQ(d["groups"][0]["rolling"]["n"], Json({40, 37, 37}));
  EXPECT_NEAR(d["groups"][0]["rolling"]["p50"][0].get<double>(), std::pow(2, 24.5 / 8), 1e-9);
  EXPECT_EQ(d["late_rows_24h"], 4);
  EXPECT_EQ(d["last_batch"]["id"], 1);
}

// As Spark writes them: each file has every column, the partition's too, and timestamps without a zone.
TEST_F(SiteTest, ReadsGoldThatSparkWrote) {
  const auto by_spark = [](const std::pair<std::string, std::string>& rows, const std::string& times) {
    return std::pair{rows.first, "SELECT * REPLACE (" + times + "), '" + rows.first + "' AS kind FROM (" + rows.second + ")"};
  };
  gold({by_spark(rollup("('12:03', '{\"service\":\"api\"}', 'api', 30, 2)"), "minute::TIMESTAMP AS minute"),
        by_spark(batch(1, 3), "committed_at::TIMESTAMP AS committed_at")});
  auto site = open();
  const auto d = ask(*site, "/api/dashboard");
  EXPECT_EQ(d["all"]["window"]["n"], 30);
  EXPECT_EQ(d["late_rows_24h"], 3);
  EXPECT_EQ(d["last_batch"]["id"], 1);
  EXPECT_EQ(ask(*site, "/api/dashboard", {{"minutes", "3"}})["groups"][0]["n"], Json({30, 0, 0}));
}

TEST_F(SiteTest, FollowsNewVersionsAndCountsCompactedFilesOnce) {
  gold({rollup("('12:03', '{\"service\":\"api\"}', 'api', 30, 2)"), batch(1, 0)});
  auto site = open();
  gold({rollup("('12:03', '{\"service\":\"api\"}', 'api', 4, 0)"), batch(2, 1)});
  site->refresh();
  EXPECT_EQ(ask(*site, "/api/dashboard")["all"]["window"]["n"], 34);
  gold({rollup("('12:03', '{\"service\":\"api\"}', 'api', 34, 2)")}, false);
  site->refresh();
  EXPECT_EQ(ask(*site, "/api/dashboard")["all"]["window"]["n"], 34);
  EXPECT_EQ(ask(*site, "/api/dashboard")["gold_version"], 2);
}

TEST_F(SiteTest, RefusesAQuestionItCannotAnswerAndSaysWhatThereIs) {
  auto site = open();
  ask(*site, "/api/dashboard", {}, 404);
  gold({rollup("('12:03', '{\"service\":\"api\"}', 'api', 30, 2)"), batch(1, 0)});
  site->refresh();
  EXPECT_EQ(ask(*site, "/api/dashboard", {{"by", "host"}}, 400)["error"], "no dimension 'host'; there is service");
  ask(*site, "/api/dashboard", {{"rollup", "x"}}, 400);
  ask(*site, "/api/dashboard", {{"measure", "x"}}, 400);
  ask(*site, "/api/dashboard", {{"minutes", "9999"}}, 400);
  ask(*site, "/api/dashboard", {{"branch", "x"}}, 404);
  ask(*site, "/nothing", {}, 404);
}

TEST_F(SiteTest, TheCsvHasOneLineAMinuteAndKey) {
  gold({rollup("('12:03', '{\"service\":\"a,b\"}', 'a,b', 30, 2), ('12:04', '{\"service\":\"api\"}', 'api', 1, 0)"), batch(1, 0)});
  gold({rollup("('12:03', '{\"service\":\"a,b\"}', 'a,b', 1, 1)"), batch(2, 0)});
  const auto answer = open()->handle({"/api/rollups.csv", {}});
  EXPECT_EQ(answer.type, "text/csv; charset=utf-8");
  EXPECT_EQ(answer.body,
            "minute,key,service,n,bytes,errors,sum_duration_ms,count_duration_ms\r\n"
            "2026-11-25T12:03:00Z,\"{\"\"service\"\":\"\"a,b\"\"}\",\"a,b\",31,3100,3,77.5,31\r\n"
            "2026-11-25T12:04:00Z,\"{\"\"service\"\":\"\"api\"\"}\",api,1,100,0,2.5,1\r\n");
}

TEST_F(SiteTest, EveryEdgeCarriesRateLagAndFreshness) {
  source.all[1].state = "running";
  auto site = open();
  auto status = ask(*site, "/api/status");
  EXPECT_EQ(status["bronze_version"], 20);
  ASSERT_EQ(status["edges"].size(), 4u);
  EXPECT_EQ(status["edges"][0]["from"], "kafka");
  EXPECT_EQ(status["edges"][0]["lag"], 3);
  EXPECT_EQ(status["edges"][0]["rows_per_s"], 41.5);
  EXPECT_EQ(status["edges"][0]["freshness_s"], 31);
  EXPECT_EQ(status["edges"][1]["verdict"], "not running");  // the pager has never been heard of
  EXPECT_EQ(status["edges"][1]["rows_per_s"], nullptr);
  EXPECT_EQ(status["edges"][2]["to"], "ops");
  EXPECT_EQ(status["edges"][2]["lag"], 2);
  EXPECT_EQ(status["edges"][2]["freshness_s"], 90);
  const auto topology_document = ask(*site, "/api/topology");
  EXPECT_EQ(topology_document["branches"][0]["tag"], "real-time");
  EXPECT_EQ(topology_document["branches"][1]["tag"], "< 15min");
  EXPECT_EQ(topology_document["branches"][2]["tag"], "< 24h");
}

TEST_F(SiteTest, TheEdgeOutOfKafkaIsOfAllIngestersTogether) {
  status("ingest-1", "ingest", 19, at("12:05:00"), 0);
  source.all.back().figures = {{"rows_per_s", 8.5}, {"kafka_lag", 5}};
  source.all.back().updated_at = clock.now() + base::Duration::seconds(1);
  status("ingest-2", "ingest", 12, at("12:01:00"), 0);  // killed a while ago
  source.all.back().figures = {{"rows_per_s", 1000}, {"kafka_lag", 70}};
  source.all.back().updated_at = clock.now() - base::Duration::seconds(60);
  auto site = open();
  const auto edge = ask(*site, "/api/status")["edges"][0];
  EXPECT_EQ(edge["rows_per_s"], 50);
  EXPECT_EQ(edge["lag"], 5);
  EXPECT_EQ(edge["verdict"], "running");
  EXPECT_EQ(site->handle({"/readyz/ingest", {}}).body, "ingest-2: not running \n");
  EXPECT_NE(site->handle({"/metrics/ingest", {}}).body.find("headpond_up{branch=\"ingest-2\",kind=\"ingest\"} 0\n"), std::string::npos);
}

TEST_F(SiteTest, StalenessIsSaid) {
  auto verdict = [&](const std::string& branch) {
    for (const auto& standing : standings(source.all, clock.now()))
      if (standing.status.branch == branch) return standing.verdict;
    return std::string();
  };
  EXPECT_EQ(verdict("ops"), "running");
  source.all[1].complete_until = at("12:00:00");  // 330 s against a promise of 300
  EXPECT_EQ(verdict("ops"), "late");
  clock.advance(base::Duration::seconds(31));
  EXPECT_EQ(verdict("ops"), "not running");
  source.all[1].state = "failed";
  EXPECT_EQ(verdict("ops"), "failed");
  // A bill is fresh while every closed day has one, and old from the close of the first that has none.
  status("bills", "billing", 0, *base::parse_day("2026-11-25"), 86400);
  EXPECT_EQ(standings(source.all, clock.now()).back().freshness_s, 0);
  source.all.back().complete_until = *base::parse_day("2026-11-24");
  EXPECT_NEAR(*standings(source.all, clock.now()).back().freshness_s, 12.1 * 3600, 200);
}

TEST_F(SiteTest, ReadyMeansEverythingWasReadAndRuns) {
  auto site = open();
  EXPECT_EQ(site->handle({"/livez", {}}).status, 200);
  EXPECT_EQ(site->handle({"/readyz", {}}).status, 200);
  EXPECT_EQ(site->handle({"/readyz/ops", {}}).status, 200);
  EXPECT_EQ(site->handle({"/readyz/pages", {}}).status, 503);
  source.all[1].state = "backing off";
  source.all[1].message = "disk full";
  site->refresh();
  EXPECT_EQ(site->handle({"/readyz", {}}).body, "ops: backing off disk full\n");
  EXPECT_EQ(site->handle({"/readyz/ingest", {}}).status, 200);
  source.trouble = "lake gone";
  site->refresh();
  EXPECT_NE(site->handle({"/readyz/ingest", {}}).body.find("status: lake gone"), std::string::npos);
  EXPECT_NE(site->handle({"/metrics", {}}).body.find("headpond_kafka_lag{branch=\"ingest\",kind=\"ingest\"} 3\n"), std::string::npos);
  EXPECT_EQ(site->handle({"/metrics/ops", {}}).body.find("branch=\"ingest\""), std::string::npos);
}

TEST_F(SiteTest, PagesAreFoldedByIdentity) {
  const auto row = [](int seq, const std::string& kind, const std::string& target, const std::string& status_text,
                      const std::string& minute, double value) {
    return "(1::BIGINT, 'g/Burst', '{\"service\":\"api\"}', " + std::to_string(seq) + "::BIGINT, '" + kind + "', true, '2026-11-25 " +
           minute + ":00'::TIMESTAMP, '2026-11-25 " + minute + ":00'::TIMESTAMP, " + std::to_string(value) +
           "::DOUBLE, 3::BIGINT, '{\"alertname\":\"Burst\"}', '{\"summary\":\"much\"}', '[]', '{\"window\":\"1m\"}', '" + target + "', '" +
           status_text + "', '2026-11-25 " + minute + (target.empty() ? ":09'" : ":01'") + "::TIMESTAMP, 1::INTEGER, 'HTTP 200', 'd', " +
           (target.empty() ? "NULL" : "800") + "::BIGINT)";
  };
  delta::Table table(*store, "pages/pages");
  delta::Commit commit;
  commit.protocol = delta::Protocol{};
  commit.metadata = delta::Metadata{};
  commit.metadata->id = delta::make_uuid(5, 6);
  commit.metadata->schema = {{"rule", "string"}};
  const auto local = directory + "/pages.parquet";
  const auto copied =
      sql->query("COPY (SELECT * FROM (VALUES " + row(1, "firing", "hook", "delivered", "12:00", 5) + ", " +
                 row(1, "firing", "am", "dead", "12:00", 5) + ", " + row(1, "firing", "", "settled", "12:00", 9) + ", " +
                 row(2, "resolved", "hook", "delivered", "12:02", 0) + ", " + row(3, "firing", "hook", "delivered", "12:04", 6) +
                 ") t(generation, rule, key, seq, kind, announced, boundary, began_at, value, version, labels, annotations, incomplete, "
                 "evidence, target, status,"
                 " sent_at, attempts, detail, dedup_key, event_to_page_ms)) TO " +
                 sql::quote_literal(local) + " (FORMAT parquet)");
  ASSERT_TRUE(copied) << copied.error().message;
  auto add = delta::upload_file(table, local, "a.parquet", {}, 5, 0);
  ASSERT_TRUE(add);
  commit.adds.push_back(*add);
  ASSERT_TRUE(table.put(base::Version(0), commit));
  const auto pages = ask(*open(), "/api/pages");
  ASSERT_EQ(pages["firing"].size(), 1u);
  EXPECT_EQ(pages["firing"][0]["seq"], 3);
  ASSERT_EQ(pages["recent"].size(), 3u);
  EXPECT_EQ(pages["recent"][2]["value"], 9.0);  // the settled value of what was announced with 5
  EXPECT_EQ(pages["recent"][2]["event_to_page_ms"], 800);
  EXPECT_EQ(pages["recent"][2]["targets"].size(), 2u);
  EXPECT_EQ(pages["recent"][2]["evidence"]["window"], "1m");
}

TEST_F(SiteTest, TheLastBillAndItsFilesAreServedAndNothingElseOfTheLake) {
  EXPECT_EQ(ask(*open(), "/api/bill"), nullptr);
  const auto put = [&](const std::string& path, const std::string& text) { ASSERT_TRUE(store->put("billing/bills/" + path, text)); };
  put("certificates/2026-11-23.json", R"({"bill":{"total":"1.00"},"totals":{"events":1},"partitions":[]})");
  put("certificates/2026-11-24.json",
      R"({"bill":{"total":"12.30","currency":"USD"},"totals":{"events":9},"partitions":[{},{}],"clock":"ingest"})");
  put("reports/2026-11-24.html", "<p>bill</p>");
  put("secret.json", "{}");
  auto site = open();
  const auto bill = ask(*site, "/api/bill");
  EXPECT_EQ(bill["day"], "2026-11-24");
  EXPECT_EQ(bill["bill"]["total"], "12.30");
  EXPECT_EQ(bill["partitions"], 2);
  EXPECT_EQ(bill["days"].size(), 2u);
  EXPECT_EQ(site->handle({"/bill/2026-11-24", {}}).body, "<p>bill</p>");
  EXPECT_EQ(site->handle({"/bill/2026-11-23", {}}).status, 404);
  EXPECT_EQ(site->handle({"/bill/../secret.json", {}}).status, 404);
  EXPECT_EQ(site->handle({"/bill/2026-11-24/../../secret.json", {}}).status, 404);
}

TEST_F(SiteTest, ThePageAndItsPartsAreInTheBinary) {
  auto site = open();
  const auto page = site->handle({"/", {}});
  EXPECT_EQ(page.type, "text/html; charset=utf-8");
  for (const char* part : {"app.js", "charts.js", "picture.js", "style.css", "uPlot.iife.min.js", "uPlot.min.css"}) {
    EXPECT_NE(page.body.find(std::string("\"") + part + "\""), std::string::npos) << part;
    EXPECT_GT(site->handle({std::string("/") + part, {}}).body.size(), 1000u) << part;
  }
}

}  // namespace
}  // namespace headpond::serve
