#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/time.h"
#include "spec/topology.h"

namespace headpond::spec {
namespace {

using base::Duration;

struct FakeSecrets : Secrets {
  std::map<std::string, std::string> environment_variables, files;
  std::optional<std::string> environment(const std::string& name) const override { return find(environment_variables, name); }
  std::optional<std::string> file(const std::string& path) const override { return find(files, path); }
  static std::optional<std::string> find(const std::map<std::string, std::string>& map, const std::string& key) {
    const auto at = map.find(key);
    return at == map.end() ? std::nullopt : std::optional(at->second);
  }
};

std::string example(const std::string& name) {
  std::ifstream file(std::string(HEADPOND_SOURCE_DIR) + "/examples/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Topology load_good(const std::string& text, const std::string& path = "examples/topology.yaml", const FakeSecrets& secrets = {}) {
  auto result = load(text, path, secrets);
  EXPECT_EQ(to_string(result.issues), "");
  return result.topology.value_or(Topology{});
}

TEST(Load, ReadsTheObservabilityExample) {
  const Topology t = load_good(example("observability.yaml"));
  EXPECT_EQ(t.name, "acme-logs");
  EXPECT_EQ(t.source.topic, "logs");
  EXPECT_EQ(t.source.librdkafka_options.at("security.protocol"), "PLAINTEXT");
  ASSERT_EQ(t.consumers.size(), 3u);
  EXPECT_EQ(t.consumers[0].freshness, Duration::seconds(30));
  EXPECT_EQ(t.consumers[0].latency_value->usd_per_minute, 5600);
  EXPECT_EQ(t.bronze.location, "s3://acme-lake/bronze/logs");
  ASSERT_EQ(t.branches.size(), 3u);
  EXPECT_EQ(t.branches[0].kind, BranchKind::kPager);
  EXPECT_EQ(t.branches[0].axis, Axis::kLatency);
  EXPECT_EQ(t.branches[0].rhythm, Rhythm::kStream);
  EXPECT_EQ(t.branches[0].state->checkpoints, "s3://acme-lake/pager");
  EXPECT_EQ(t.branches[0].notify.at(0).kind, "stdout");
  EXPECT_EQ(t.branches[1].trigger, base::kMinute);
  EXPECT_EQ(t.branches[1].axis, std::nullopt);
  EXPECT_EQ(t.branches[2].schedule, "0 2 * * *");
  EXPECT_EQ(t.branches[2].engine, "dbt");
  EXPECT_EQ(t.expect->events_per_day, 50e9);
  EXPECT_EQ(to_string(t.branches[1].place), "examples/topology.yaml:18:5");
}

TEST(Load, ADeclaredColumnReplacesTheDefaultOfItsName) {
  const Topology t = load_good(example("observability.yaml"));
  std::vector<std::string> names;
  for (const auto& column : t.bronze.columns) names.push_back(column.name);
  EXPECT_THAT(names, testing::ElementsAre("severity_number", "service", "tenant", "host", "event", "status", "duration_ms", "user_id"));
  EXPECT_THAT(t.bronze.columns[5].from, testing::ElementsAre("/http/status"));
  EXPECT_EQ(t.bronze.ts.from.front(), "/ts");
}

TEST(Load, ADirectoryIsRelativeToTheFile) {
  const Topology t = load_good(example("laptop.yaml"), "examples/laptop.yaml");
  EXPECT_EQ(t.bronze.location, ".headpond/lake/bronze/logs");
  EXPECT_EQ(t.branches[0].state->checkpoints, ".headpond/lake/pager");
  EXPECT_EQ(t.resolve("rules/*.yaml"), "examples/rules/*.yaml");
  EXPECT_EQ(t.resolve("file:///lake/x"), "/lake/x");
}

TEST(Load, ReadsEveryExample) {
  for (const auto* name : {"canvas.yaml", "nginx.yaml", "zeek-dns.yaml", "zeek-syslog.yaml", "apache.yaml"}) load_good(example(name), name);
}

TEST(LakePaths, SplitTheLakeFromItsBronzeTable) {
  const auto of = [](const std::string& location) {
    const auto paths = LakePaths::of(location);
    return paths.lake + " | " + paths.bronze;
  };
  EXPECT_EQ(of("s3://acme-lake/bronze/logs"), "s3://acme-lake | bronze/logs");
  EXPECT_EQ(of("s3://acme/a/bronze/logs/"), "s3://acme/a | bronze/logs");
  EXPECT_EQ(of("s3://bronze/logs"), "s3://bronze | logs");
  EXPECT_EQ(of("s3://acme/bronze"), "s3://acme | bronze");
  EXPECT_EQ(of(".headpond/lake/bronze/logs"), ".headpond/lake | bronze/logs");
  EXPECT_EQ(of("/lake/bronze"), "/lake | bronze");
  EXPECT_EQ(of("/lake/x"), "/lake | x");
  EXPECT_EQ(of("/bronze/logs"), "/ | bronze/logs");
  EXPECT_EQ(of("/bronze"), "/ | bronze");
  EXPECT_EQ(of("bronze/logs"), ". | bronze/logs");
  EXPECT_EQ(of("logs"), ". | logs");
}

}  // namespace
}  // namespace headpond::spec
