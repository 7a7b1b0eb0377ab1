#include "ingest/arrival.h"

#include <gtest/gtest.h>

namespace headpond::ingest {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kNow = 1'795'000'000 * kSecond;

TEST(Arrival, IsTheRecordTimeButNeverAfterTheFetch) {
  ArrivalClock arrival({}, std::nullopt);
  EXPECT_EQ(arrival.stamp(kNow - 5 * kSecond, false, kNow), kNow - 5 * kSecond);
  EXPECT_EQ(arrival.stamp(kNow + 5 * kSecond, false, kNow), kNow);
}

TEST(Arrival, OfALogAppendTimeTopicIsTheBrokersTime) {
  ArrivalClock arrival({}, std::nullopt);
  EXPECT_EQ(arrival.stamp(kNow + 5 * kSecond, true, kNow), kNow + 5 * kSecond);
}

TEST(Arrival, NeverFallsWithinAPartition) {
  ArrivalClock arrival({}, std::nullopt);
  EXPECT_EQ(arrival.stamp(kNow, false, kNow), kNow);
  EXPECT_EQ(arrival.stamp(kNow - 60 * kSecond, false, kNow), kNow);
}

TEST(Arrival, IsNeverBelowTheTablesClock) {
  ArrivalClock arrival({}, base::Micros(kNow));
  EXPECT_EQ(arrival.stamp(kNow - 60 * kSecond, false, kNow + kSecond), kNow);
}

TEST(Arrival, ARecordTimeTooFarAheadCountsForNothing) {
  ArrivalClock arrival({}, std::nullopt);
  EXPECT_EQ(arrival.stamp(kNow - 9 * kSecond, false, kNow - 8 * kSecond), kNow - 9 * kSecond);
  EXPECT_EQ(arrival.stamp(kNow + 301 * kSecond, false, kNow), kNow - 9 * kSecond);
  EXPECT_EQ(arrival.from_the_future(), 1);
  EXPECT_EQ(arrival.stamp(kNow + 300 * kSecond, false, kNow), kNow);
  EXPECT_EQ(arrival.from_the_future(), 1);
}

TEST(Arrival, WithoutARecordTimeIsTheFetchTime) {
  ArrivalClock arrival({}, std::nullopt);
  EXPECT_EQ(arrival.stamp(-1, false, kNow), kNow);
}

TEST(Arrival, ClockIsTheLastArrivalOrWhatTheBrokerProves) {
  ArrivalClock arrival({}, std::nullopt);
  EXPECT_FALSE(arrival.cut(std::nullopt));
  arrival.stamp(kNow - 5 * kSecond, false, kNow);
  EXPECT_EQ(arrival.cut(std::nullopt), base::Micros(kNow - 5 * kSecond));
  EXPECT_EQ(arrival.cut(base::Micros(kNow)), base::Micros(kNow - kSecond / 2));
  EXPECT_EQ(arrival.cut(base::Micros(kNow - kSecond)), base::Micros(kNow - kSecond / 2)) << "a clock never goes back";
}

TEST(Arrival, RowsBehindACutAreNotBelowItsClock) {
  ArrivalClock arrival({}, std::nullopt);
  const auto clock = arrival.cut(base::Micros(kNow));
  EXPECT_EQ(arrival.stamp(kNow - 3600 * kSecond, false, kNow + kSecond), clock->value());
}

}  // namespace
}  // namespace headpond::ingest
