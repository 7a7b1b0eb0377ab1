// Metrics as values: what a role counts, on its way to whoever renders it (serve: Prometheus' text format). Names follow Prometheus'
// conventions (https://prometheus.io/docs/practices/naming/): base units, `_total` for counters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace headpond::base {

// Counts of observations by upper bound. Threads: one at a time.
class Histogram {
 public:
  // `bounds` rise; one more bucket is open upwards.
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

  void observe(double value, std::int64_t times = 1) {
    const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[static_cast<std::size_t>(bucket)] += times;
    count_ += times;
    sum_ += value * static_cast<double>(times);
  }
  const std::vector<double>& bounds() const { return bounds_; }
  const std::vector<std::int64_t>& counts() const { return counts_; }  // by bucket, not cumulative
  std::int64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::int64_t> counts_;
  std::int64_t count_ = 0;
  double sum_ = 0;
};

struct MetricFamily {
  enum class Kind { kCounter, kGauge, kHistogram };
  using Labels = std::vector<std::pair<std::string, std::string>>;
  struct Sample {
    Labels labels;
    double value = 0;
  };
  std::string name, help;
  Kind kind = Kind::kGauge;
  std::vector<Sample> samples;                                // counter, gauge
  std::vector<std::pair<Labels, Histogram>> histograms = {};  // histogram
};

}  // namespace headpond::base
