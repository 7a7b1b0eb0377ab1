#include "base/time.h"

#include <gtest/gtest.h>

namespace headpond::base {
namespace {

TEST(Time, Rfc3339RoundTripsToTheMicrosecond) {
  const auto t = parse_rfc3339("2018-03-24T17:15:20.865716Z");
  ASSERT_TRUE(t);
  EXPECT_EQ(t->value(), 1521911720865716);
  EXPECT_EQ(format_rfc3339(*t), "2018-03-24T17:15:20.865716Z");
}

TEST(Time, ReadsZonesSpacesAndNanoseconds) {
  EXPECT_EQ(parse_rfc3339("2026-01-01 01:00:00+01:00")->value(), parse_rfc3339("2026-01-01T00:00:00Z")->value());
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.999999999Z")->value(), -1);
  for (const char* bad : {"", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.Z",
                          "2026-01-01T00:00:00Zx"})
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
}

TEST(Time, FloorIsTowardsThePast) {
  EXPECT_EQ(floor_to(Micros(-1), kSecond).value(), -1'000'000);
  EXPECT_EQ(floor_to(Micros(1'999'999), kSecond).value(), 1'000'000);
  EXPECT_EQ(format_day(Micros(-1)), "1969-12-31");
}

TEST(Time, DurationsReadAndPrintInTheShortestForm) {
  EXPECT_EQ(parse_duration("1h30m")->value(), 5'400'000'000);
  EXPECT_EQ(parse_duration("250ms")->value(), 250'000);
  EXPECT_EQ(format_duration(Duration::seconds(90)), "1m30s");
  EXPECT_EQ(format_duration(*parse_duration("7d")), "7d");
  for (const char* bad : {"", "5", "m", "-5m", "5x", "99999999999999999d"}) EXPECT_FALSE(parse_duration(bad)) << bad;
}

}  // namespace
}  // namespace headpond::base
