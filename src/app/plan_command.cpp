// `headpond plan` and `headpond init`.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "app/console.h"
#include "app/session.h"
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
