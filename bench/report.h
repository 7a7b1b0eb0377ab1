// What `make bench` finds: figures (build/bench.json and a table) and, for people, how each came about.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headpond::bench {

struct Figure {
  std::string name;  // "ingest.json.cpu_ns_per_event"
  double value = 0;
  std::string unit;
  std::optional<double> floor;  // what no implementation of this work on this machine could beat, measured in the same run
  std::optional<double> goal;
};

class Report {
 public:
  void add(Figure figure) { figures_.push_back(std::move(figure)); }
  // One line of a table of stages: printed at once.
  void section(std::string_view title);
  void stage(std::string_view name, double value, std::string_view unit, std::string_view note = {});

  void print() const;
  // False: the file cannot be written.
  bool write_json(const std::string& path) const;

 private:
  std::vector<Figure> figures_;
};

// CPU time in ns. Of the process: all its threads, a client library's too.
inline double cpu_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <class Work>
double thread_cpu_ns(const Work& work) {
  const auto start = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
  work();
  return cpu_ns(CLOCK_THREAD_CPUTIME_ID) - start;
}

template <class Work>
double process_cpu_ns(const Work& work) {
  const auto start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  work();
  return cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
}

}  // namespace headpond::bench
