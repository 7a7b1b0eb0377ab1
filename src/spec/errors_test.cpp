#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/time.h"
#include "spec/topology.h"

namespace headpond::spec {
namespace {

using testing::HasSubstr;
using testing::Not;

struct FakeSecrets : Secrets {
  std::map<std::string, std::string> environment_variables, files;
  std::optional<std::string> environment(const std::string& name) const override { return find(environment_variables, name); }
  std::optional<std::string> file(const std::string& path) const override { return find(files, path); }
  static std::optional<std::string> find(const std::map<std::string, std::string>& map, const std::string& key) {
    const auto at = map.find(key);
    return at == map.end() ? std::nullopt : std::optional(at->second);
  }
};

// A topology with `options` behind the topic and `rest` at the end.
std::string topology(const std::string& options = "", const std::string& rest = "", const std::string& bronze = "") {
  return "version: 1\nname: t\nsource: {kafka: {brokers: b, topic: logs" + options +
         "}}\nconsumers: [{name: a, tier: 1, freshness: 30s}]\nbronze: {location: lake/bronze" + (bronze.empty() ? "" : ", " + bronze) +
         "}\n" + rest;
}

std::string issues_of(const std::string& text, const FakeSecrets& secrets = {}) {
  const auto result = load(text, "t.yaml", secrets);
  EXPECT_NE(result.topology.has_value(), !result.issues.empty());
  return to_string(result.issues);
}

TEST(Secrets, AreReplacedAndNeverPrinted) {
  FakeSecrets secrets;
  secrets.environment_variables = {{"USER", "alice"}, {"PASSWORD", "hunter2"}};
  secrets.files = {{"/run/secret", "s3cret\n"}};
  const std::string text = topology(
      ", librdkafka_options: {sasl.username: \"${USER}\", sasl.password: \"x${PASSWORD}y\", sasl.jaas: \"${file:/run/secret}\", a: "
      "\"$${b}\"}");
  const auto result = load(text, "t.yaml", secrets);
  ASSERT_TRUE(result.topology) << to_string(result.issues);
  const auto& options = result.topology->source.librdkafka_options;
  EXPECT_EQ(options.at("sasl.username"), "alice");
  EXPECT_EQ(options.at("sasl.password"), "xhunter2y");
  EXPECT_EQ(options.at("sasl.jaas"), "s3cret");
  EXPECT_EQ(options.at("a"), "${b}");
  EXPECT_EQ(result.topology->redact("login alice:xhunter2y and s3cret failed"),
            "login ${USER}:x${PASSWORD}y and ${file:/run/secret} failed");
}

TEST(Secrets, ALetterIsNotTakenForASecretInsideAWord) {
  Topology topology;
  topology.expanded = {{"${ID}", "a"}, {"${N}", "42"}, {"${PASSWORD}", "a42a"}, {"${NONE}", ""}};
  EXPECT_EQ(topology.redact("a broker at kafka:9042 said: a; 42, a42a"), "${ID} broker at kafka:9042 said: ${ID}; ${N}, ${PASSWORD}");
}

TEST(Secrets, DoNotLeakThroughErrors) {
  FakeSecrets secrets;
  secrets.environment_variables = {{"S", "hunter2"}};
  const std::string said = issues_of(
      "version: 1\nname: \"${S}\"\nsource: {kafka: {brokers: \"${S}\", topic: \"${S} x\", librdkafka_options: {sasl.password: "
      "[hunter2]}}}\n"
      "consumers: [{name: a, tier: 1, freshness: \"${S}\"}]\nbronze: {location: \"${S}://x\"}\n"
      "branches: [{name: p, kind: pager, serves: [a], reads: x, rules: r.yaml, notify: [hunter2, {kind: webhook, url: \"${S}\", secret: "
      "{a: hunter2}}]}]\n",
      secrets);
  EXPECT_THAT(said, Not(HasSubstr("hunter2")));
  EXPECT_THAT(said, HasSubstr("t.yaml:2:7: name of the topology"));
  EXPECT_THAT(said, HasSubstr("expected http://"));
}

TEST(Errors, ComeAllInOneRunAndInFileOrder) {
  const std::string said =
      issues_of("version: one\nnmae: t\nconsumers: []\nbronze: {locaton: x}\nserve: {listen: \"0.0.0.0:80\"}\nprices: {core_hour: -1}\n");
  EXPECT_EQ(said,
            "t.yaml:1:1: the topology has no `source`; expected source: {kafka: {brokers: \"localhost:9092\", topic: logs}}\n"
            "t.yaml:1:10: version of the topology: found `one`; expected a whole number from 1 to 1000000\n"
            "t.yaml:2:1: unknown key `nmae` in the topology; did you mean `name`?\n"
            "t.yaml:3:12: consumers: found an empty list; expected a list of who reads the data, such as [{name: on-call, tier: 1, "
            "freshness: 30s}]\n"
            "t.yaml:4:10: unknown key `locaton` in bronze; did you mean `location`?\n"
            "t.yaml:5:17: serve.listen: found host `0.0.0.0`; expected 127.0.0.1, localhost or [::1]: the page has no login, put a proxy "
            "before it\n"
            "t.yaml:6:21: prices.core_hour: found `-1`; expected a number from 0 to 1e+06\n");
}

TEST(Errors, WhereReadingStartsAndWhoReadsAreWordsOrATime) {
  const auto result = load(topology(", start: 2026-11-25T10:00:00Z, assignment: group, group: team-a.logs"), "t.yaml", FakeSecrets{});
  ASSERT_TRUE(result.topology) << to_string(result.issues);
  EXPECT_EQ(result.topology->source.start, StartAt::kTime);
  EXPECT_EQ(result.topology->source.start_time, *base::parse_rfc3339("2026-11-25T10:00:00Z"));
  EXPECT_EQ(result.topology->source.assignment, Assignment::kGroup);
  EXPECT_EQ(result.topology->source.group, "team-a.logs");
  EXPECT_THAT(issues_of(topology(", start: latst")),
              HasSubstr("source.kafka.start: found `latst`; expected earliest, latest or a time such as 2026-11-25T00:00:00Z; did you "
                        "mean `latest`?"));
  EXPECT_THAT(issues_of(topology(", start: 2026-13-01T00:00:00Z")), HasSubstr("source.kafka.start: found `2026-13-01T00:00:00Z`"));
  EXPECT_THAT(issues_of(topology(", start: [latest]")), HasSubstr("source.kafka.start: found a list"));
  EXPECT_THAT(issues_of(topology(", assignment: groups")), HasSubstr("expected static or group; did you mean `group`?"));
  EXPECT_EQ(issues_of(topology(", lanes: 6")), "");
  EXPECT_THAT(issues_of(topology(", lanes: 0")), HasSubstr("source.kafka.lanes: found `0`"));
  EXPECT_THAT(issues_of(topology(", lanes: 9")), HasSubstr("expected `memory: 1408MiB` or more, or `lanes: 6`"));
  EXPECT_THAT(issues_of(topology(", group: \"\"")), HasSubstr("expected the id of a consumer group"));
}

TEST(Errors, NumbersAndTimesTooGreatAreRefused) {
  for (const auto* value : {"1e400", "nan", "-1", ".inf", "1e16", "0x10", "\"5\"", "[1]"})
    EXPECT_THAT(issues_of(topology("", std::string("expect: {events_per_day: ") + value + "}\n")), HasSubstr("events_per_day: found"))
        << value;
  for (const auto* value : {"99999999999999999999d", "106751d", "-1s", "1.5h", "30", "0s", "1y", "s"})
    EXPECT_THAT(issues_of("version: 1\nname: t\nsource: {kafka: {brokers: b, topic: logs}}\nconsumers: [{name: a, tier: 1, freshness: " +
                          std::string(value) + "}]\nbronze: {location: x}\n"),
                HasSubstr("freshness of consumer a: found"))
        << value;
}

TEST(Errors, TextThatIsNotOneYamlMapIsRefused) {
  EXPECT_THAT(issues_of(""), HasSubstr("t.yaml:1:1: the file is empty"));
  EXPECT_THAT(issues_of("# nothing\n"), HasSubstr("the file is empty"));
  EXPECT_THAT(issues_of("hello"), HasSubstr("t.yaml:1:1: the topology: found a text; expected a map"));
  EXPECT_THAT(issues_of("- a\n"), HasSubstr("found a list; expected a map"));
  EXPECT_THAT(issues_of(topology() + "---\nversion: 1\n"), HasSubstr("a second YAML document"));
  EXPECT_THAT(issues_of("version: 1\nname: caf\xe9\n"), HasSubstr("t.yaml:2:10: a byte that is not UTF-8"));
  EXPECT_THAT(issues_of(std::string("version: 1\nna\0me: x\n", 20)), HasSubstr("t.yaml:2:3: a byte that is not UTF-8"));
  EXPECT_THAT(issues_of("\xff\xfe"
                        "v\0e\0"),
              HasSubstr("not UTF-8"));
  EXPECT_THAT(issues_of("version: 1\n\tname: x\n"), HasSubstr("a tab stands in the indentation"));
  EXPECT_THAT(issues_of(std::string(100'000, '[')), HasSubstr("t.yaml:1:"));
  EXPECT_THAT(issues_of("a: *nowhere\n"), HasSubstr("t.yaml:1:"));
}

TEST(Errors, AliasesAndMergesWorkAndCannotLoop) {
  const std::string base = "version: 1\nname: t\nsource: {kafka: {brokers: b, topic: logs}}\nbronze: {location: x}\n";
  const auto good = load(base + "consumers:\n  - &c {name: a, tier: 2, freshness: 5m}\n  - {<<: *c, name: b}\n", "t.yaml", FakeSecrets{});
  ASSERT_TRUE(good.topology) << to_string(good.issues);
  EXPECT_EQ(good.topology->consumers[1].name, "b");
  EXPECT_EQ(good.topology->consumers[1].tier, 2);
  EXPECT_THAT(issues_of(base + "consumers: &all\n  - {name: a, tier: 1, freshness: 30s, latency_value: *all}\n"),
              HasSubstr("an alias (*name) stands inside"));
  EXPECT_THAT(issues_of(base + "consumers: [{<<: 5, name: a, tier: 1, freshness: 30s}]\n"), HasSubstr("after `<<`; expected a map"));
}

TEST(Errors, ABranchNamesOnlyWhatThereIs) {
  const auto branch = [](const std::string& fields) {
    return issues_of(topology("", "branches:\n  - {name: x, serves: [a], " + fields + "}\n"));
  };
  EXPECT_EQ(branch("kind: dashboard, rollups: [{name: r, by: [service]}]"), "");
  EXPECT_EQ(branch("kind: dashboard, rollups: [{name: r, by: [servce]}]"),
            "t.yaml:7:69: rollups.by: found `servce`; expected columns of bronze; did you mean `service`?\n");
  EXPECT_EQ(branch("kind: dashboard, rollups: [{name: r, by: [severity, pattern_id], measures: [duration_ms]}]"), "");
  EXPECT_THAT(branch("kind: dashboard, rollups: [{name: r, by: [service], measures: [host]}]"),
              HasSubstr("rollups.measures: found `host`; expected columns of bronze: severity_number, status or duration_ms"));
  EXPECT_THAT(branch("kind: dashboard, window: 10m"), HasSubstr("window of branch x: found `10m`; expected 5m"));
  EXPECT_EQ(branch("kind: dashbord"),
            "t.yaml:7:34: kind of branch x: found `dashbord`; expected pager, dashboard or billing; did you mean `dashboard`?\n");
  EXPECT_EQ(branch("kind: pager"), "t.yaml:7:5: branch x has no `rules`; expected rules: files such as rules/*.yaml\n");
  EXPECT_EQ(branch("kind: pager, rules: r.yaml, notify: [{kind: webhook}]"),
            "t.yaml:7:65: notify: a webhook has no `url`; expected url: http://host:port/path\n");
  EXPECT_EQ(branch("kind: billing, price_book: p.yaml, schedule: \"0 0 30 2 *\""),
            "t.yaml:7:73: schedule of branch x: found `0 0 30 2 *`, which no day of any year fits\n");
}

TEST(Errors, AMemoryBudgetIsASizeThatIsEnough) {
  const auto bronze = [](const std::string& memory) { return issues_of(topology("", "", "memory: " + memory)); };
  EXPECT_EQ(bronze("384MiB"), "");
  EXPECT_EQ(bronze("2GiB"), "");
  EXPECT_THAT(bronze("64MiB"), HasSubstr("bronze.memory: found `64MiB`; expected at least 384MiB"));
  for (const std::string wrong : {"1g", "lots", "99999999999GiB", "-1GiB", "GiB", "[1GiB]"})
    EXPECT_THAT(bronze("\"" + wrong + "\""), HasSubstr("expected a size such as 512MiB or 1GiB")) << wrong;
}

TEST(Errors, WhereAnEngineRunsIsHeldToItsKind) {
  const auto branch = [](const std::string& fields) {
    return issues_of(topology("", "branches:\n  - {name: x, serves: [a], " + fields + "}\n"));
  };
  EXPECT_EQ(branch("kind: pager, rules: r.yaml, engine: flink, flink: {rest: \"http://127.0.0.1:8081\", parallelism: 2}"), "");
  EXPECT_EQ(branch("kind: pager, rules: r.yaml, flink: {rest: \"127.0.0.1:8081\"}"),
            "t.yaml:7:70: flink.rest: found `127.0.0.1:8081`; expected http://host:port, the JobManager's REST address\n");
  EXPECT_EQ(branch("kind: pager, rules: r.yaml, flink: {paralelism: 2}"),
            "t.yaml:7:64: unknown key `paralelism` in flink; did you mean `parallelism`?\n");
  EXPECT_THAT(branch("kind: dashboard, flink: {parallelism: 2}"),
              HasSubstr("`flink` is for branches of kind pager; this one is a dashboard"));
  EXPECT_THAT(branch("kind: pager, rules: r.yaml, spark: {master: \"local[2]\"}"),
              HasSubstr("`spark` is for branches of kind dashboard or billing; this one is a pager"));
  EXPECT_EQ(branch("kind: dashboard, engine: spark, spark: {master: \"local[2]\", driver_memory: 2g}"), "");
  EXPECT_THAT(branch("kind: dashboard, spark: {driver_memory: much}"), HasSubstr("found `much`; expected a size such as 2g or 512m"));
  EXPECT_EQ(branch("kind: billing, price_book: p.yaml, engine: dbt, dbt: {target: spark}"), "");
  EXPECT_THAT(branch("kind: billing, price_book: p.yaml, dbt: {target: duck}"),
              HasSubstr("found `duck`; expected duckdb or spark; did you mean `duckdb`?"));
}

}  // namespace
}  // namespace headpond::spec
