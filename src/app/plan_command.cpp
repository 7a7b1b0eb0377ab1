// `headpond plan` and `headpond init`.
#include <fmt/format.h>

#include <filesystem>

#include "app/console.h"
#include "app/session.h"
#include "plan/plan.h"

namespace headpond::app {

int run_plan(const CommonOptions& options, bool write) {
  const auto topology = load_topology(options.topology);
  if (!topology) return kWrongUse;
  const auto plan = plan::make_plan(*topology);
  if (write) {
    const auto text = read_file(options.topology);
    if (!text) return complain(text.error());
    if (const auto written = write_file(options.topology, plan::write_branches(*text, plan)); !written) return complain(written.error());
  }
  fmt::print("{}", options.json ? plan::to_json(plan) + "\n" : plan::render_table(plan));
  return plan.refused() ? kProblem : kOk;
}

int run_init(const CommonOptions& options) {
  if (std::filesystem::exists(options.topology)) {
    complain(options.topology + " exists already; name another with -f");
    return kWrongUse;
  }
  const std::string text =
      "# A source and its consumers are enough: 'headpond plan --write' adds the branches.\n"
      "version: 1\n"
      "name: my-logs\n"
      "source:\n"
      "  kafka: {brokers: \"127.0.0.1:9092\", topic: logs, encoding: json, start: earliest}\n"
      "consumers:\n"
      "  - {name: on-call, tier: 1, freshness: 30s, latency_value: {usd_per_minute: 5600, incidents_per_month: 4}}\n"
      "  - {name: live-ops, tier: 2, freshness: 5m}\n"
      "  - {name: finance, tier: 4, freshness: 24h}\n"
      "bronze:\n"
      "  location: lake/bronze/logs\n"
      "expect: {events_per_day: 1e9, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 16, cores: 4}\n";
  if (const auto written = write_file(options.topology, text); !written) return complain(written.error());
  fmt::print("wrote {}; next: headpond plan -f {} --write\n", options.topology, options.topology);
  return kOk;
}

}  // namespace headpond::app
