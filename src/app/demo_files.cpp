#include "app/demo_files.h"

#include <fmt/format.h>

#include "app/session.h"

namespace headpond::app {
namespace {

constexpr const char* kTopology = R"(# Headpond's demo: one topic, one bronze table, three rhythms.
version: 1
name: demo
source:
  kafka: {{brokers: "{brokers}", topic: {topic}, encoding: json, start: earliest}}
consumers:
  - {{name: on-call, tier: 1, freshness: 30s, latency_value: {{usd_per_minute: 100, incidents_per_month: 4}}}}
  - {{name: live-ops, tier: 2, freshness: 5m}}
  - {{name: finance, tier: 4, freshness: 24h}}
bronze:
  location: lake/bronze/logs
  commit_interval: 1s
branches:
  - {{name: incident-pager, kind: pager, serves: [on-call], reads: bronze, axis: latency, rhythm: stream, rules: rules.yaml,
     state: {{store: rocksdb, checkpoints: lake/pager}}, engine: embedded}}
  - {{name: live-ops-dashboard, kind: dashboard, serves: [live-ops], reads: bronze, rhythm: micro-batch, trigger: 1m, window: 5m, engine: embedded}}
  - {{name: billing-capacity, kind: billing, serves: [finance], reads: bronze, axis: throughput, rhythm: batch, schedule: "0 2 * * *",
     price_book: prices.yaml, engine: embedded}}
expect: {{events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: {partitions}, cores: 2}}
serve: {{listen: "{listen}"}}
)";

constexpr const char* kRules = R"(groups:
  - name: demo
    interval: 1s
    lateness: 5s
    rules:
      - alert: ErrorBurst
        expr: count(severity_number >= 17)[30s] > 150
        by: [service]
        keep_firing_for: 30s
        labels: {severity: page}
        annotations: {summary: "{{ $labels.service }}: {{ $value }} errors in 30 s"}
      - alert: ErrorRatio
        expr: count(status >= 500)[2m] / count()[2m] > 0.2 and count()[2m] >= 200
        by: [service]
        labels: {severity: ticket}
        annotations: {summary: "{{ $labels.service }}: {{ $value }} of its requests fail"}
)";

// High enough that a day of a few megabytes costs something.
constexpr const char* kPrices = R"(version: 1
currency: USD
prices:
  - {per_gb: 95.00, per_million_events: 40.00}
)";

}  // namespace

base::Result<std::string> write_demo_files(const std::string& directory, const std::string& brokers, const std::string& topic,
                                           int partitions, const std::string& listen) {
  const auto path = directory + "/topology.yaml";
  TRY_VOID(write_file(path, fmt::format(kTopology, fmt::arg("brokers", brokers), fmt::arg("topic", topic),
                                        fmt::arg("partitions", partitions), fmt::arg("listen", listen))));
  TRY_VOID(write_file(directory + "/rules.yaml", kRules));
  TRY_VOID(write_file(directory + "/prices.yaml", kPrices));
  return path;
}

}  // namespace headpond::app
