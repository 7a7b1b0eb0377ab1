#include "plan/costs.h"

#include <algorithm>
#include <cmath>

#include "base/cron.h"
#include "base/time.h"

namespace headpond::plan {
namespace {

constexpr double kDayS = 86'400;
constexpr double kMonthHours = 730;
constexpr double kMonthS = kMonthHours * 3600;
constexpr double kOutageS = 600;

constexpr double kIngestNs = 1'507;  // as measured, the slowest of three runs; bronze's promise is 1,728
constexpr double kIngestMemoryGb = 1;
constexpr double kBronzeBytesRatio = 0.22;  // of the payload, everything a row costs at rest
constexpr double kHeadroom = 0.7;           // what always runs is provisioned to be this busy at its rate
constexpr double kRuleLatenessS = 5;        // default of a rule file
constexpr double kRuleIntervalS = 1;        // default of a rule file
constexpr double kStreamPathS = 2;          // fetch, PUT, tail and fold of a version, at the 99th percentile
constexpr double kWindowS = 60;             // the unit a micro-batch aggregates by
constexpr double kGetsPerVersion = 5;       // its log entry, and four column ranges
constexpr double kPutsPerVersion = 3;       // a data file in two parts, and the log entry
constexpr double kBatchRangeBytes = 8e6;

double read_bytes_per_event(spec::BranchKind kind) {
  switch (kind) {
    case spec::BranchKind::kPager: return 30;
    case spec::BranchKind::kDashboard: return 45;
    case spec::BranchKind::kBilling: return 20;
  }
  return 0;
}

double written_bytes_per_day(spec::BranchKind kind) {
  switch (kind) {
    case spec::BranchKind::kPager: return 1e6;                      // a thousand transitions with their evidence
    case spec::BranchKind::kDashboard: return 1'440 * 1'000 * 120;  // a thousand keys a minute: rollup, histogram, rolling
    case spec::BranchKind::kBilling: return 96 * 1'000 * 60;        // a thousand tenants and services a quarter hour
  }
  return 0;
}

// Seconds until a backlog of kOutageS is worked off beside the arriving events; < 0 = never.
double catch_up(double rate, double capacity_per_s) {
  return capacity_per_s <= rate ? -1 : kOutageS * rate / (capacity_per_s - rate);
}

}  // namespace

bool is_embedded(const std::string& engine) {
  return engine == "embedded";
}

// Per event: what reads the columns and does the work. The embedded figures are those of `make bench` over full load, as they came
// (docs/benchmarks.md: pager 356 ms a version of 580,000 rows, dashboard 5.8 s a full minute, billing 13.9 M rows/s a core).
// Those of the clusters are estimates for a driver and a job that are warm; Spark's first batch beside the dashboard's took 1,943.
RunCost run_cost(spec::Rhythm rhythm, const std::string& engine) {
  const bool embedded = is_embedded(engine);
  switch (rhythm) {
    case spec::Rhythm::kStream: return embedded ? RunCost{613, 0, 0.5, true} : RunCost{1'500, 0, 6, false};
    case spec::Rhythm::kMicroBatch: return embedded ? RunCost{168, 0.5, 0.5, true} : RunCost{1'000, 5.5, 8, false};
    case spec::Rhythm::kBatch: return embedded ? RunCost{72, 1, 1, false} : RunCost{400, 60, 8, false};
  }
  return {};
}

Load load_of(const spec::Topology& topology) {
  const spec::Expect expect = topology.expect.value_or(spec::Expect{});
  Load load;
  load.events_per_day = expect.events_per_day > 0 ? expect.events_per_day : 10e6;
  load.mean = load.events_per_day / kDayS;
  load.peak = load.mean * expect.peak_to_mean;
  load.bytes_per_event = expect.bytes_per_event;
  load.cores = expect.cores > 0 ? expect.cores : 2;
  load.partitions = std::max(expect.partitions, 1);
  load.commit_interval_s = topology.bronze.commit_interval.to_seconds();
  load.max_clock_error_s = topology.bronze.max_clock_error.to_seconds();
  load.local = topology.bronze.location.find("://") == std::string::npos;
  return load;
}

double schedule_wait_s(const std::optional<std::string>& schedule) {
  const auto cron = base::Cron::parse(schedule.value_or(kDefaultSchedule));
  if (!cron) return kDayS;
  const base::Micros start = *base::parse_day("2024-01-01");
  const auto first = cron->next_at_or_after(start);
  if (!first) return 1e9;
  // A day that fires does so first at the same time of day; four years hold every kind of day.
  const base::Duration of_day = *first - base::floor_to(*first, base::kDay);
  constexpr int kDays = 4 * 366;
  double longest = 0;
  for (int i = 0; i < kDays; ++i) {
    const base::Micros midnight = start + base::kDay * i;
    const auto next = cron->next_at_or_after(midnight + of_day);
    if (!next) return 1e9;
    longest = std::max(longest, (*next - midnight).to_seconds());
  }
  return longest;
}

Run run_of(const spec::Branch& branch, int tier, spec::Rhythm rhythm, const std::string& engine, const Load& load) {
  const RunCost cost = run_cost(rhythm, engine);
  const double rate = tier >= 4 ? load.mean : load.peak;
  Run run;
  run.cores = cost.one_thread ? 1 : load.cores;
  const double trigger_s = branch.trigger.value_or(base::kMinute).to_seconds();
  run.period_s = rhythm == spec::Rhythm::kStream ? load.commit_interval_s : rhythm == spec::Rhythm::kMicroBatch ? trigger_s : kDayS;
  run.events = rate * run.period_s;
  const double work_s = run.events * cost.ns_per_event * 1e-9;
  run.core_seconds = work_s + cost.fixed_s;
  run.seconds = work_s / run.cores + cost.fixed_s;
  switch (rhythm) {
    case spec::Rhythm::kStream:
      run.staleness_s = load.commit_interval_s + kRuleLatenessS + kRuleIntervalS + load.max_clock_error_s + kStreamPathS + run.seconds;
      break;
    case spec::Rhythm::kMicroBatch: run.staleness_s = kWindowS + branch.allowed_lateness.to_seconds() + trigger_s + run.seconds; break;
    case spec::Rhythm::kBatch: run.staleness_s = schedule_wait_s(branch.schedule) + run.seconds; break;
  }
  return run;
}

Capacity capacity_of(const spec::Branch& branch, int tier, spec::Rhythm rhythm, const std::string& engine, const Load& load,
                     const spec::Prices& prices) {
  const RunCost cost = run_cost(rhythm, engine);
  const Run run = run_of(branch, tier, rhythm, engine, load);
  const double mean_share = load.mean / (tier >= 4 ? load.mean : load.peak);  // of the dimensioned events, what comes on average
  Capacity c;
  c.events_per_s = run.events / run.period_s;
  c.read_bytes_per_day = load.events_per_day * read_bytes_per_event(branch.kind);
  c.written_bytes_per_day = written_bytes_per_day(branch.kind);
  const double runs_a_month = kMonthS / run.period_s;
  const double versions_a_month = kMonthS / load.commit_interval_s;
  const double gets =
      rhythm == spec::Rhythm::kBatch ? c.read_bytes_per_day * kMonthHours / 24 / kBatchRangeBytes : versions_a_month * kGetsPerVersion;
  const double puts = rhythm == spec::Rhythm::kStream ? kMonthS / 10 : 3 * runs_a_month;
  c.requests_per_month = gets + puts;
  const double request_usd = load.local ? 0 : (gets * prices.million_gets + puts * prices.million_puts) / 1e6;
  c.memory_gb = cost.memory_gb;
  if (rhythm == spec::Rhythm::kStream) {
    // A stream holds whole cores and its memory all the month.
    c.cores = c.events_per_s * cost.ns_per_event * 1e-9;
    c.provisioned_cores = std::max(1.0, std::ceil(c.cores / kHeadroom));
    c.usd_per_month = kMonthHours * (c.provisioned_cores * prices.core_hour + c.memory_gb * prices.memory_gb_hour) + request_usd;
    c.catch_up_s = catch_up(c.events_per_s, c.provisioned_cores / (cost.ns_per_event * 1e-9));
  } else {
    // A run takes cores and memory only while it lasts.
    c.cores = run.core_seconds / run.seconds;
    c.provisioned_cores = run.cores;
    const double mean_core_s = (run.core_seconds - cost.fixed_s) * mean_share + cost.fixed_s;
    const double mean_run_s = (run.seconds - cost.fixed_s) * mean_share + cost.fixed_s;
    c.usd_per_month =
        runs_a_month / 3600 * (mean_core_s * prices.core_hour + mean_run_s * c.memory_gb * prices.memory_gb_hour) + request_usd;
    c.catch_up_s =
        rhythm == spec::Rhythm::kBatch
            ? 0
            : catch_up(c.events_per_s, std::max(0.0, run.period_s - cost.fixed_s) / run.period_s * run.cores / (cost.ns_per_event * 1e-9));
  }
  return c;
}

Capacity ingest_capacity(const Load& load, const spec::Prices& prices) {
  Capacity c;
  c.events_per_s = load.peak;
  c.cores = load.peak * kIngestNs * 1e-9;
  c.provisioned_cores = std::max(1.0, std::ceil(c.cores / kHeadroom));
  c.memory_gb = kIngestMemoryGb;
  c.read_bytes_per_day = load.events_per_day * load.bytes_per_event;
  c.written_bytes_per_day = c.read_bytes_per_day * kBronzeBytesRatio;
  c.requests_per_month = kMonthS / load.commit_interval_s * kPutsPerVersion;
  c.usd_per_month = kMonthHours * (c.provisioned_cores * prices.core_hour + c.memory_gb * prices.memory_gb_hour) +
                    (load.local ? 0 : c.requests_per_month * prices.million_puts / 1e6);
  c.catch_up_s = catch_up(load.peak, c.provisioned_cores / (kIngestNs * 1e-9));
  return c;
}

double bronze_bytes_at_rest(const Load& load, base::Duration retention) {
  return load.events_per_day * load.bytes_per_event * kBronzeBytesRatio * retention.to_seconds() / kDayS;
}

std::vector<Assumption> assumptions_of(const spec::Topology& topology, const Plan& plan) {
  std::vector<Assumption> list{
      {"ingest", kIngestNs, "ns/event", "measured: make bench, quiet machine"},
      {"bronze at rest", kBronzeBytesRatio, "of the payload", "measured: make bench, raw kept"},
      {"headroom", kHeadroom, "busy at the peak", "chosen"},
      {"rule lateness + interval", kRuleLatenessS + kRuleIntervalS, "s", "stated: defaults of a rule file"},
      {"stream path", kStreamPathS, "s", "stated: PUT, tail and fold, p99"},
  };
  std::vector<std::string> seen;
  for (const auto& branch : plan.branches) {
    const spec::Rhythm rhythm = *branch.branch.rhythm;
    const bool embedded = is_embedded(branch.branch.engine);
    const RunCost cost = run_cost(rhythm, branch.branch.engine);
    const std::string name = std::string(to_string(rhythm)) + " on " + branch.branch.engine;
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    list.push_back({name, cost.ns_per_event, "ns/event", embedded ? "measured: make bench, busy machine" : "estimated"});
    if (cost.fixed_s > 0) list.push_back({name, cost.fixed_s, "s a run", "estimated"});
  }
  const spec::Prices& p = topology.prices;
  const std::string table = "price table (`prices:` replaces it)";
  list.push_back({"core", p.core_hour, "USD/h", table});
  list.push_back({"memory", p.memory_gb_hour, "USD/GB h", table});
  list.push_back({"storage", p.storage_gb_month, "USD/GB month", table});
  list.push_back({"PUT", p.million_puts, "USD/million", table});
  list.push_back({"GET", p.million_gets, "USD/million", table});
  return list;
}

}  // namespace headpond::plan
