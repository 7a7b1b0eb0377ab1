// What deploy writes: held against tests/golden/deploy (HEADPOND_GOLDEN_UPDATE=1 rewrites it), and free of secrets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "deploy/commands.h"
#include "deploy/engines.h"
#include "plan/plan.h"
#include "spec/rules_file.h"

namespace headpond::deploy {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const fs::path kRoot = HEADPOND_SOURCE_DIR;

constexpr const char* kRules = R"(groups:
  - name: checkout
    interval: 1s
    lateness: 5s
    rules:
      - alert: ErrorBurst
        expr: count(severity_number >= 17)[1m] > 500
        by: [tenant, service]
      - alert: HeartbeatLost
        expr: absent(event = 'heartbeat')[60s]
        by: [host]
        expect: {seen_within: 24h}
)";

struct FakeSecrets : spec::Secrets {
  std::optional<std::string> environment(const std::string& name) const override {
    return name == "HOOK_SECRET" ? std::optional<std::string>("hunter2-hunter2") : std::nullopt;
  }
  std::optional<std::string> file(const std::string&) const override { return std::nullopt; }
};

spec::Topology topology_of(const std::string& text) {
  auto loaded = spec::load(text, "observability.yaml", FakeSecrets{});
  EXPECT_TRUE(loaded.topology) << to_string(loaded.issues);
  auto topology = std::move(*loaded.topology);
  const auto plan = plan::make_plan(topology);
  for (std::size_t i = 0; i < topology.branches.size(); ++i) topology.branches[i] = plan.branches[i].branch;
  return topology;
}

std::string read(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

rules::Program program_of(const std::string& text) {
  const auto loaded = spec::load_rules(text, "rules/checkout.yaml");
  EXPECT_TRUE(loaded.issues.empty());
  spec::BronzeSpec bronze;
  auto compiled = rules::compile(loaded.groups, {{"severity_number", rules::ColumnType::kInt32},
                                                 {"tenant", rules::ColumnType::kString},
                                                 {"service", rules::ColumnType::kString},
                                                 {"event", rules::ColumnType::kString},
                                                 {"host", rules::ColumnType::kString}});
  EXPECT_TRUE(compiled.program);
  return std::move(*compiled.program);
}

Tools tools() {
  return {.engines = "/opt/headpond/engines",
          .flink_home = "/opt/flink",
          .flink_jar = "/opt/headpond/build/flink/headpond-pager.jar",
          .flink_rest = "http://127.0.0.1:8081",
          .spark_home = "/opt/spark",
          .spark_jars = "",
          .spark_classes = "",
          .dbt = "/opt/dbt/bin/dbt",
          .s3_endpoint = "http://127.0.0.1:9000",
          .s3_region = "us-east-1"};
}

PackageInput input(const spec::Topology& topology, const spec::Branch& branch) {
  JobInput job{
      .topology = topology,
      .branch = branch,
      .paths = spec::LakePaths::of(topology.bronze.location),
      .promise_s = 30,
      .start = {.generation = 2, .claimed_at = base::Micros(1'795'000'000'000'000), .behind = base::Version(41), .sees_rows_from = {}},
      .program_json = rules::to_json(program_of(kRules)),
      .rollups = {{"default", {"service", "severity"}, {"duration_ms"}}}};
  return {.job = job, .tools = tools(), .directory = "/srv/build/deploy/" + branch.name, .parallelism = 4, .memory_gb = 6, .from = {}};
}

std::string text_of(const Package& package) {
  std::string text;
  for (const auto& command : package.commands) text += "# " + command.why + "\n" + shell(command) + "\n";
  for (const auto& [name, content] : package.files) text += "\n==> " + name + " <==\n" + content;
  return text;
}

TEST(Package, OfEachBranchOfTheMissionIsTheGoldenOne) {
  const auto topology = topology_of(read(kRoot / "examples/observability.yaml"));
  ASSERT_EQ(topology.branches.size(), 3u);
  for (const auto& branch : topology.branches) {
    const auto text = text_of(package(input(topology, branch)));
    const auto path = kRoot / "tests/golden/deploy" / (branch.name + ".txt");
    if (std::getenv("HEADPOND_GOLDEN_UPDATE") != nullptr)
      std::ofstream(path) << text;
    else
      EXPECT_EQ(text, read(path)) << path;
  }
}

TEST(Package, AWarmFlinkJobResumesItsCheckpoint) {
  const auto topology = topology_of(read(kRoot / "examples/observability.yaml"));
  auto in = input(topology, topology.branches[0]);
  EXPECT_THAT(shell(package(in).commands[0]), Not(HasSubstr("--fromSavepoint")));
  in.from = "s3://acme-lake/pager/incident-pager/g0000000002/ab/chk-7";
  EXPECT_THAT(shell(package(in).commands[0]),
              HasSubstr("--parallelism 4 --fromSavepoint s3://acme-lake/pager/incident-pager/g0000000002/ab/chk-7 /opt/headpond"));
}

TEST(Package, ALocalSparkDriverStartsFromTheArchiveAndListensOnLoopbackOnly) {
  const auto topology = topology_of(read(kRoot / "examples/observability.yaml"));
  auto in = input(topology, topology.branches[1]);
  in.tools.spark_jars = "/opt/jars";
  in.tools.spark_classes = "/opt/classes.jsa";
  in.tools.spark_master = "local[2]";
  const auto local = package(in);
  EXPECT_THAT(local.commands[0].environment, ElementsAre(std::pair<std::string, std::string>("SPARK_LOCAL_IP", "127.0.0.1")));
  EXPECT_THAT(shell(local.commands[0]), Not(HasSubstr("--jars")));  // those are loaded later, past the archive
  EXPECT_THAT(local.files.at("spark.conf"), HasSubstr("\nspark.driver.extraClassPath /opt/jars/*\n"));
  EXPECT_THAT(local.files.at("spark.conf"), HasSubstr("\nspark.driver.host 127.0.0.1\n"));
  EXPECT_THAT(local.files.at("spark.conf"), HasSubstr(" -XX:SharedArchiveFile=/opt/classes.jsa\n"));

  // At full load code is worth optimizing.
  EXPECT_THAT(local.files.at("spark.conf"), HasSubstr("spark.driver.extraJavaOptions -XX:+UseSerialGC -XX:Shared"));
  auto small = topology;
  small.expect->events_per_day = 50e6;
  auto of_small = input(small, small.branches[1]);
  of_small.tools.spark_master = "local";
  EXPECT_THAT(package(of_small).files.at("spark.conf"),
              HasSubstr("spark.driver.extraJavaOptions -XX:+UseSerialGC -XX:TieredStopAtLevel=1\n"));

  in.tools.spark_master = "spark://10.0.0.1:7077";
  const auto cluster = package(in);
  EXPECT_THAT(cluster.commands[0].environment, ElementsAre());
  EXPECT_THAT(shell(cluster.commands[0]), HasSubstr("--jars '/opt/jars/*.jar'"));
  EXPECT_THAT(cluster.files.at("spark.conf"), Not(HasSubstr("spark.driver.extra")));
  EXPECT_THAT(cluster.files.at("spark.conf"), Not(HasSubstr("127.0.0.1\n")));
}

TEST(Package, HoldsNoSecretOfTheTopologyOrTheEnvironment) {
  setenv("AWS_SECRET_ACCESS_KEY", "planted-in-the-environment", 1);
  auto text = read(kRoot / "examples/observability.yaml");
  const std::string hook = "notify: [{kind: webhook, url: \"https://hooks/${HOOK_SECRET}\", secret: \"${HOOK_SECRET}\"}], engine: flink";
  text.replace(text.find("engine: flink"), 13, hook);
  const std::string option = "security.protocol: PLAINTEXT";
  text.replace(text.find(option), option.size(), "sasl.password: \"${HOOK_SECRET}\"");
  const auto topology = topology_of(text);
  for (const auto& branch : topology.branches) {
    const auto written = text_of(package(input(topology, branch)));
    EXPECT_THAT(written, Not(HasSubstr("hunter2")));
    EXPECT_THAT(written, Not(HasSubstr("planted-in-the-environment")));
  }
  unsetenv("AWS_SECRET_ACCESS_KEY");
}

TEST(Command, IsQuotedForAShell) {
  EXPECT_EQ(shell({.why = "", .environment = {{"A", "b c"}}, .argv = {"$HOME/x", "it's", "", "local[*]"}, .log = "/l"}),
            "A='b c' \"$HOME/x\" 'it'\\''s' '' 'local[*]' >> /l 2>&1 &");
}

TEST(Support, ARuleAnEngineCannotRunTheSameWayIsNamedWithItsPlace) {
  const auto program = program_of(kRules);
  EXPECT_THAT(unsupported(flink_support(), program), ElementsAre());
  auto less = flink_support();
  less.measures = {rules::Measure::Kind::kCount};
  EXPECT_THAT(unsupported(less, program),
              ElementsAre("rules/checkout.yaml:9:9: rule checkout/HeartbeatLost uses `absent`, which the flink job "
                          "does not compute; write it without, or `engine: embedded`"));
  EXPECT_THAT(unsupported(flink_support(), program, 2),
              ElementsAre("rules of this Headpond have format 2, its flink job reads up to 1: build the job of the same version with "
                          "tools/flink build"));
  std::string fine = kRules;
  fine.replace(fine.find("interval: 1s"), 12, "interval: 1s");
  fine.replace(fine.find("lateness: 5s"), 12, "lateness: 5s");
  auto odd = program_of(fine);
  odd.folds[0].lateness = base::Duration(5'000'500);
  EXPECT_THAT(unsupported(flink_support(), odd), ElementsAre(HasSubstr("has an interval or lateness that is no multiple of 1ms")));
}

TEST(Support, OnlyTestedVersionsPass) {
  EXPECT_TRUE(check_version("flink", "2.3.0"));
  const auto refused = check_version("spark", "3.5.1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "spark 3.5.1 was not tested with this Headpond; use 4.2.0");
}

}  // namespace
}  // namespace headpond::deploy
