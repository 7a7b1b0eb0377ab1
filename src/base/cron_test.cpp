#include "base/cron.h"

#include <gtest/gtest.h>

#include "base/time.h"

namespace headpond::base {
namespace {

std::string next(const char* schedule, const char* from) {
  const auto cron = Cron::parse(schedule);
  if (!cron) return cron.error().message;
  const auto at = cron->next_at_or_after(*parse_rfc3339(from));
  return at ? format_rfc3339(*at) : "never";
}

TEST(Cron, FiresAtTheNextMatchingMinute) {
  EXPECT_EQ(next("0 2 * * *", "2026-11-25T01:06:22Z"), "2026-11-25T02:00:00Z");
  EXPECT_EQ(next("0 2 * * *", "2026-11-25T02:00:00Z"), "2026-11-25T02:00:00Z");
  EXPECT_EQ(next("0 2 * * *", "2026-11-25T02:00:00.000001Z"), "2026-11-26T02:00:00Z");
  EXPECT_EQ(next("* * * * *", "2026-12-31T23:59:30Z"), "2027-01-01T00:00:00Z");
  EXPECT_EQ(next("*/15 8-18/5 * * *", "2026-11-25T08:46:00Z"), "2026-11-25T13:00:00Z");
  EXPECT_EQ(next("5,35 3 * * *", "2026-11-25T03:06:00Z"), "2026-11-25T03:35:00Z");
  EXPECT_EQ(next("10/20 0 * * *", "2026-11-25T00:11:00Z"), "2026-11-25T00:30:00Z");
}

TEST(Cron, KnowsMonthsWeekdaysAndNames) {
  // 2026-11-25 is a Wednesday.
  EXPECT_EQ(next("0 0 * * sun", "2026-11-25T00:00:00Z"), "2026-11-29T00:00:00Z");
  EXPECT_EQ(next("0 0 * * 7", "2026-11-25T00:00:00Z"), "2026-11-29T00:00:00Z");
  EXPECT_EQ(next("0 0 * * Mon-Fri", "2026-11-28T00:00:00Z"), "2026-11-30T00:00:00Z");
  EXPECT_EQ(next("30 4 1 jan *", "2026-11-25T00:00:00Z"), "2027-01-01T04:30:00Z");
  EXPECT_EQ(next("@monthly", "2026-11-25T00:00:00Z"), "2026-12-01T00:00:00Z");
}

TEST(Cron, TwoRestrictedDayFieldsMeanEither) {
  EXPECT_EQ(next("0 0 27 * sun", "2026-11-25T00:00:00Z"), "2026-11-27T00:00:00Z");
  EXPECT_EQ(next("0 0 27 * sun", "2026-11-28T00:00:00Z"), "2026-11-29T00:00:00Z");
  EXPECT_EQ(next("0 0 */2 * sun", "2026-11-25T00:00:00Z"), "2026-11-29T00:00:00Z");  // begins with *: both must hold
}

TEST(Cron, FindsLeapDaysAndKnowsWhatNeverComes) {
  EXPECT_EQ(next("0 0 29 2 *", "2026-11-25T00:00:00Z"), "2028-02-29T00:00:00Z");
  EXPECT_EQ(next("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00:00Z");
  EXPECT_EQ(next("0 0 30 2 *", "2026-11-25T00:00:00Z"), "never");
}

TEST(Cron, SaysWhichFieldIsWrong) {
  EXPECT_EQ(next("60 2 * * *", "2026-11-25T00:00:00Z"),
            "schedule: minute is \"60\"; expected *, numbers from 0 to 59, ranges (1-5), steps (*/15) or lists of these");
  for (const auto* bad : {"", "0 2 * *", "0 2 * * * *", "a * * * *", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "0 24 * * *",
                          "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "-1 * * * *", "0 0 * foo *"}) {
    EXPECT_TRUE(next(bad, "2026-11-25T00:00:00Z").starts_with("schedule: ")) << bad;
  }
}

}  // namespace
}  // namespace headpond::base
