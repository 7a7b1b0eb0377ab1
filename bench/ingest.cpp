#include "ingest.h"

#include <algorithm>
#include <vector>

#include "broker.h"
#include "env/real.h"
#include "topic.h"

namespace headpond::bench {

namespace {

constexpr double kEventsPerSecond = 50e9 / 86400;  // the promise: on one core
constexpr int kRounds = 3;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

void measure_ingest(std::int64_t events, Report& report) {
  const auto stages = measure_stages(events, report);
  const Topic topic{.name = "bench-logs", .events = events};
  const Broker broker(topic.name);
  const auto clock = env::real_clock();
  const auto records = fill(broker.client(), topic, broker.is_real(), *clock);

  std::vector<double> consumed, ingested;
  double bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    const TemporaryDirectory directory;
    consumed.push_back(consume_cost(broker.client(), topic, records));
    const auto cost = ingest_cost(broker.client(), topic, directory.path(), *clock);
    ingested.push_back(cost.cpu_ns);
    bytes = cost.file_bytes;
  }
  const auto consume_floor = median(consumed), total = median(ingested);
  report.section(std::string("ingest, whole engine over ") +
                 (broker.is_real() ? "Apache Kafka" : "the client's mock broker, whose own work is in the figures") + ", median of " +
                 std::to_string(kRounds) + ", audit --deep clean");
  report.stage("consume only (floor)", consume_floor, "ns/event");
  report.stage("ingest, all threads", total, "ns/event");
  report.stage("  beyond consume and the stages", total - consume_floor - stages.copy_and_decode - stages.fingerprint - stages.encode,
               "ns/event", "commits, file writes, positions, clocks");
  report.stage("one core carries", 1e9 / total, "events/s");
  const auto floor = consume_floor + stages.parse_floor + stages.zstd_floor + stages.fingerprint;
  report.add({.name = "ingest.json.cpu_ns_per_event", .value = total, .unit = "ns", .floor = floor, .goal = 1e9 / kEventsPerSecond});
  report.add({.name = "ingest.json.bytes_per_event", .value = bytes, .unit = "bytes", .floor = stages.bytes_floor, .goal = 117});
}

void measure_ingest_otlp(std::int64_t events, Report& report) {
  const Broker broker("bench-unused");
  if (!broker.is_real()) return report.section("ingest of OTLP: needs Apache Kafka (tools/kafka), left out");
  const auto clock = env::real_clock();
  struct Side {
    explicit(false) Side(Topic a_topic) : topic(std::move(a_topic)) {}
    Topic topic;
    std::int64_t records = 0;
    std::vector<double> consumed, ingested;
    double bytes = 0;
  };
  std::vector<Side> sides{Topic{.name = "bench-json", .events = events},
                          Topic{.name = "bench-otlp", .events = events, .encoding = generate::Encoding::kOtlpProto},
                          Topic{.name = "bench-otlp-json", .events = events, .encoding = generate::Encoding::kOtlpJson}};
  for (auto& side : sides) side.records = fill(broker.client(), side.topic, true, *clock);
  for (int round = 0; round < kRounds; ++round)
    for (auto& side : sides) {
      const TemporaryDirectory directory;
      side.consumed.push_back(consume_cost(broker.client(), side.topic, side.records));
      const auto cost = ingest_cost(broker.client(), side.topic, directory.path(), *clock);
      side.ingested.push_back(cost.cpu_ns);
      side.bytes = cost.file_bytes;
    }
  report.section("ingest of OTLP, the same events as JSON records and as messages of 500 log records, median of " +
                 std::to_string(kRounds) + ", audit --deep clean");
  for (const auto& side : sides) report.stage(side.topic.name, median(side.ingested), "ns/event", std::to_string(side.bytes) + " bytes");
  const auto json = median(sides[0].ingested);
  report.add({.name = "ingest.otlp.cpu_ns_per_event",
              .value = median(sides[1].ingested),
              .unit = "ns",
              .floor = median(sides[1].consumed),
              .goal = json});
  report.add({.name = "ingest.otlp.bytes_per_event", .value = sides[1].bytes, .unit = "bytes", .floor = sides[0].bytes, .goal = {}});
  report.add({.name = "ingest.otlp_json.cpu_ns_per_event",
              .value = median(sides[2].ingested),
              .unit = "ns",
              .floor = median(sides[2].consumed),
              .goal = {}});
}

void measure_ingest_axes(std::int64_t events, Report& report) {
  const Broker broker("bench-unused");
  if (!broker.is_real()) return report.section("ingest, one thing changed at a time: needs Apache Kafka (tools/kafka), left out");
  report.section("ingest, one thing changed at a time (one round each, audit --deep clean; floor: consume only)");
  const auto clock = env::real_clock();
  const S3 s3;
  const auto measure = [&](const std::string& axis, const Topic& topic, const std::string& location) {
    const auto consumed = consume_cost(broker.client(), topic, topic.events);
    const auto cost = ingest_cost(broker.client(), topic, location, *clock);
    report.stage(axis, cost.cpu_ns, "ns/event");
    report.add({.name = "ingest.json.cpu_ns_per_event." + axis, .value = cost.cpu_ns, .unit = "ns", .floor = consumed, .goal = {}});
  };
  for (const auto& [axis, topic] :
       std::vector<std::pair<std::string, Topic>>{{"partitions_64", {"bench-64", kPartitions, 0, events}},
                                                  {"partitions_16", {"bench-16", 16, 0, events}},
                                                  {"partitions_1000", {"bench-1000", 1000, 0, events}},
                                                  {"batch_10", {"bench-batch-10", kPartitions, 10, events}},
                                                  {"batch_500", {"bench-batch-500", kPartitions, 500, events}},
                                                  {"headers_2", {"bench-headers-2", kPartitions, 0, events, 2}}}) {
    const TemporaryDirectory directory;
    fill(broker.client(), topic, true, *clock);
    measure(axis, topic, directory.path());
  }
  if (s3.runs()) measure("s3", {"bench-64", kPartitions, 0, events}, s3.location());
}

}  // namespace headpond::bench
