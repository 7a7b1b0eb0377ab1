#include "record_stream.h"

#include <algorithm>
#include <cmath>

namespace headpond::conformance {
namespace {

constexpr std::int64_t kSecond = 1'000'000, kMinute = 60 * kSecond, kDay = 1440 * kMinute;

class Stream {
 public:
  Stream(const Shape& shape, const Timeline& time) : shape_(shape), time_(time), dice_(shape.seed), rows_(kPartitions) {}

  std::vector<std::vector<Row>> make() {
    const auto per_second = std::max<std::int64_t>(1, shape_.events / shape_.seconds);
    for (auto t = time_.old_begin; t < time_.old_end; t += kSecond) second(t, per_second / 2, 2);
    for (auto t = time_.begin; t < time_.end; t += kSecond) second(t, rate(t, per_second), kPartitions);
    for (auto& rows : rows_) std::ranges::stable_sort(rows, {}, &Row::arrival);
    return std::move(rows_);
  }

 private:
  std::uint32_t roll(std::uint32_t n) { return static_cast<std::uint32_t>(dice_()) % n; }
  double part(std::int64_t t) const { return static_cast<double>(t - time_.begin) / static_cast<double>(time_.end - time_.begin); }

  // Silence, then bursts of six times the mean.
  std::int64_t rate(std::int64_t t, std::int64_t mean) const {
    const auto p = part(t);
    if (p > 0.30 && p < 0.36) return 0;
    if ((p > 0.40 && p < 0.43) || (p > 0.66 && p < 0.68) || (p > 0.90 && p < 0.91)) return mean * 6;
    return mean * 4 / 5;
  }

  void second(std::int64_t t, std::int64_t rows, int partitions) {
    for (; rows > 0; --rows) {
      const int p = static_cast<int>(roll(static_cast<std::uint32_t>(partitions)));
      const auto row = make_row(t + static_cast<std::int64_t>(roll(kSecond)));
      if (p == kIdle && part(t) > 0.2 && part(t) < 0.55) continue;
      if (p == kLater && row.arrival < time_.later_partition + 20 * kSecond) continue;
      rows_[static_cast<std::size_t>(p)].push_back(row);
    }
  }

  std::int64_t event_time(std::int64_t arrival) {
    switch (roll(40)) {
      case 0: return arrival - static_cast<std::int64_t>(roll(600)) * kSecond;                                 // late
      case 1: return std::min(arrival + static_cast<std::int64_t>(roll(240)) * kSecond, time_.end - kSecond);  // ahead
      case 2: return arrival - 2 * kSecond + static_cast<std::int64_t>(roll(3)) - 1;                           // right on a lateness
      case 3: return arrival / kSecond * kSecond;                                                              // right on a boundary
      default: return arrival - static_cast<std::int64_t>(roll(1'500'000));
    }
  }

  Row make_row(std::int64_t arrival) {
    Row row;
    row.arrival = arrival;
    row.ts = event_time(arrival);
    row.bytes = 200 + static_cast<std::int32_t>(roll(600));
    if (roll(60) == 0) {
      row.error = true;
      row.ts = arrival;
      return row;
    }
    const auto p = part(arrival);
    // Every 19th second of the stretch has its own trouble, so that rules flap.
    const bool trouble = arrival / (19 * kSecond) % 3 == 0;
    if (roll(25) != 0) row.service = static_cast<std::int16_t>(std::min(roll(6), roll(6)));
    if (roll(30) != 0) row.tenant = static_cast<std::int16_t>(std::min(roll(5), roll(5)));
    row.host = static_cast<std::int16_t>(roll(40));
    row.severity = roll(20) == 0 ? std::int16_t{-1} : static_cast<std::int16_t>(roll(trouble ? 5 : 25) == 0 ? 17 + roll(4) : 5 + roll(12));
    row.event = static_cast<std::int16_t>(roll(5) == 0 ? 0 : 1 + roll(3));
    if (row.event == 0 && row.host % 4 == 0 && p > 0.5 && p < 0.7) row.event = 1;  // heartbeats of some hosts fail
    if (roll(10) != 0) row.status = static_cast<std::int16_t>(roll(trouble && row.service == 1 ? 3 : 30) == 0 ? 500 + roll(4) : 200);
    if (roll(6) != 0) {
      row.timed = true;
      row.duration_ms = roll(50) == 0 ? 0.0 : static_cast<double>(1 + roll(1 << (roll(14)))) / 4.0;  // exact in any order of sums
    }
    if (arrival >= time_.column_added && roll(4) != 0) row.region = static_cast<std::int16_t>(roll(3));
    return row;
  }

  Shape shape_;
  Timeline time_;
  std::mt19937 dice_;
  std::vector<std::vector<Row>> rows_;
};

}  // namespace

Timeline::Timeline(const Shape& shape) {
  midnight = base::parse_day("2026-11-20")->value();
  begin = midnight - shape.seconds / 2 * kSecond;
  end = begin + shape.seconds * kSecond;
  old_begin = midnight - kDay - 12 * 60 * kMinute;
  old_end = old_begin + kMinute;
  column_added = at(0.45);
  later_partition = at(0.5);
  cut_off_from = at(0.72);
  cut_off_to = at(0.80);
}

std::vector<std::vector<Row>> make_rows(const Shape& shape, const Timeline& time) {
  return Stream(shape, time).make();
}

}  // namespace headpond::conformance
