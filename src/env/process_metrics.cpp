#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "env/real.h"

namespace headpond::env {
namespace {

using base::MetricFamily;

MetricFamily single(std::string name, std::string help, MetricFamily::Kind kind, double value) {
  return {.name = std::move(name), .help = std::move(help), .kind = kind, .samples = {{{}, value}}};
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident * ::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_fds() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator fd("/proc/self/fd", error), end; !error && fd != end; fd.increment(error)) ++count;
  return count;
}

// Field 22 of /proc/self/stat (proc(5)): ticks after boot; /proc/stat has the time of boot.
double start_time_seconds() {
  std::string text;
  std::getline(std::ifstream("/proc/self/stat"), text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  std::ifstream stat("/proc/stat");
  double boot = 0;
  for (std::string key; stat >> key;)
    if (key == "btime") stat >> boot;
  return boot + std::stod(field) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

std::vector<MetricFamily> process_metrics() {
  using Kind = MetricFamily::Kind;
  return {
      single("process_resident_memory_bytes", "Resident memory size in bytes.", Kind::kGauge, resident_bytes()),
      single("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", Kind::kCounter, cpu_seconds()),
      single("process_open_fds", "Number of open file descriptors.", Kind::kGauge, open_fds()),
      single("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", Kind::kGauge, start_time_seconds())};
}

}  // namespace headpond::env
