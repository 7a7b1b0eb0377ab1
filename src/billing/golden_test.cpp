// A lake billed by format 1, frozen in tests/golden/format-1/billing: every later Headpond must open it, verify it, come to the same bills,
// and go on. Made once, by HEADPOND_WRITE_GOLDEN=1 billing_test --gtest_filter='GoldenBill.*'.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "billing/billing.h"
#include "billing/report.h"
#include "billing/test_world.h"

namespace headpond::billing {
namespace {

namespace fs = std::filesystem;
using testing::day;
using testing::TestLake;

const fs::path kGolden = fs::path(HEADPOND_SOURCE) / "tests/golden/format-1/billing";

TEST(GoldenBill, IsOpenedVerifiedRepeatedAndContinued) {
  TestLake lake;
  if (std::getenv("HEADPOND_WRITE_GOLDEN") != nullptr) {
    lake.fill_two_days();
    ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-24"), false));
    fs::remove_all(kGolden);
    fs::create_directories(kGolden);
    fs::copy(lake.directory / "lake", kGolden, fs::copy_options::recursive);
    return;
  }
  ASSERT_TRUE(fs::exists(kGolden)) << kGolden;
  fs::copy(kGolden, lake.directory / "lake", fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  const auto before = lake.branch_objects();
  ASSERT_GT(before.size(), 20u);
  for (const auto* date : {"2026-11-23", "2026-11-24"}) {
    const auto verified = verify_day(lake.settings, lake.world(), day(date), true);
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_TRUE(verified->clean()) << verified->findings[0].what << ": " << verified->findings[0].where;
    const auto again = run_day(lake.settings, lake.world(), day(date), false);
    ASSERT_TRUE(again) << again.error().message << "; if the report's looks were changed, raise kReportLayout (now " << kReportLayout
                       << ")";
    EXPECT_TRUE(again->stored_before);
  }
  EXPECT_EQ(lake.branch_objects(), before);

  lake.resume({{0, 601}, {1, 600}});
  lake.commit({{.partition = 1, .arrival = testing::at("2026-11-25T09:00:00Z")}},
              {{0, testing::at("2026-11-26T00:00:00Z")}, {1, testing::at("2026-11-26T00:00:00Z")}});
  const auto next = run_day(lake.settings, lake.world(), day("2026-11-25"), false);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->events, 2);
  const auto verified = verify_day(lake.settings, lake.world(), day("2026-11-25"), true);
  EXPECT_TRUE(verified->clean()) << verified->findings[0].what << ": " << verified->findings[0].where;
}

}  // namespace
}  // namespace headpond::billing
