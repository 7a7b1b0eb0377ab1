// The rows of the recorded lake: deterministic by seed, size and length, whatever the commits that will carry them.
// Each partition's rows stand in rising arrival. Threads: one at a time.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "base/time.h"

namespace headpond::conformance {

inline constexpr int kPartitions = 5;  // 2 falls idle, 3 is cut off for a while, 4 appears later
inline constexpr int kCutOff = 3, kLater = 4, kIdle = 2;

struct Shape {
  std::uint32_t seed = 1;
  std::int64_t events = 40'000;
  std::int64_t seconds = 420;  // of event time, half of them before midnight
};

// When what happens, in µs since the epoch.
struct Timeline {
  explicit Timeline(const Shape& shape);
  std::int64_t at(double part) const { return begin + static_cast<std::int64_t>(part * static_cast<double>(end - begin)); }
  std::int64_t old_begin, old_end;  // a minute of the day before, whose ingest_date retention removes
  std::int64_t begin, midnight, end;
  std::int64_t column_added, later_partition, cut_off_from, cut_off_to;
};

struct Row {
  std::int64_t arrival = 0, ts = 0;
  double duration_ms = 0;
  std::int32_t bytes = 0;
  std::int16_t severity = -1, service = -1, tenant = -1, host = -1, event = -1, region = -1, status = -1;  // -1: null
  bool error = false, timed = false;                                                                       // timed: has a duration
};

std::vector<std::vector<Row>> make_rows(const Shape& shape, const Timeline& time);  // by partition

}  // namespace headpond::conformance
