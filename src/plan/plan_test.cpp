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
