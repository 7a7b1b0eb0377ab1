#include "branches.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/time.h"
#include "billing/billing.h"
#include "dashboard/engine.h"
#include "lake.h"
#include "need.h"
#include "pager/engine.h"
#include "spec/price_book.h"
#include "sql/engine.h"

namespace headpond::bench {

namespace {

constexpr double kCommitIntervalMs = 1000;
constexpr const char* kPlantedRule = R"(groups:
  - name: bench
    interval: 1s
    lateness: 5s
    rules:
      - alert: Planted
        expr: count(severity_number >= 17 and tenant like 'planted-%')[1m] > 0
        by: [tenant]
)";

std::string read_example(const std::string& name) {
  std::ifstream file(std::string(HEADPOND_ROOT) + "/examples/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct NoSecrets final : spec::Secrets {
  std::optional<std::string> environment(const std::string&) const override { return std::nullopt; }
  std::optional<std::string> file(const std::string&) const override { return std::nullopt; }
};

spec::Topology laptop() {
  auto loaded = spec::load(read_example("laptop.yaml"), "examples/laptop.yaml", NoSecrets());
  if (!loaded.topology) need(base::Result<void>(base::fail(base::ErrorKind::kInvalid, "examples/laptop.yaml is not valid")));
  return *loaded.topology;
}

const spec::Branch& branch_of(const spec::Topology& topology, spec::BranchKind kind) {
  return *std::ranges::find(topology.branches, kind, &spec::Branch::kind);
}

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

bool has_page(pager::Engine& engine, const std::string& tenant) {
  for (const auto& delivery : engine.outbox().due("stdout", 100'000))
    if (delivery.transition.id.key.find("\"" + tenant + "\"") != std::string::npos) return true;
  return false;
}

// One version a second; in each, one event that must page. Delay = from the event's arrival to the page in the outbox.
void measure_pager(FullLoad& load, int seconds, const spec::Topology& topology, Report& report) {
  const std::vector<pager::RuleFile> rules = {{"basics.yaml", read_example("rules/basics.yaml")}, {"bench.yaml", kPlantedRule}};
  const auto engine =
      need(pager::Engine::open(topology, branch_of(topology, spec::BranchKind::kPager), rules,
                               {load.store(), load.paths(), load.clock(), load.random(), load.failpoints(), load.scratch("pager")}));
  std::vector<double> delays, work;
  double cpu = 0;
  for (int second = 0; second < seconds; ++second) {
    const auto tenant = "planted-" + std::to_string(second);
    const auto arrival = load.plant(tenant, load.random().next());
    load.append_second();
    const auto start = now_ms();
    load.commit();
    const auto waited_ms = static_cast<double>((load.clock().now() - arrival).value()) / 1000;
    cpu += process_cpu_ns([&] {
      while (need(engine->step())) {
      }
    });
    work.push_back(now_ms() - start);
    delays.push_back(waited_ms + work.back());
    if (!has_page(*engine, tenant)) need(base::Result<void>(base::fail(base::ErrorKind::kCorrupt, "no page for " + tenant)));
  }
  need(engine->drain());
  report.section("pager, " + std::to_string(seconds) +
                 " versions of 580,000 rows, rules of examples/rules and one planted event a version");
  report.stage("event arrives → page in outbox, p50", percentile(delays, 0.5), "ms");
  report.stage("event arrives → page in outbox, p99", percentile(delays, 0.99), "ms");
  report.stage("  of it commit and evaluation, p99", percentile(work, 0.99), "ms", "the rest is the wait for the commit");
  report.stage("CPU a version", cpu / 1e6 / seconds, "ms");
  report.add(
      {.name = "pager.page.p99_ms", .value = percentile(delays, 0.99), .unit = "ms", .floor = 0.99 * kCommitIntervalMs, .goal = 2000});
}

// What DuckDB alone needs to group the same rows by two columns, one thread. CPU seconds.
double group_by_floor(const FullLoad& load) {
  const auto sql = need(sql::Engine::open({}));
  const auto query =
      "SELECT service, severity_number, count(*), sum(bytes) FROM read_parquet(" + sql::list_literal(load.data_files()) + ") GROUP BY ALL";
  need(sql->query("SELECT 1"));
  return process_cpu_ns([&] { need(sql->query(query)); }) / 1e9;
}

void measure_dashboard(FullLoad& load, int seconds, double floor, const spec::Topology& topology, Report& report) {
  const auto engine = need(
      dashboard::Engine::open(topology, branch_of(topology, spec::BranchKind::kDashboard),
                              {load.store(), load.paths(), load.clock(), load.random(), load.failpoints(), load.scratch("dashboard")}));
  load.clock().set(load.clock().now() + base::kMinute);
  const double cpu = process_cpu_ns([&] {
                       while (need(engine->step()) || engine->status().figures["pending_rows"] > 0) {
                         load.clock().set(load.clock().now() + base::kSecond);
                       }
                     }) /
                     1e9;
  const double scale = 60.0 / seconds;
  report.section("dashboard, " + std::to_string(seconds) + " s of full load");
  report.stage("CPU of a full minute", cpu * scale, "s", "log, rows, gold commit");
  report.stage("  group by two columns (floor)", floor * scale, "s");
  report.add({.name = "dashboard.full_minute.cpu_s", .value = cpu * scale, .unit = "s", .floor = floor * scale, .goal = 6.0});
}

void measure_billing(FullLoad& load, int seconds, double floor, const spec::Topology& topology, Report& report) {
  auto prices = spec::load_price_book(read_example("prices.yaml"), "examples/prices.yaml");
  if (!prices.book) need(base::Result<void>(base::fail(base::ErrorKind::kInvalid, "examples/prices.yaml is not valid")));
  const auto settings = billing::settings_of(topology, branch_of(topology, spec::BranchKind::kBilling), *prices.book);
  const billing::World world{load.store(), load.paths(), load.clock(), load.random(), load.failpoints(), load.scratch("billing")};
  const auto day = base::floor_to(load.clock().now(), base::kDay);
  const auto rows = static_cast<double>(FullLoad::kRowsPerSecond) * seconds;
  double events = 0;
  const double cpu = process_cpu_ns([&] { events = static_cast<double>(need(billing::run_day(settings, world, day, true)).events); }) / 1e9;
  if (events != rows) need(base::Result<void>(base::fail(base::ErrorKind::kCorrupt, "the bill has not every row")));
  report.section("billing, a provisional bill over the same rows");
  report.stage("usage, lines, report", rows / cpu, "rows/s/core");
  report.stage("  group by two columns (floor)", rows / floor, "rows/s/core");
  report.add({.name = "billing.usage.rows_per_s_per_core",
              .value = rows / cpu,
              .unit = "rows/s",
              .floor = rows / floor,
              .goal = 50e9 / (16 * 7200.0)});
}

constexpr const char* kNoon = "2026-11-24T12:00:00Z";

}  // namespace

void measure_minute(const std::string& directory, int seconds, Report& report) {
  FullLoad load(*base::parse_rfc3339(kNoon), directory);
  for (int second = 0; second < seconds; ++second) {
    load.append_second();
    load.commit();
  }
  measure_dashboard(load, seconds, group_by_floor(load), laptop(), report);
}

void measure_branches(int seconds, Report& report) {
  const auto topology = laptop();
  FullLoad load(*base::parse_rfc3339(kNoon));
  measure_pager(load, seconds, topology, report);
  const auto floor = group_by_floor(load);
  measure_dashboard(load, seconds, floor, topology, report);
  measure_billing(load, seconds, floor, topology, report);
}

}  // namespace headpond::bench
