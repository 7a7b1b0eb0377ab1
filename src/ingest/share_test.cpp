#include "ingest/share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace headpond::ingest {
namespace {

using ::testing::HasSubstr;

TEST(Share, InstancesDealThePartitionsOutAmongThem) {
  for (int p = 0; p < 20; ++p) {
    int owners = 0;
    for (int i = 0; i < 3; ++i) owners += parse_instance(std::to_string(i) + "/3")->has(base::PartitionId(p)) ? 1 : 0;
    EXPECT_EQ(owners, 1);
  }
  EXPECT_TRUE(Share{}.alone());
  EXPECT_TRUE(parse_instance("0/1")->alone());
  EXPECT_FALSE(parse_instance("0/2")->alone());
}

TEST(Share, AListIsTakenAsItIs) {
  const auto share = *parse_partitions("0-2,7");
  std::vector<int> has;
  for (int p = 0; p < 10; ++p) {
    if (share.has(base::PartitionId(p))) has.push_back(p);
  }
  EXPECT_EQ(has, (std::vector{0, 1, 2, 7}));
  EXPECT_FALSE(share.alone());
}

TEST(Share, NonsenseIsRefusedWithAnExample) {
  for (const auto* text : {"", "1", "2/2", "-1/2", "1/0", "a/b", "0/2x", "0/99999999999"}) {
    const auto share = parse_instance(text);
    ASSERT_FALSE(share) << text;
    EXPECT_THAT(share.error().message, HasSubstr("such as 0/2 and 1/2"));
  }
  for (const auto* text : {"", "1,", "3-1", "x", "1-", "-1", "1;2"}) EXPECT_FALSE(parse_partitions(text)) << text;
}

TEST(Phase, InstancesCommitAtEqualDistances) {
  EXPECT_EQ(phase_of(*parse_instance("0/4")), 0);
  EXPECT_EQ(phase_of(*parse_instance("3/4")), 0.75);
}

TEST(Phase, OwnersOfDifferentPartitionsCommitApart) {
  for (const int members : {2, 3, 4, 8}) {
    std::vector<double> phases;
    for (int p = 0; p < members; ++p) phases.push_back(phase_of(base::PartitionId(p)));
    std::ranges::sort(phases);
    double nearest = 1 + phases.front() - phases.back();
    for (std::size_t i = 1; i < phases.size(); ++i) nearest = std::min(nearest, phases[i] - phases[i - 1]);
    EXPECT_GT(nearest, 0.4 / members) << members << " members";
  }
}

TEST(Phase, TheNextMomentIsNeitherAtOnceNorFarAway) {
  const auto second = base::Duration::seconds(1);
  EXPECT_EQ(until_phase(0.5, base::Micros(10'000'000), second), base::Duration::millis(500));
  EXPECT_EQ(until_phase(0.5, base::Micros(10'510'000), second), base::Duration::millis(990)) << "a little late: on time again";
  EXPECT_EQ(until_phase(0.5, base::Micros(10'499'000), second), base::Duration::millis(1001)) << "a little early: not twice";
  EXPECT_EQ(until_phase(0, base::Micros(10'000'000), second), second);
}

}  // namespace
}  // namespace headpond::ingest
