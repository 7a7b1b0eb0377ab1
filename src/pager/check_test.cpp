#include "pager/check.h"

#include <gtest/gtest.h>

namespace headpond::pager {
namespace {

struct Pond {
  Pond() {
    spec::ColumnDecl status;
    status.name = "status";
    status.type = "int32";
    topology.bronze.columns.push_back(status);
    spec::Consumer consumer;
    consumer.name = "on-call";
    consumer.freshness = base::Duration::seconds(30);
    topology.consumers.push_back(consumer);
    branch.name = "pager";
    branch.serves = {"on-call"};
  }
  base::Result<CheckReport> check(const std::string& group, const std::string& rule, CheckLimits limits = {}) const {
    return check_rules(topology, branch, {{"r.yaml", "groups:\n  - name: g\n" + group + "    rules:\n      - alert: A\n" + rule}}, limits);
  }
  spec::Topology topology;
  spec::Branch branch;
};

TEST(RulesCheck, AnnouncedRulesAreFastAndOthersWaitForLatenessIntervalAndClocks) {
  const Pond pond;
  const auto announced = pond.check("", "        expr: count(status >= 500)[1m] > 5\n").value();
  EXPECT_TRUE(announced.rules.at(0).announced);
  EXPECT_EQ(announced.rules[0].worst_delay, base::Duration::seconds(2));
  const auto settled = pond.check("", "        expr: count(status >= 500)[1m] < 5\n").value();
  EXPECT_EQ(settled.rules.at(0).worst_delay, base::Duration::millis(5000 + 1000 + 500 + 3000));
  EXPECT_TRUE(settled.good());
}

TEST(RulesCheck, RefusesWhatExceedsTheFreshness) {
  const auto report = Pond().check("    lateness: 40s\n", "        expr: count(status >= 500)[1m] < 5\n").value();
  ASSERT_EQ(report.refusals.size(), 1u);
  EXPECT_NE(report.refusals[0].find("r.yaml:5:9: rule g/A can be 44s500ms late, but branch pager promises 30s"), std::string::npos)
      << report.refusals[0];
}

TEST(RulesCheck, RefusesWhatExceedsTheStateBudgetAndCountsKeys) {
  const Pond pond;
  const auto report = pond.check("", "        expr: count(status >= 500)[1m] > 5\n        by: [status]\n        expect: {keys: 1000}\n",
                                 {.state_bytes_max = 1000})
                          .value();
  EXPECT_EQ(report.rules.at(0).keys, 1000);
  EXPECT_EQ(report.state_bytes(), report.rules[0].bytes_a_key * 1000);
  ASSERT_EQ(report.refusals.size(), 1u);
  EXPECT_NE(report.refusals[0].find("of state, the branch has 1.0 KB"), std::string::npos) << report.refusals[0];
  EXPECT_NE(render(report).find("refused: r.yaml:4:9"), std::string::npos);
}

TEST(RulesCheck, SaysEveryMistakeOfTheFilesAtOnce) {
  const auto report = Pond().check("", "        expr: count(statu >= 500)[1m] > 5\n      - alert: B\n        expr: count()[61s] > 1\n");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, base::ErrorKind::kInvalid);
  EXPECT_NE(report.error().message.find("r.yaml:5:21: there is no column `statu`; did you mean status?"), std::string::npos);
  EXPECT_NE(report.error().message.find("\nr.yaml:7:15: the window 1m1s"), std::string::npos) << report.error().message;
}

}  // namespace
}  // namespace headpond::pager
