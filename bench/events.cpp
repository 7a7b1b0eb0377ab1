#include "events.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

#include "env/real.h"
#include "kafka/client.h"

namespace headpond::bench {

namespace {

constexpr std::size_t kRun = 500;  // records of one partition in a row, as a fetch of 256 KiB brings them

struct Stored {
  std::string payload;
  std::int64_t timestamp_ms;
};

// Takes what a broker would.
class Collector final : public kafka::Producer {
 public:
  Collector(const Columns& columns, const std::function<base::Result<void>(columns::Batch&)>& take)
      : take_(take), batch_(columns.declared), specs_(columns.declared) {
    batch_.source = "logs@0";
  }

  base::Result<std::size_t> produce(std::span<const kafka::Message> messages) override {
    for (const auto& message : messages) {
      auto& waiting = partitions_[static_cast<std::size_t>(message.partition)].waiting;
      waiting.push_back({std::string(message.payload), message.timestamp_ms});
      if (waiting.size() == kRun) TRY_VOID(fetch(message.partition));
    }
    return messages.size();
  }
  base::Result<void> wait(base::Duration) override { return {}; }
  base::Result<void> flush(base::Duration) override {
    for (std::int32_t partition = 0; partition < kPartitions; ++partition) TRY_VOID(fetch(partition));
    return batch_.empty() ? base::Result<void>() : hand_over();
  }
  std::int64_t delivered() const override { return delivered_; }

 private:
  struct Partition {
    std::vector<Stored> waiting;
    std::int64_t offset = 0, arrival = 0;
  };

  base::Result<void> fetch(std::int32_t id) {
    auto& partition = partitions_[static_cast<std::size_t>(id)];
    for (const auto& stored : partition.waiting) {
      if (!batch_.fits(stored.payload.size())) TRY_VOID(hand_over());
      const auto row = batch_.begin_row(stored.payload).index;
      partition.arrival = std::max(partition.arrival, stored.timestamp_ms * 1000);
      batch_.ts[row] = batch_.kafka_timestamp[row] = stored.timestamp_ms * 1000;
      batch_.arrival[row] = partition.arrival;
      batch_.kafka_partition[row] = id;
      batch_.kafka_offset[row] = partition.offset++;
      ++delivered_;
    }
    partition.waiting.clear();
    return {};
  }

  base::Result<void> hand_over() {
    TRY_VOID(take_(batch_));
    if (batch_.declared.empty()) batch_ = columns::Batch(specs_);  // it was moved from
    batch_.source = "logs@0";
    batch_.reset();
    return {};
  }

  const std::function<base::Result<void>(columns::Batch&)>& take_;
  Partition partitions_[kPartitions];
  columns::Batch batch_;
  std::vector<columns::ColumnSpec> specs_;
  std::int64_t delivered_ = 0;
};

struct NoSecrets final : spec::Secrets {
  std::optional<std::string> environment(const std::string&) const override { return std::nullopt; }
  std::optional<std::string> file(const std::string&) const override { return std::nullopt; }
};

columns::Type type_of(const std::string& name) {
  using columns::Type;
  if (name == "int32") return Type::kInt32;
  if (name == "int64") return Type::kInt64;
  if (name == "double") return Type::kDouble;
  if (name == "bool") return Type::kBool;
  return name == "timestamp" ? Type::kTimestamp : Type::kString;
}

}  // namespace

generate::Options options_for(std::int64_t events, base::Micros from, base::Micros to) {
  generate::Options options;
  options.seed = 42;
  options.partitions = kPartitions;
  options.history = {{.from = from, .to = to, .events = events}};
  return options;
}

std::string topology_text(const std::string& brokers, const std::string& topic, const std::string& encoding, const std::string& location) {
  return "version: 1\nname: bench\nsource:\n  kafka: {brokers: \"" + brokers + "\", topic: " + topic + ", encoding: " + encoding +
         "}\nconsumers:\n  - {name: on-call, tier: 1, freshness: 30s}\nbronze: {location: \"" + location + "\"}\n";
}

spec::Topology topology(const std::string& brokers, const std::string& topic, const std::string& encoding) {
  const auto loaded = spec::load(topology_text(brokers, topic, encoding, "lake/bronze"), "bench.yaml", NoSecrets());
  if (loaded.topology) return *loaded.topology;
  for (const auto& issue : loaded.issues) std::fprintf(stderr, "%s: %s\n", spec::to_string(issue.place).c_str(), issue.message.c_str());
  std::exit(2);
}

Columns default_columns(const std::string& encoding) {
  const auto spec = topology("localhost:9092", "logs", encoding);
  const auto kind = encoding == "json"         ? decode::Encoding::kJson
                    : encoding == "otlp_proto" ? decode::Encoding::kOtlpProto
                                               : decode::Encoding::kOtlpJson;
  const auto field = [](const spec::ColumnDecl& decl) {
    return decode::Field{.name = decl.name, .type = type_of(decl.type), .from = decl.from, .default_value = decl.default_value};
  };
  Columns columns;
  std::vector<decode::Field> fields;
  for (const auto& decl : spec.bronze.columns) {
    columns.declared.push_back({.name = decl.name, .type = type_of(decl.type)});
    fields.push_back(field(decl));
  }
  for (const auto& extra : decode::extra_columns(kind)) columns.declared.push_back(extra);
  auto decoder = decode::Decoder::open(kind, field(spec.bronze.ts), fields);
  if (!decoder) std::fprintf(stderr, "%s\n", decoder.error().message.c_str()), std::exit(2);
  columns.decoder = std::move(*decoder);
  return columns;
}

base::Result<void> make_batches(const generate::Options& options, const Columns& columns,
                                const std::function<base::Result<void>(columns::Batch&)>& take) {
  Collector collector(columns, take);
  const auto clock = env::real_clock();
  TRY([[maybe_unused]] const auto done, generate::run(options, collector, *clock, [](const generate::Progress&) { return true; }));
  return {};
}

void decode_all(decode::Decoder& decoder, columns::Batch& batch) {
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    const auto decoded = decoder.decode(batch, {.index = i, .payload = batch.payload[i]});
    batch.ts[i] = decoded.ts ? *decoded.ts : batch.arrival[i];
  }
}

}  // namespace headpond::bench
