#include "topic.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "broker.h"
#include "env/real.h"
#include "ingest/engine.h"
#include "need.h"
#include "report.h"

namespace headpond::bench {

namespace {

const char* word_of(generate::Encoding encoding) {
  switch (encoding) {
    case generate::Encoding::kJson: return "json";
    case generate::Encoding::kOtlpProto: return "otlp_proto";
    case generate::Encoding::kOtlpJson: return "otlp_json";
  }
  return "json";
}

// Gives each record its first `count` of these.
class WithHeaders final : public kafka::Producer {
 public:
  WithHeaders(std::unique_ptr<kafka::Producer> inner, int count) : inner_(std::move(inner)), count_(static_cast<std::size_t>(count)) {}

  base::Result<std::size_t> produce(std::span<const kafka::Message> messages) override {
    static constexpr kafka::MessageHeader kHeaders[] = {{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
                                                        {"content-type", "application/json"}};
    messages_.assign(messages.begin(), messages.end());
    for (auto& message : messages_) message.headers = std::span(kHeaders).first(count_);
    return inner_->produce(messages_);
  }
  base::Result<void> wait(base::Duration timeout) override { return inner_->wait(timeout); }
  base::Result<void> flush(base::Duration timeout) override { return inner_->flush(timeout); }
  std::int64_t delivered() const override { return inner_->delivered(); }

 private:
  std::unique_ptr<kafka::Producer> inner_;
  std::size_t count_;
  std::vector<kafka::Message> messages_;
};

void audit(const kafka::ClientOptions& client, const Topic& topic, const std::string& location) {
  const TemporaryDirectory directory;
  const auto file = directory.path() + "/bench.yaml", log = directory.path() + "/audit.log";
  std::ofstream(file) << topology_text(client.brokers, topic.name, word_of(topic.encoding), location + "/bronze");
  const auto binary = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "headpond";
  const auto command = binary.string() + " audit --deep -f " + file + " >" + log + " 2>&1";
  if (std::system(command.c_str()) == 0) return;
  std::fprintf(stderr, "headpond_bench: the table at %s is not clean:\n", location.c_str());
  static_cast<void>(std::system(("cat " + log + " >&2").c_str()));
  std::exit(1);
}

double file_bytes(env::ObjectStore& lake) {
  double bytes = 0;
  for (const auto& object : need(lake.list("bronze/", "", 0)))
    if (object.path.ends_with(".parquet")) bytes += static_cast<double>(object.size);
  return bytes;
}

}  // namespace

std::int64_t fill(const kafka::ClientOptions& client, const Topic& topic, bool create, env::Clock& clock) {
  if (create) need(kafka::create_topic(client, topic.name, topic.partitions, {}));
  auto producing = client;
  if (topic.batch > 0) producing.librdkafka_options["batch.num.messages"] = std::to_string(topic.batch);
  WithHeaders producer(need(kafka::open_producer(producing, topic.name, "lz4")), topic.headers);
  const auto now = clock.now();
  auto options = options_for(topic.events, now - base::Duration(topic.events * 1'000'000 / 580'000), now);
  options.partitions = topic.partitions;
  options.encoding = topic.encoding;
  return need(generate::run(options, producer, clock, [](const generate::Progress&) { return true; })).delivered;
}

double consume_cost(const kafka::ClientOptions& client, const Topic& topic, std::int64_t records) {
  const auto work = [&] {
    const auto source = need(kafka::open_source(client, topic.name, "bench"));
    std::vector<kafka::Assignment> all;
    for (std::int32_t id = 0; id < topic.partitions; ++id) all.push_back({base::PartitionId(id), base::Offset(0)});
    need(source->assign(all));
    std::int64_t seen = 0, bytes = 0;
    const kafka::Handler handler{&bytes,
                                 [](void* context, const kafka::Record& record) {
                                   *static_cast<std::int64_t*>(context) += static_cast<std::int64_t>(record.payload.size());
                                   return true;
                                 },
                                 [](void*, const kafka::PartitionEvent&) {}};
    while (seen < records) seen += static_cast<std::int64_t>(source->poll(base::Duration::millis(100), handler));
  };
  return process_cpu_ns(work) / static_cast<double>(topic.events);
}

IngestCost ingest_cost(const kafka::ClientOptions& client, const Topic& topic, const std::string& location, env::Clock& clock) {
  const auto lake = need(env::open_store(location));
  const auto random = env::real_random();
  env::Failpoints failpoints;
  const ingest::World world{*lake, {.lake = location, .bronze = "bronze"}, clock, *random, failpoints, env::thread_worker};
  const auto n = static_cast<double>(topic.events);
  IngestCost cost;
  cost.cpu_ns = process_cpu_ns([&] {
                  const auto engine = need(ingest::Engine::open(topology(client.brokers, topic.name, word_of(topic.encoding)), world));
                  while (engine->status().figures["rows"] < n) need(engine->step());
                  need(engine->drain());
                }) /
                n;
  cost.file_bytes = file_bytes(*lake) / n;
  audit(client, topic, location);
  return cost;
}

}  // namespace headpond::bench
