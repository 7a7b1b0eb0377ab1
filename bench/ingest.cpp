#include "ingest.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "broker.h"
#include "env/real.h"
#include "events.h"
#include "ingest/engine.h"
#include "kafka/client.h"
#include "need.h"

namespace headpond::bench {

namespace {

constexpr const char* kTopic = "bench-logs";
constexpr double kEventsPerSecond = 50e9 / 86400;  // the promise: on one core
constexpr int kRounds = 3;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void produce(const kafka::ClientOptions& client, std::int64_t events, env::Clock& clock) {
  const auto now = clock.now();
  const auto producer = need(kafka::open_producer(client, kTopic, "lz4"));
  const auto options = options_for(events, now - base::Duration(events * 1'000'000 / 580'000), now);
  need(generate::run(options, *producer, clock, [](const generate::Progress&) { return true; }));
}

// Takes every record and looks at its length.
void consume(const kafka::ClientOptions& client, std::int64_t events) {
  const auto source = need(kafka::open_source(client, kTopic, "bench"));
  std::vector<kafka::Assignment> all;
  for (std::int32_t id = 0; id < kPartitions; ++id) all.push_back({base::PartitionId(id), base::Offset(0)});
  need(source->assign(all));
  std::int64_t seen = 0, bytes = 0;
  struct Counts {
    std::int64_t& bytes;
  } counts{bytes};
  const kafka::Handler handler{&counts,
                               [](void* context, const kafka::Record& record) {
                                 static_cast<Counts*>(context)->bytes += static_cast<std::int64_t>(record.payload.size());
                                 return true;
                               },
                               [](void*, const kafka::PartitionEvent&) {}};
  while (seen < events) seen += static_cast<std::int64_t>(source->poll(base::Duration::millis(100), handler));
}

// Runs the engine from nothing until all events are committed. Returns the bytes of its data files.
std::int64_t ingest(const kafka::ClientOptions& client, std::int64_t events, env::Clock& clock) {
  const TemporaryDirectory directory;
  const auto lake = need(env::open_local_store(directory.path()));
  const auto random = env::real_random();
  env::Failpoints failpoints;
  const auto topology = json_topology(client.brokers, kTopic);
  const ingest::World world{*lake, {.lake = directory.path(), .bronze = "bronze"}, clock, *random, failpoints};
  const auto engine = need(ingest::Engine::open(topology, world));
  while (engine->status().figures["rows"] < static_cast<double>(events)) need(engine->step());
  need(engine->drain());
  std::int64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path()))
    if (entry.path().extension() == ".parquet") bytes += static_cast<std::int64_t>(entry.file_size());
  return bytes;
}

}  // namespace

void measure_ingest(std::int64_t events, Report& report) {
  const auto stages = measure_stages(events, report);
  const Broker broker(kTopic);
  const auto clock = env::real_clock();
  if (broker.is_real()) need(kafka::create_topic(broker.client(), kTopic, kPartitions, {}));
  produce(broker.client(), events, *clock);

  const auto n = static_cast<double>(events);
  std::vector<double> consumed, ingested;
  std::int64_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    consumed.push_back(process_cpu_ns([&] { consume(broker.client(), events); }) / n);
    ingested.push_back(process_cpu_ns([&] { bytes = ingest(broker.client(), events, *clock); }) / n);
  }
  const auto consume_floor = median(consumed), total = median(ingested);
  report.section(std::string("ingest, whole engine over ") +
                 (broker.is_real() ? "Apache Kafka" : "the client's mock broker, whose own work is in the figures") + ", median of " +
                 std::to_string(kRounds));
  report.stage("consume only (floor)", consume_floor, "ns/event");
  report.stage("ingest, all threads", total, "ns/event");
  report.stage("  beyond consume and the stages", total - consume_floor - stages.copy_and_decode - stages.fingerprint - stages.encode,
               "ns/event", "commits, file writes, positions, clocks");
  report.stage("one core carries", 1e9 / total, "events/s");
  const auto floor = consume_floor + stages.parse_floor + stages.zstd_floor;
  report.add({.name = "ingest.json.cpu_ns_per_event", .value = total, .unit = "ns", .floor = floor, .goal = 1e9 / kEventsPerSecond});
  report.add({.name = "ingest.json.bytes_per_event",
              .value = static_cast<double>(bytes) / n,
              .unit = "bytes",
              .floor = stages.bytes_floor,
              .goal = stages.bytes_floor * 1.25});
}

}  // namespace headpond::bench
