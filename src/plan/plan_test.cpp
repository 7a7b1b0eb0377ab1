#include "plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

namespace headpond::plan {
namespace {

struct NoSecrets : spec::Secrets {
  std::optional<std::string> environment(const std::string&) const override { return std::nullopt; }
  std::optional<std::string> file(const std::string&) const override { return std::nullopt; }
};

std::string example(const std::string& name) {
  std::ifstream file(std::string(HEADPOND_SOURCE_DIR) + "/examples/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Plan plan_of(const std::string& text) {
  const auto loaded = spec::load(text, "t.yaml", NoSecrets{});
  EXPECT_EQ(to_string(loaded.issues), "");
  return loaded.topology ? make_plan(*loaded.topology) : Plan{};
}

// `text` with one place changed.
std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::vector<std::string> broken_rules(const Plan& plan, const std::string& branch) {
  std::vector<std::string> rules;
  for (const auto& b : plan.branches)
    for (const auto& v : b.verdicts)
      if (v.refused && b.branch.name == branch) rules.emplace_back(to_string(v.rule));
  return rules;
}

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Plan, TheMissionsTopologyIsWholeAndItsNeedsAreTheDesigns) {
  const Plan plan = plan_of(example("observability.yaml"));
  EXPECT_EQ(render_refusals(plan), "");
  ASSERT_EQ(plan.branches.size(), 3u);
  EXPECT_NEAR(plan.branches[0].latency_need, 4.7, 0.05);
  EXPECT_NEAR(plan.branches[1].latency_need, 0.47, 0.005);
  EXPECT_NEAR(plan.branches[2].latency_need, 0.002, 0.0005);
  EXPECT_EQ(plan.branches[0].axis, spec::Axis::kLatency);
  EXPECT_EQ(plan.branches[1].axis, spec::Axis::kThroughput);
  EXPECT_EQ(plan.branches[2].axis, spec::Axis::kThroughput);
  EXPECT_EQ(plan.branches[0].cheapest, spec::Rhythm::kStream);
  EXPECT_EQ(plan.branches[1].cheapest, spec::Rhythm::kMicroBatch);
  EXPECT_EQ(plan.branches[2].cheapest, spec::Rhythm::kBatch);
  EXPECT_EQ(plan.branches[0].tag, "real-time");
  EXPECT_EQ(plan.branches[1].tag, "< 15min");
  EXPECT_EQ(plan.branches[2].tag, "< 24h");
}

TEST(Plan, ThePagerAtTenMinutesIsThroughputBoundAndItsStreamIsRefused) {
  const std::string relaxed = with(example("observability.yaml"), "tier: 1, freshness: 30s", "tier: 1, freshness: 10m");
  const Plan written = plan_of(relaxed);
  EXPECT_EQ(written.branches[0].axis, spec::Axis::kThroughput);
  EXPECT_THAT(broken_rules(written, "incident-pager"), ElementsAre("i-s0", "i-s2"));
  const Plan open = plan_of(with(relaxed, "axis: latency, ", ""));
  EXPECT_EQ(open.branches[0].axis, spec::Axis::kThroughput);
  EXPECT_THAT(broken_rules(open, "incident-pager"), ElementsAre("i-s2"));
  // And the mend it names mends it.
  EXPECT_THAT(broken_rules(plan_of(with(with(relaxed, "axis: latency, ", ""), "rhythm: stream", "rhythm: micro-batch, trigger: 1m")),
                           "incident-pager"),
              IsEmpty());
}

TEST(Plan, BillingAtTwoMinutesIsLatencyBoundAndItsBatchIsRefused) {
  const std::string urgent = with(example("observability.yaml"), "tier: 4, freshness: 24h", "tier: 4, freshness: 2m");
  const Plan written = plan_of(urgent);
  EXPECT_EQ(written.branches[2].axis, spec::Axis::kLatency);
  EXPECT_THAT(broken_rules(written, "billing-capacity"), ElementsAre("i-s0", "freshness"));
  const Plan open = plan_of(with(urgent, "axis: throughput, ", ""));
  EXPECT_EQ(open.branches[2].axis, spec::Axis::kLatency);
  EXPECT_THAT(broken_rules(open, "billing-capacity"), ElementsAre("freshness"));
}

TEST(Plan, OneBranchForTiersOneAndFourIsRefused) {
  const Plan plan = plan_of(with(example("observability.yaml"), "serves: [on-call]", "serves: [on-call, finance]"));
  EXPECT_THAT(broken_rules(plan, "incident-pager"), ElementsAre("i-s4"));
}

TEST(Plan, TheLaptopIsCleanAndEmbedded) {
  const Plan plan = plan_of(example("laptop.yaml"));
  EXPECT_EQ(render_refusals(plan), "");
  for (const auto& branch : plan.branches) EXPECT_EQ(branch.branch.engine, "embedded");
}

TEST(Plan, ProposesABranchForEachTierAndAcceptsItsOwnProposal) {
  const Plan plan = plan_of(example("canvas.yaml"));
  EXPECT_EQ(render_refusals(plan), "");
  ASSERT_EQ(plan.branches.size(), 3u);
  for (const auto& branch : plan.branches) EXPECT_TRUE(branch.proposed);
  const std::string whole = write_branches(example("canvas.yaml"), plan);
  EXPECT_TRUE(whole.starts_with(example("canvas.yaml")));
  const Plan again = plan_of(whole);
  EXPECT_EQ(render_refusals(again), "");
  ASSERT_EQ(again.branches.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(again.branches[i].proposed);
    EXPECT_EQ(again.branches[i].branch.name, plan.branches[i].branch.name);
    EXPECT_EQ(again.branches[i].branch.rhythm, plan.branches[i].branch.rhythm);
  }
  EXPECT_EQ(write_branches(whole, again), whole);
}

TEST(Plan, PutsProposalsWhereverBranchesStand) {
  const std::string head = with(example("canvas.yaml"), "name: canvas", "name: canvas   # mine");
  const std::string pager =
      "{name: p, kind: pager, serves: [on-call], rules: r.yaml, rhythm: stream, state: {store: rocksdb, checkpoints: x}}";
  for (const auto& branches : {
           std::string("branches:\n"),
           std::string("branches:   # none yet\n"),
           std::string("branches: []   # none yet\n"),
           std::string("branches: ~\n"),
           "branches:\n- " + pager + "   # the first\n# the end\n",
           "branches:\n    # before\n    - " + pager + "\n\n    # after\n",
           "branches: [" + pager + "]\n",
           "branches: [" + pager + ",   # it's mine ]\n  ]\n",
       }) {
    for (const bool last : {true, false}) {
      const std::string text = head + branches + (last ? "" : "serve: {listen: \"127.0.0.1:0\"}   # page\n");
      const std::string written = write_branches(text, plan_of(text));
      EXPECT_NE(written, text) << text;
      const Plan again = plan_of(written);
      EXPECT_EQ(again.branches.size(), 3u) << written;
      for (const auto& branch : again.branches) EXPECT_FALSE(branch.proposed) << written;
      for (const auto* comment : {"# mine", "# none yet", "# the first", "# the end", "# before", "# after", "# it's mine ]", "# page"})
        EXPECT_EQ(text.find(comment) == std::string::npos, written.find(comment) == std::string::npos) << comment << written;
    }
  }
}

TEST(Plan, AWeeklyScheduleIsAsStaleAsItsLongestWait) {
  const std::string weekly = with(example("observability.yaml"), "0 2 * * *", "0 2 * * mon");
  const Plan plan = plan_of(weekly);
  EXPECT_NEAR(plan.branches[2].staleness_s, 6 * 86'400 + 7'200, 3'600);
  EXPECT_THAT(broken_rules(plan, "billing-capacity"), ElementsAre("freshness"));
}

TEST(Plan, NoSecretReachesItsOutput) {
  struct : spec::Secrets {
    std::optional<std::string> environment(const std::string&) const override { return "hunter2"; }
    std::optional<std::string> file(const std::string&) const override { return "hunter2"; }
  } secrets;
  std::string text = with(example("observability.yaml"), "s3://acme-lake/bronze/logs", "\"s3://${BUCKET}/bronze/logs\"");
  text = with(text, "topic: logs", "topic: \"${TOPIC}\"");
  text = with(text, "PLAINTEXT", "\"${file:/key}\"");
  text = with(text, "checkpoints: s3://acme-lake/pager", "checkpoints: \"s3://${BUCKET}/pager\"");
  text = with(text, "reads: bronze", "reads: kafka");
  const auto loaded = spec::load(text, "t.yaml", secrets);
  ASSERT_TRUE(loaded.topology) << to_string(loaded.issues);
  EXPECT_EQ(loaded.topology->bronze.location, "s3://hunter2/bronze/logs");
  const Plan plan = make_plan(*loaded.topology);
  for (const auto& out : {render_table(plan), to_json(plan), render_refusals(plan)})
    EXPECT_EQ(out.find("hunter2"), std::string::npos) << out;
}

TEST(Plan, AutoShowsBothEnginesAndTakesTheCheapestThatFits) {
  const Plan small = plan_of(example("canvas.yaml"));
  EXPECT_EQ(small.branches[1].branch.engine, "embedded");
  ASSERT_EQ(small.branches[1].engines.size(), 2u);
  EXPECT_EQ(small.branches[1].engines[1].engine, "spark");
  // Too much for the one thread of the embedded dashboard.
  const Plan large = plan_of(with(with(example("canvas.yaml"), "10e6", "500e9"), "cores: 2", "cores: 400"));
  EXPECT_EQ(large.branches[1].branch.engine, "spark");
  EXPECT_FALSE(large.branches[1].engines[1].fits);
}

TEST(Plan, StaysWithinAHundredColumns) {
  for (const auto* name : {"observability.yaml", "laptop.yaml", "canvas.yaml"}) {
    std::istringstream lines(render_table(plan_of(example(name))));
    for (std::string line; std::getline(lines, line);) {
      const auto width = std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
      EXPECT_LE(width, 100) << line;
      EXPECT_EQ(line.find('\x1b'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace headpond::plan
