#include "spec/rules_file.h"

#include <gtest/gtest.h>

namespace headpond::spec {
namespace {

std::vector<rules::Column> columns() {
  BronzeSpec bronze;
  for (const auto& [name, type] : std::vector<std::pair<std::string, std::string>>{{"severity_number", "int32"},
                                                                                   {"service", "string"},
                                                                                   {"tenant", "string"},
                                                                                   {"host", "string"},
                                                                                   {"event", "string"},
                                                                                   {"status", "int32"}}) {
    ColumnDecl column;
    column.name = name;
    column.type = type;
    bronze.columns.push_back(column);
  }
  return rule_columns(bronze);
}

// "line:column message" of the first problem, of the file's form or of its expressions.
std::string first_problem(const std::string& text) {
  const auto loaded = load_rules(text, "r.yaml");
  if (!loaded.issues.empty()) {
    const auto& i = loaded.issues[0];
    return std::to_string(i.place.line) + ":" + std::to_string(i.place.column) + " " + i.message;
  }
  const auto compiled = rules::compile(loaded.groups, columns());
  if (compiled.issues.empty()) return "";
  const auto& i = compiled.issues[0];
  return std::to_string(i.place.line) + ":" + std::to_string(i.place.column) + " " + i.message;
}

std::string one_rule(const std::string& expr_line) {
  return "groups:\n  - name: g\n    interval: 1s\n    rules:\n      - alert: A\n        expr: " + expr_line + "\n";
}

TEST(RulesFile, ReadsTheWholeEnvelope) {
  const auto loaded = load_rules(R"(groups:
  - name: checkout
    interval: 2s
    lateness: 7s
    limit: 20
    rules:
      - alert: HeartbeatLost
        expr: absent(event = 'heartbeat')[60s]
        by: [host]
        for: 10s
        keep_firing_for: 2m
        expect: {seen_within: 12h, keys: 500}
        labels: {severity: page}
        annotations: {summary: "{{ $labels.host }} silent for {{ $value }} s"}
)",
                                 "r.yaml");
  ASSERT_TRUE(loaded.issues.empty()) << loaded.issues[0].message;
  const auto compiled = rules::compile(loaded.groups, columns());
  ASSERT_TRUE(compiled.program) << compiled.issues[0].message;
  ASSERT_EQ(compiled.program->folds.size(), 1u);
  const auto& fold = compiled.program->folds[0];
  EXPECT_EQ(fold.interval, base::Duration::seconds(2));
  EXPECT_EQ(fold.lateness, base::Duration::seconds(7));
  const auto& rule = fold.rules.at(0);
  EXPECT_EQ(rule.name, "checkout/HeartbeatLost");
  EXPECT_EQ(rule.hold, base::Duration::seconds(10));
  EXPECT_EQ(rule.keep_firing, base::Duration::minutes(2));
  EXPECT_EQ(rule.keys, 500);
  EXPECT_EQ(fold.counters.at(0).seen_within, base::Duration::hours(12));
  EXPECT_EQ(rule.limit, 20);
}

TEST(RulesFile, NamesLineColumnAndTheNearestColumn) {
  EXPECT_EQ(first_problem(one_rule("count(statu >= 500)[1m] > 5")), "6:21 there is no column `statu`; did you mean status?");
  EXPECT_EQ(first_problem(one_rule("\"count(statu >= 500)[1m] > 5\"")), "6:22 there is no column `statu`; did you mean status?");
  EXPECT_EQ(first_problem(one_rule("|\n          count()[1m] > 5\n          and count(statu >= 500)[1m] > 5")),
            "8:21 there is no column `statu`; did you mean status?");
}

TEST(RulesFile, NamesAnUnknownKeyWithTheNearest) {
  EXPECT_EQ(first_problem("groups:\n  - name: g\n    intervall: 1s\n    rules: []\n").substr(0, 3), "3:5");
  EXPECT_NE(first_problem("groups:\n  - name: g\n    intervall: 1s\n    rules: []\n").find("did you mean interval?"), std::string::npos);
}

TEST(RulesFile, SaysWhatIsNotSupportedYet) {
  EXPECT_EQ(first_problem(one_rule("quantile(0.99, duration_ms)[5m] > 1500")),
            "6:15 not supported yet: quantile; supported are count and absent");
  EXPECT_NE(first_problem(one_rule("count()[5m] > 5 * count()[5m] offset 1h")).find("not supported yet: offset"), std::string::npos);
}

TEST(RulesFile, RefusesWindowsThatDoNotDivideAndAreTooShort) {
  EXPECT_NE(first_problem(one_rule("count()[61s] > 5")).find("does not divide into slices of 2s"), std::string::npos);
  EXPECT_NE(first_problem(one_rule("count()[5s] > 5")).find("not longer than the group's lateness 5s"), std::string::npos);
}

TEST(RulesFile, RefusesValueInsideLabels) {
  const std::string text = one_rule("count()[1m] > 5") + "        labels: {severity: \"{{ $value }}\"}\n";
  EXPECT_NE(first_problem(text).find("$value inside a label"), std::string::npos) << first_problem(text);
}

}  // namespace
}  // namespace headpond::spec
