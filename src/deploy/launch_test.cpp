// How a branch starts and what refuses it, over a store in memory, a fake Flink and fake programs.
#include "deploy/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/time.h"
#include "bronze/cursor.h"
#include "bronze/facts.h"
#include "bronze/log_upkeep.h"
#include "delta/log.h"
#include "deploy/readiness.h"
#include "deploy/start.h"
#include "env/fake.h"
#include "lease/lease.h"
#include "notify/generation.h"
#include "spec/rules_file.h"

namespace headpond::deploy {
namespace {

using base::ErrorKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kRules = R"(groups:
  - name: g
    interval: 1s
    lateness: 5s
    rules:
      - alert: Short
        expr: count(status >= 500)[1m] > 5
        by: [service]
      - alert: Long
        expr: count(status >= 500)[10m] > 50
        by: [service]
)";

struct FakeHttp : env::HttpClient {
  base::Result<env::HttpResponse> answer = env::HttpResponse{};
  std::vector<std::string> asked;
  base::Result<env::HttpResponse> send(const env::HttpRequest& request) override {
    asked.push_back(request.method + " " + request.url);
    return answer;
  }
};

struct FakeProcesses : env::Processes {
  std::deque<base::Result<env::ProcessResult>> answers;
  std::vector<env::ProcessRequest> asked;
  bool alive = true;
  std::function<void()> on_start;
  base::Result<env::ProcessResult> run(const env::ProcessRequest& request) override {
    asked.push_back(request);
    auto answer = answers.front();
    if (answers.size() > 1) answers.pop_front();
    return answer;
  }
  base::Result<std::int64_t> start(const env::ProcessRequest& request) override {
    asked.push_back(request);
    if (on_start) on_start();
    return 77;
  }
  bool running(std::int64_t) override { return alive; }
};

rules::Program program_of(const std::string& text) {
  const auto loaded = spec::load_rules(text, "r.yaml");
  auto compiled = rules::compile(loaded.groups, {{"status", rules::ColumnType::kInt32}, {"service", rules::ColumnType::kString}});
  EXPECT_TRUE(compiled.program);
  return std::move(*compiled.program);
}

class LaunchTest : public testing::Test {
 protected:
  LaunchTest() {
    topology.path = "t.yaml";
    topology.name = "acme";
    branch.name = "pager";
    branch.engine = "flink";
    branch.state = spec::StateSpec{"rocksdb", "s3://b/pager", "s3://b/pager"};
    directory = "/tmp/launch-test-XXXXXX";
    EXPECT_NE(mkdtemp(directory.data()), nullptr);
  }
  ~LaunchTest() override { std::filesystem::remove_all(directory); }

  static void first(delta::Commit& commit) {
    commit.protocol = delta::Protocol{};
    commit.protocol->min_writer_version = 7;
    commit.protocol->writer_features = {"headpond"};
    delta::Metadata metadata;
    metadata.id = delta::make_uuid(1, 2);
    metadata.name = "logs";
    for (const auto& [name, type] : {std::pair{"ts", "timestamp"}, {"arrival", "timestamp"}, {"ingest_date", "date"}})
      metadata.schema.push_back({name, type, true});
    metadata.partition_columns = {"ingest_date"};
    commit.metadata = metadata;
  }

  // Bronze: `count` versions with a row each, `step` apart, the last one just now.
  void fill(int count, base::Duration step, int from = 0) {
    delta::Table table(lake, "bronze");
    for (int i = from; i < count; ++i) {
      delta::Commit commit;
      commit.timestamp_ms = (clock.now() - step * (count - 1 - i)).value() / 1000;
      commit.operation = "WRITE";
      commit.headpond = bronze::to_json(bronze::CommitFacts{});
      const auto time = base::format_rfc3339(base::Micros(commit.timestamp_ms * 1000));
      const auto bounds = R"({"ts":")" + time + R"(","arrival":")" + time + R"("})";
      delta::AddFile file;
      file.path = "ingest_date=2026-11-25/" + std::to_string(i) + ".parquet";
      file.partition_values = {{"ingest_date", "2026-11-25"}};
      file.size = 1;
      file.stats = R"({"numRecords":1,"minValues":)" + bounds + R"(,"maxValues":)" + bounds + "}";
      file.tags = {{"headpond.versions", std::to_string(i) + "-" + std::to_string(i)}};
      commit.adds.push_back(std::move(file));
      if (i == 0) first(commit);
      ASSERT_TRUE(table.put(base::Version(i), commit));
    }
  }

  PackageInput input() {
    JobInput job{.topology = topology, .branch = branch, .paths = {"s3://b", "bronze"}, .start = {}, .program_json = {}};
    return {.job = job, .tools = {}, .directory = directory + "/out/pager", .from = {}};
  }
  World world() { return {lake, &checkpoints, processes, clock}; }

  spec::Topology topology;
  spec::Branch branch;
  env::FakeClock clock;
  env::MemoryStore lake{&clock}, checkpoints{&clock};
  env::SeededRandom random;
  env::FakeFailpoints failpoints;
  FakeHttp http;
  FakeProcesses processes;
  std::string directory;
};

TEST_F(LaunchTest, AColdStartReadsFromWhereEveryRuleKnowsItsWindow) {
  fill(3601, base::kSecond);  // an hour
  auto program = program_of(kRules);
  const auto start = cold_start(lake, "bronze", program, topology.bronze, clock.now());
  ASSERT_TRUE(start) << start.error().message;
  EXPECT_THAT(start->blind, IsEmpty());
  // 10 m + a coarse slice of 10 s + 5 s of lateness + 5 m and 500 ms a row may run ahead = 915.5 s before version 3600.
  EXPECT_EQ(start->behind, base::Version(3600 - 916));
  ASSERT_TRUE(start->sees_rows_from);
  EXPECT_EQ(clock.now() - *start->sees_rows_from, base::Duration::seconds(615));
}

TEST_F(LaunchTest, AYoungBronzeIsReadWholeAndTheRulesItIsTooYoungForAreNamed) {
  fill(121, base::kSecond);  // two minutes
  auto program = program_of(kRules);
  const auto start = cold_start(lake, "bronze", program, topology.bronze, base::Micros(clock.now()));
  ASSERT_TRUE(start);
  EXPECT_EQ(start->behind, base::Version(-1));
  EXPECT_FALSE(start->sees_rows_from);
  ASSERT_EQ(start->blind.size(), 1u);
  EXPECT_THAT(start->blind[0], HasSubstr("rule g/Long is blind until "));
  EXPECT_THAT(start->blind[0], HasSubstr(": bronze begins at "));
  EXPECT_THAT(start->blind[0], HasSubstr("and it looks back 10m15s"));
}

TEST_F(LaunchTest, ALogThatDoesNotReachBackMakesRulesBlindToo) {
  fill(400, base::kSecond, 300);
  auto program = program_of(kRules);
  const auto start = cold_start(lake, "bronze", program, topology.bronze, clock.now());
  ASSERT_TRUE(start);
  EXPECT_EQ(start->behind, base::Version(299));
  ASSERT_EQ(start->blind.size(), 1u);
  EXPECT_THAT(start->blind[0], HasSubstr("the log reaches back to"));
}

// The rows of the entries that are gone are in the checkpoint's files.
TEST_F(LaunchTest, ACleanedLogMakesNoRuleBlindWhoseRowsAreStillThere) {
  fill(3601, base::kSecond);
  const auto kept =
      bronze::keep_log(lake, "bronze", {.scratch = directory, .log_retention = {}, .checkpoint_now = true}, {clock, failpoints});
  ASSERT_TRUE(kept) << kept.error().message;
  ASSERT_EQ(kept->log_begins, base::Version(3600));
  auto program = program_of(kRules);
  const auto start = cold_start(lake, "bronze", program, topology.bronze, clock.now());
  ASSERT_TRUE(start) << start.error().message;
  EXPECT_THAT(start->blind, IsEmpty());
  EXPECT_EQ(start->behind, base::Version(3600 - 916));
  EXPECT_EQ(clock.now() - *start->sees_rows_from, base::Duration::seconds(615));

  // Ten minutes of rows only: the long rule knows less than its window.
  clock.advance(base::Duration::seconds(1));
  const auto young = cold_start(lake, "bronze", program, topology.bronze, clock.now() - base::Duration::seconds(3000));
  ASSERT_TRUE(young);
  EXPECT_EQ(young->behind, base::Version(-1));
  ASSERT_EQ(young->blind.size(), 1u);
  EXPECT_THAT(young->blind[0], HasSubstr("bronze's rows reach back to"));
}

TEST_F(LaunchTest, DecidingChangesNothingAndClaimingTakesTheNextGeneration) {
  fill(3601, base::kSecond);
  ASSERT_TRUE(notify::claim_generation(lake, "pages/pager", base::Micros(5)));
  const auto before = lake.list("");
  auto in = input();
  auto program = program_of(kRules);
  const auto start = decide(in, program, world(), false);
  ASSERT_TRUE(start) << start.error().message;
  EXPECT_TRUE(start->cold);
  EXPECT_EQ(in.job.start.generation, 2);
  EXPECT_EQ(lake.list("")->size(), before->size());
  ASSERT_TRUE(claim(*start, in, world()));
  const auto newest = notify::newest_generation(lake, "pages/pager");
  EXPECT_EQ((*newest)->number, 2);
  EXPECT_EQ((*newest)->claimed_at, in.job.start.claimed_at);
  EXPECT_TRUE(*read_names(lake, "pages/pager", 2));
}

TEST_F(LaunchTest, AWarmStartKeepsGenerationAndNumbersAndTakesTheNewestCheckpoint) {
  fill(3601, base::kSecond);
  auto in = input();
  auto program = program_of(kRules);
  const auto first = decide(in, program, world(), false);
  ASSERT_TRUE(first);
  ASSERT_TRUE(claim(*first, in, world()));
  const auto claimed_at = in.job.start.claimed_at;
  ASSERT_TRUE(checkpoints.put("pager/g0000000001/ab/chk-7/_metadata", "x"));
  clock.advance(base::kMinute);
  ASSERT_TRUE(checkpoints.put("pager/g0000000001/savepoints/savepoint-1/_metadata", "x"));
  ASSERT_TRUE(checkpoints.put("pager/g0000000001/ab/chk-8/half", "x"));
  ASSERT_TRUE(checkpoints.put("pager/g0000000009/ab/chk-9/_metadata", "of another generation"));

  auto again = program_of(kRules);
  auto in2 = input();
  const auto warm = decide(in2, again, world(), false);
  ASSERT_TRUE(warm) << warm.error().message;
  EXPECT_FALSE(warm->cold);
  EXPECT_EQ(in2.from, "s3://b/pager/pager/g0000000001/savepoints/savepoint-1");
  EXPECT_EQ(in2.job.start.generation, 1);
  EXPECT_EQ(in2.job.start.claimed_at, claimed_at);
  EXPECT_EQ(again.find("g/Long")->id, program.find("g/Long")->id);
  EXPECT_EQ(again.find("g/Short")->id, program.find("g/Short")->id);
  ASSERT_TRUE(claim(*warm, in2, world()));
  EXPECT_EQ((*notify::newest_generation(lake, "pages/pager"))->number, 1);

  auto in3 = input();
  auto fresh = program_of(kRules);
  const auto forced = decide(in3, fresh, world(), true);
  ASSERT_TRUE(forced);
  EXPECT_TRUE(forced->cold);
  EXPECT_EQ(in3.job.start.generation, 2);
}

TEST_F(LaunchTest, FlinkIsRefusedALakeItsJobCannotRead) {
  auto on_flink = topology;
  auto pager = branch;
  pager.engine = "flink";
  for (const char* good : {"/srv/lake/bronze/logs", "file:///srv/lake/bronze/logs", "s3://acme/bronze/logs"}) {
    on_flink.bronze.location = good;
    EXPECT_TRUE(check_flink_lake(on_flink, pager)) << good;
  }
  for (const char* bad : {"gs://acme/bronze/logs", "abfss://c@a.dfs.core.windows.net/bronze/logs"}) {
    on_flink.bronze.location = bad;
    const auto refused = check_flink_lake(on_flink, pager);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
    EXPECT_THAT(refused.error().message, HasSubstr(std::string("cannot use ") + bad + ": its job reads s3://"));
  }
  pager.engine = "spark";
  EXPECT_TRUE(check_flink_lake(on_flink, pager));
}

TEST_F(LaunchTest, AWarmStartRefusesEditedRulesByName) {
  fill(3601, base::kSecond);
  auto in = input();
  auto program = program_of(kRules);
  const auto first = decide(in, program, world(), false);
  ASSERT_TRUE(first);
  ASSERT_TRUE(claim(*first, in, world()));
  ASSERT_TRUE(checkpoints.put("pager/g0000000001/ab/chk-7/_metadata", "x"));
  std::string edited = kRules;
  edited.replace(edited.find("> 5\n"), 4, "> 6\n");
  edited.replace(edited.find("      - alert: Short"), 0,
                 "      - alert: New\n        expr: count(status >= 400)[1m] > 9\n        by: [service]\n");
  auto in2 = input();
  auto again = program_of(edited);
  const auto warm = decide(in2, again, world(), false);
  ASSERT_FALSE(warm);
  EXPECT_EQ(warm.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(warm.error().message, HasSubstr("rule g/New was added, rule g/"));
  EXPECT_THAT(warm.error().message, HasSubstr(" was edited since generation 1 began"));
  EXPECT_THAT(warm.error().message, HasSubstr("put them back, or start afresh with --new-generation"));
  auto in3 = input();
  EXPECT_TRUE(decide(in3, again, world(), true)) << "a new generation may have other rules";
}

TEST_F(LaunchTest, AWarmStartRefusesRulesWhosePagesItCouldNotResolve) {
  fill(3601, base::kSecond);
  auto in = input();
  auto program = program_of(kRules);
  const auto first = decide(in, program, world(), false);
  ASSERT_TRUE(claim(*first, in, world()));
  ASSERT_TRUE(checkpoints.put("pager/g0000000001/ab/chk-7/_metadata", "x"));
  const std::string fewer = std::string(kRules).substr(0, std::string(kRules).find("      - alert: Long"));
  auto in2 = input();
  auto less = program_of(fewer);
  const auto refused = decide(in2, less, world(), false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(refused.error().message,
              HasSubstr("rule g/Long was removed, or has another `by`, interval or lateness, since generation 1 began"));
}

TEST_F(LaunchTest, HandingOverWritesTheFilesAndSaysTheJobsId) {
  auto in = input();
  in.job.program_json = R"({"format":1,"folds":[]})";
  processes.answers = {env::ProcessResult{0, "Job has been submitted with JobID 0123456789abcdef0123456789abcdef\n"}};
  const auto said = hand_over(package(in), in, world());
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_EQ(*said, "job 0123456789abcdef0123456789abcdef is submitted");
  EXPECT_TRUE(std::filesystem::exists(in.directory + "/job.json"));
  EXPECT_TRUE(std::filesystem::exists(in.directory + "/config.yaml"));
  processes.answers = {env::ProcessResult{1, "noise\nCould not connect to the JobManager.\n"}};
  const auto failed = hand_over(package(in), in, world());
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("flink ended with exit code 1: noise\nCould not connect to the JobManager. (all of it: "));
}

TEST_F(LaunchTest, ADriverIsWaitedForUntilItsCursorSaysThatItRuns) {
  branch.kind = spec::BranchKind::kDashboard;
  branch.engine = "spark";
  auto in = input();
  const auto publish = [&] {
    clock.advance(base::kSecond);
    bronze::BranchStatus status;
    status.branch = "pager";
    status.kind = "dashboard";
    status.engine = "spark";
    status.state = "running";
    status.version = base::Version(9);
    status.updated_at = clock.now();
    ASSERT_TRUE(bronze::publish_status(lake, "bronze", status));
  };
  publish();  // of an earlier run: no sign of this one
  processes.on_start = publish;
  const auto said = hand_over(package(in), in, world());
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_THAT(*said, HasSubstr("runs as process 77 (running, version 9)"));

  processes.on_start = [&] { std::ofstream(in.directory + "/driver.log") << "Traceback\nException: no master\n"; };
  processes.alive = false;
  const auto failed = hand_over(package(in), in, world());
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("the driver of pager ended: "));
  EXPECT_THAT(failed.error().message, HasSubstr("Exception: no master"));
}

TEST_F(LaunchTest, ABranchThatAnotherEngineHoldsIsRefusedUntilItsLeaseIsGone) {
  const spec::LakePaths paths{"s3://b", "bronze"};
  EXPECT_TRUE(check_lease(lake, paths, branch, clock.now()));
  lease::Lease lease(lake, clock, random, {.root = "pages/pager/_leases/engine", .holder = "embedded:3f"});
  ASSERT_TRUE(*lease.acquire());
  clock.advance(base::kSecond);
  const auto held = check_lease(lake, paths, branch, clock.now());
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, ErrorKind::kConflict);
  EXPECT_THAT(held.error().message, HasSubstr("branch pager is run by embedded"));
  EXPECT_THAT(held.error().message,
              HasSubstr("epoch 1, holder embedded:3f, renewed 1.0 s ago): stop `headpond up` (or `headpond pager`) there"));
  clock.advance(base::Duration::seconds(6));
  EXPECT_TRUE(check_lease(lake, paths, branch, clock.now()));
  ASSERT_TRUE(lease.acquire());
}

TEST_F(LaunchTest, AReleasedLeaseIsFreeAtOnceAndABatchesOwnSchedulerIsNoOther) {
  const spec::LakePaths paths{"s3://b", "bronze"};
  lease::Lease lease(lake, clock, random, {.root = "pages/pager/_leases/engine", .holder = "flink:1"});
  ASSERT_TRUE(*lease.acquire());
  EXPECT_FALSE(check_lease(lake, paths, branch, clock.now()));  // its own engine, running: also another
  ASSERT_TRUE(lease.release());
  EXPECT_TRUE(check_lease(lake, paths, branch, clock.now()));
  branch.kind = spec::BranchKind::kBilling;
  branch.engine = "dbt";
  lease::Lease bills(lake, clock, random, {.root = "billing/pager/_leases/engine", .holder = "dbt:1"});
  ASSERT_TRUE(*bills.acquire());
  EXPECT_TRUE(check_lease(lake, paths, branch, clock.now()));
  branch.engine = "pyspark";
  EXPECT_FALSE(check_lease(lake, paths, branch, clock.now()));
}

TEST_F(LaunchTest, AFlinkThatIsNotThereNotTestedOrFullIsRefused) {
  EXPECT_THAT(check_flink(http, "", 1).error().message, HasSubstr("nobody said where the JobManager is"));
  http.answer = base::fail(ErrorKind::kRetry, "connection refused");
  EXPECT_THAT(check_flink(http, "http://h:1/", 1).error().message,
              HasSubstr("http://h:1/ does not answer (connection refused); start one with"));
  EXPECT_THAT(http.asked, ElementsAre("GET http://h:1/overview"));
  const auto answer = [&](const std::string& body) {
    env::HttpResponse response;
    response.status = 200;
    response.body = body;
    http.answer = response;
  };
  answer("<html>");
  EXPECT_THAT(check_flink(http, "http://h:1", 1).error().message, HasSubstr("answers, but not as a JobManager"));
  answer(R"({"flink-version":"1.20.0","slots-available":4,"slots-total":4})");
  EXPECT_EQ(check_flink(http, "http://h:1", 1).error().message, "flink 1.20.0 was not tested with this Headpond; use 2.3.0");
  answer(R"({"flink-version":"2.3.0","slots-available":1,"slots-total":2})");
  EXPECT_THAT(check_flink(http, "http://h:1", 2).error().message, HasSubstr("needs 2 slots, 1 of 2 are free"));
  EXPECT_TRUE(check_flink(http, "http://h:1", 1));
}

TEST_F(LaunchTest, ASparkOrDbtThatIsNotThereOrNotTestedIsRefused) {
  processes.answers = {base::fail(ErrorKind::kNotFound, "cannot run /s/bin/spark-submit: No such file or directory")};
  EXPECT_EQ(check_spark(processes, "/s").error().message,
            "spark: cannot run /s/bin/spark-submit: No such file or directory; install it with `tools/spark install`, or set SPARK_HOME");
  processes.answers = {env::ProcessResult{0, "Welcome to\n   /_/  version 3.5.1\n"}};
  EXPECT_EQ(check_spark(processes, "/s").error().message, "spark 3.5.1 was not tested with this Headpond; use 4.2.0");
  processes.answers = {env::ProcessResult{0, "Welcome to\n   /_/  version 4.2.0\n"}};
  EXPECT_TRUE(check_spark(processes, "/s"));
  Tools tools;
  EXPECT_THAT(check_dbt(processes, tools, "duckdb").error().message,
              HasSubstr("dbt is not installed: there is no python; install it with"));
  tools.dbt = directory + "/dbt";
  EXPECT_THAT(check_dbt(processes, tools, "duckdb").error().message, HasSubstr("there is no " + directory + "/python; install"));
  std::ofstream(directory + "/python") << "#!/bin/sh\n";
  std::filesystem::permissions(directory + "/python", std::filesystem::perms::owner_all);
  const auto refusal = [&](const std::string& target, const std::string& packages) {
    processes.answers = {env::ProcessResult{0, packages}};
    const auto done = check_dbt(processes, tools, target);
    return done ? "" : done.error().message;
  };
  EXPECT_EQ(refusal("duckdb", "duckdb 1.5.5\ndbt-core 1.11.16\ndbt-duckdb 1.11.1\n"), "");
  EXPECT_EQ(refusal("spark", "pyspark 4.2.0\ndbt-core 1.11.16\ndbt-spark 1.11.0\n"), "");
  EXPECT_THAT(refusal("spark", "dbt-core 1.11.16\ndbt-duckdb 1.11.1\n"),
              HasSubstr("dbt lacks the adapter of `dbt: {target: spark}`; install dbt-spark"));
  EXPECT_EQ(refusal("duckdb", "dbt-core 1.8.0\n"), "dbt 1.8.0 was not tested with this Headpond; use 1.11.16");
  EXPECT_EQ(refusal("duckdb", "dbt-core 1.11.16\ndbt-duckdb 1.9.0\n"), "dbt-duckdb 1.9.0 was not tested with this Headpond; use 1.11.1");
  EXPECT_EQ(refusal("duckdb", "dbt-core 1.11.16\ndbt-duckdb 1.11.1\nduckdb 1.4.0\n"),
            "duckdb 1.4.0 was not tested with this Headpond; use 1.5.5");
  EXPECT_EQ(refusal("spark", "dbt-core 1.11.16\ndbt-spark 1.11.0\npyspark 3.5.1\n"),
            "pyspark 3.5.1 was not tested with this Headpond; use 4.2.0");
  EXPECT_THAT(refusal("duckdb", "Traceback\n"), HasSubstr("/python has no dbt-core (exit 0: Traceback); install"));
}

TEST_F(LaunchTest, AProgramOrJobThatIsNotOnThisMachineIsRefused) {
  Tools tools;
  tools.engines = tools.flink_home = directory;
  tools.flink_jar = directory + "/pager.jar";
  EXPECT_THAT(check_files(branch, tools).error().message,
              HasSubstr("/bin/flink: No such file or directory; install it with `tools/flink install`"));
  std::filesystem::create_directories(directory + "/bin");
  std::ofstream(directory + "/bin/flink") << "#!/bin/sh\n";
  EXPECT_THAT(check_files(branch, tools).error().message, HasSubstr("/bin/flink: Permission denied"));
  std::filesystem::permissions(directory + "/bin/flink", std::filesystem::perms::owner_all);
  EXPECT_THAT(check_files(branch, tools).error().message,
              HasSubstr("pager.jar: No such file or directory; build the job with `tools/flink build`"));
  std::ofstream(directory + "/pager.jar") << "x";
  EXPECT_TRUE(check_files(branch, tools));
  branch.engine = "dbt";
  EXPECT_THAT(check_files(branch, tools).error().message, HasSubstr("/dbt/dbt_project.yml: No such file"));
}

TEST_F(LaunchTest, BronzeThatIsAbsentForeignOrNewerIsRefused) {
  EXPECT_THAT(check_bronze(lake, "bronze", "t.yaml").error().message, HasSubstr("yet: start `headpond up -f t.yaml` first"));
  fill(2, base::kSecond);
  EXPECT_TRUE(check_bronze(lake, "bronze", "t.yaml"));
  delta::Table table(lake, "bronze");
  delta::Commit commit;
  commit.headpond = R"({"format":2,"needs":"0.9.0"})";
  ASSERT_TRUE(table.put(base::Version(2), commit));
  EXPECT_EQ(check_bronze(lake, "bronze", "t.yaml").error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(check_bronze(lake, "bronze", "t.yaml").error().message, HasSubstr("0.9.0"));
  commit.headpond = "";
  ASSERT_TRUE(table.put(base::Version(3), commit));
  EXPECT_THAT(check_bronze(lake, "bronze", "t.yaml").error().message, HasSubstr("another program committed to this table"));
}

}  // namespace
}  // namespace headpond::deploy
