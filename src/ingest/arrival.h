// `arrival` and the clock of one partition: the one place that stamps time on rows. Definitions: docs/formats/bronze.md, "Time".
//
// Pure; threads: one at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/ids.h"

namespace headpond::ingest {

struct ArrivalRules {
  base::Duration max_future = base::Duration::minutes(5);
  base::Duration max_clock_error = base::Duration::millis(500);
};

class ArrivalClock {
 public:
  ArrivalClock() = default;
  // `clock`: the table's clock of the partition, if it has one.
  ArrivalClock(const ArrivalRules& rules, std::optional<base::Micros> clock) : rules_(rules) {
    if (clock) raise(*clock);
    clock_ = clock;
  }

  // The arrival of the next record, µs: max(previous arrival, partition clock, a). `kafka_timestamp` < 0: none.
  std::int64_t stamp(std::int64_t kafka_timestamp, bool log_append_time, std::int64_t fetched_at) {
    std::int64_t a = fetched_at;
    if (kafka_timestamp >= 0) {
      if (kafka_timestamp > fetched_at + rules_.max_future.value()) [[unlikely]] {
        ++from_the_future_;
        if (floor_ == kNone) floor_ = fetched_at;  // nothing else to go by
        return floor_;
      }
      a = log_append_time ? kafka_timestamp : std::min(kafka_timestamp, fetched_at);
    }
    floor_ = std::max(floor_, a);
    return floor_;
  }

  // The clock at a cut: the last arrival or, where the broker answered exactly the covered position, the time that question was sent less
  // max_clock_error; never below an earlier one. From here on no arrival is below it. None: nothing is known yet.
  std::optional<base::Micros> cut(std::optional<base::Micros> proven_at) {
    std::optional<base::Micros> clock = clock_;
    if (floor_ != kNone) clock = std::max(clock.value_or(base::Micros(floor_)), base::Micros(floor_));
    if (proven_at) {
      const auto proven = *proven_at - rules_.max_clock_error;
      clock = std::max(clock.value_or(proven), proven);
    }
    if (clock) raise(*clock);
    clock_ = clock;
    return clock_;
  }

  std::optional<base::Micros> last_arrival() const { return floor_ == kNone ? std::nullopt : std::optional(base::Micros(floor_)); }
  void raise(base::Micros floor) { floor_ = std::max(floor_, floor.value()); }
  // Records whose kafka_timestamp was more than max_future ahead.
  std::int64_t from_the_future() const { return from_the_future_; }

 private:
  static constexpr std::int64_t kNone = INT64_MIN;
  ArrivalRules rules_;
  std::int64_t floor_ = kNone;  // max(previous arrival, partition clock)
  std::optional<base::Micros> clock_;
  std::int64_t from_the_future_ = 0;
};

}  // namespace headpond::ingest
