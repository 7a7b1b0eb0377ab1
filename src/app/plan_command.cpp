// `headpond plan` and `headpond init`.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "app/console.h"
#include "app/session.h"
#include "kafka/client.h"
#include "plan/plan.h"

namespace headpond::app {

namespace {

// As wide as the terminal, within what reads well; colours only for a person who did not ask for none (no-color.org).
plan::TableStyle style_of_stdout() {
  plan::TableStyle style;
  if (isatty(STDOUT_FILENO) == 0) return style;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = std::clamp<int>(size.ws_col, 80, 120);
  style.color = std::getenv("NO_COLOR") == nullptr;
  return style;
}

}  // namespace

int run_plan(const CommonOptions& options, bool write) {
  auto topology = load_topology(options.topology);
  if (!topology) return kWrongUse;
  const auto& source = topology->source;
  if (const auto usable = kafka::check({.brokers = source.brokers, .librdkafka_options = source.librdkafka_options}); !usable) {
    fmt::print(stderr, "{}: {}\n", spec::to_string(source.place), usable.error().message);
    return kWrongUse;
  }
  auto plan = plan::make_plan(*topology);
  const auto proposed = std::count_if(plan.branches.begin(), plan.branches.end(), [](const auto& branch) { return branch.proposed; });
  if (write && proposed > 0) {
    const auto text = read_file(options.topology);
    if (!text) return complain(text.error());
    const std::string whole = plan::write_branches(*text, plan);
    if (whole == *text) {
      complain(fmt::format("{}: its `branches` are written in a form that cannot be edited; write them as a list of lines '- name: …'",
                           options.topology));
      return kProblem;
    }
    if (const auto written = write_file(options.topology, whole); !written) return complain(written.error());
    fmt::print(stderr, "headpond: {} branch{} written to {}\n", proposed, proposed == 1 ? "" : "es", options.topology);
    topology = load_topology(options.topology);
    if (!topology) return kWrongUse;
    plan = plan::make_plan(*topology);
  }
  fmt::print("{}", options.json ? plan::to_json(plan) + "\n" : plan::render_table(plan, style_of_stdout()));
  return plan.refused() ? kProblem : kOk;
}

namespace {

constexpr const char* kTopology = R"(# A source and its consumers are enough: 'headpond plan --write' adds the branches.
version: 1
name: my-logs
source:
  kafka: {brokers: "127.0.0.1:9092", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: on-call, tier: 1, freshness: 30s, latency_value: {usd_per_minute: 5600, incidents_per_month: 4}}
  - {name: live-ops, tier: 2, freshness: 5m}
  - {name: finance, tier: 4, freshness: 24h}
bronze:
  location: lake/bronze/logs
expect: {events_per_day: 1e9, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 16, cores: 4}
)";

constexpr const char* kRules = R"(groups:
  - name: basics
    interval: 1s
    lateness: 5s
    rules:
      - alert: ErrorBurst
        expr: count(severity_number >= 17)[1m] > 500
        by: [tenant, service]
        keep_firing_for: 2m
        labels: {severity: page}
        annotations: {summary: "{{ $labels.service }}: {{ $value }} errors a minute"}
      - alert: ErrorRatio
        expr: count(status >= 500)[5m] / count()[5m] > 0.02 and count()[5m] >= 200
        by: [tenant, service]
        labels: {severity: ticket}
        annotations: {summary: "{{ $labels.service }}: {{ $value }} of its requests fail"}
)";

constexpr const char* kPrices = R"(# GB = 10^9 bytes as produced to Kafka.
version: 1
currency: USD
prices:
  - {per_gb: 0.50, per_million_events: 0.10}
)";

}  // namespace

int run_init(const CommonOptions& options) {
  namespace fs = std::filesystem;
  const fs::path topology = options.topology, folder = topology.parent_path();
  const std::pair<fs::path, const char*> files[] = {
      {topology, kTopology}, {folder / "rules" / "basics.yaml", kRules}, {folder / "prices.yaml", kPrices}};
  if (fs::exists(topology)) {
    complain(options.topology + " exists already; name another with -f");
    return kWrongUse;
  }
  for (const auto& [path, text] : files) {
    if (fs::exists(path)) continue;
    std::error_code ignored;  // write_file says why
    if (path.has_parent_path()) fs::create_directories(path.parent_path(), ignored);
    if (const auto written = write_file(path.string(), text); !written) return complain(written.error());
    fmt::print("wrote {}\n", path.string());
  }
  fmt::print("next: headpond plan -f {} --write\n", options.topology);
  return kOk;
}

}  // namespace headpond::app
