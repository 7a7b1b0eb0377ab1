#include "base/time.h"
#include "spec/sections.h"

namespace headpond::spec {
namespace {

// What a lane may take, and what the process itself, the files of a commit and the upkeep of the log may (ingest/memory.h).
constexpr std::int64_t kMemoryPerLane = 128ll << 20, kMemoryBeside = 256ll << 20;

const std::vector<std::string> kEncodings{"json", "raw", "otlp_proto", "otlp_json"};

void load_start(Context& context, const Fields& fields, KafkaSource& out) {
  const Node* start = fields.find("start");
  if (start == nullptr) return;
  const bool scalar = start->kind == Node::Kind::kScalar;
  if (scalar && start->text == "earliest") return;
  if (scalar && start->text == "latest") {
    out.start = StartAt::kLatest;
  } else if (const auto time = scalar ? base::parse_rfc3339(start->text) : std::nullopt) {
    out.start = StartAt::kTime;
    out.start_time = *time;
  } else {
    context.report(start->place, fields.path_of("start") + ": found " + describe(*start) +
                                     "; expected earliest, latest or a time such as 2026-11-25T00:00:00Z" +
                                     (scalar ? did_you_mean(start->text, {"earliest", "latest"}) : ""));
  }
}

void load_assignment(Context& context, Fields& fields, KafkaSource& out) {
  if (const auto word = fields.word("assignment", {"static", "group"})) out.assignment = static_cast<Assignment>(*word);
  fields.text("group", out.group);
  if (const Node* group = fields.find("group"); group != nullptr && (out.group.empty() || out.group.size() > 249))
    context.report(group->place, fields.path_of("group") + ": found " + describe(*group) +
                                     "; expected the id of a consumer group, at most 249 characters");
}

void load_kafka(Context& context, const Node& node, KafkaSource& out) {
  Fields fields(context, &node, node.place, "source.kafka",
                {"brokers", "topic", "encoding", "start", "generation", "assignment", "group", "lanes", "librdkafka_options"});
  out.place = node.place;
  fields.require("brokers", "brokers: host:port, several separated by commas");
  fields.text("brokers", out.brokers, Expand::kYes);
  if (const Node* topic = fields.require("topic", "topic: the name of one Kafka topic")) {
    fields.text("topic", out.topic, Expand::kYes);
    out.topic_as_written = topic->text;
    if (topic->kind == Node::Kind::kList)
      context.report(topic->place, "one topic feeds one bronze table; write a topology for each topic");
    else if (!out.topic.empty() &&
             (out.topic.size() > 249 ||
              out.topic.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != std::string::npos))
      context.report(topic->place, "source.kafka.topic: found " + describe(*topic) +
                                       "; expected a Kafka topic name: letters, digits, `.`, `_`, `-`, at most 249");
  }
  if (const auto encoding = fields.word("encoding", kEncodings)) out.encoding = static_cast<Encoding>(*encoding);
  load_start(context, fields, out);
  load_assignment(context, fields, out);
  fields.integer("generation", out.generation, 0, 1'000'000);
  fields.integer("lanes", out.lanes, 1, 64);

  const Node* options = fields.find("librdkafka_options");
  if (options == nullptr) return;
  if (options->kind != Node::Kind::kMap) {
    context.report(options->place,
                   "source.kafka.librdkafka_options: found " + describe(*options, true) + "; expected a map of librdkafka's own settings");
    return;
  }
  for (const auto& entry : options->entries)
    if (auto value = read_text(context, *entry.value, "source.kafka.librdkafka_options." + entry.key, Expand::kSecret))
      out.librdkafka_options[entry.key] = std::move(*value);
}

void load_consumer(Context& context, const Node& node, Topology& out) {
  Consumer consumer;
  consumer.place = node.place;
  const Node* name = node.kind == Node::Kind::kMap ? node.find("name") : nullptr;
  const std::string what = name == nullptr || name->kind != Node::Kind::kScalar ? "a consumer" : "consumer " + name->text;
  Fields fields(context, &node, node.place, what, {"name", "tier", "freshness", "latency_value"});
  fields.require("name", "name: who reads it, such as on-call");
  fields.name("name", consumer.name);
  fields.require("tier", "tier: 1 (real time) to 4 (daily)");
  fields.integer("tier", consumer.tier, 1, 4);
  fields.require("freshness", "freshness: how old an answer may be, such as 30s");
  fields.duration("freshness", consumer.freshness, base::Duration::seconds(1));
  if (const Node* value = fields.find("latency_value")) {
    Fields worth(context, value, value->place, "latency_value of " + what, {"usd_per_minute", "incidents_per_month"});
    LatencyValue latency_value;
    worth.require("usd_per_minute", "usd_per_minute: what one minute of one incident costs");
    worth.number("usd_per_minute", latency_value.usd_per_minute, 0, 1e12);
    worth.require("incidents_per_month", "incidents_per_month: how many incidents a month");
    worth.number("incidents_per_month", latency_value.incidents_per_month, 0, 1e9);
    consumer.latency_value = latency_value;
  }
  consumer.places = fields.places();
  out.consumers.push_back(std::move(consumer));
}

}  // namespace

void load_source(Context& context, const Node& root, Topology& out) {
  const Node* node = root.find("source");
  if (node == nullptr || node->kind == Node::Kind::kNull) {
    context.report(node == nullptr ? root.place : node->place,
                   "the topology has no `source`; expected source: {kafka: {brokers: \"localhost:9092\", topic: logs}}");
    return;
  }
  Fields fields(context, node, node->place, "source", {"kafka"});
  if (const Node* kafka = fields.require("kafka", "kafka: {brokers: \"localhost:9092\", topic: logs}"))
    load_kafka(context, *kafka, out.source);
}

void load_consumers(Context& context, const Node& root, Topology& out) {
  const Node* node = root.find("consumers");
  if (node == nullptr || node->kind != Node::Kind::kList || node->items.empty()) {
    context.report(node == nullptr ? root.place : node->place,
                   std::string("consumers: found ") +
                       (node == nullptr                   ? "nothing"
                        : node->kind == Node::Kind::kList ? "an empty list"
                                                          : describe(*node)) +
                       "; expected a list of who reads the data, such as [{name: on-call, tier: 1, freshness: 30s}]");
    return;
  }
  for (const auto& item : node->items) load_consumer(context, *item, out);
}

void load_bronze(Context& context, const Node& root, Topology& out) {
  const Node* node = root.find("bronze");
  if (node == nullptr || node->kind == Node::Kind::kNull) {
    context.report(node == nullptr ? root.place : node->place,
                   "the topology has no `bronze`; expected bronze: {location: a directory, or s3://bucket/folder}");
    return;
  }
  Fields fields(context, node, node->place, "bronze",
                {"location", "commit_interval", "retention", "max_future", "max_clock_error", "stall_after", "memory", "columns", "raw",
                 "pattern_id", "log_retention", "cursor_expiry"});
  BronzeSpec& bronze = out.bronze;
  bronze.place = node->place;
  fields.require("location", "location: a directory, or s3://bucket/folder");
  load_location(context, fields, "location", out, bronze.location, bronze.location_as_written);
  fields.duration("commit_interval", bronze.commit_interval, base::Duration::millis(100));
  fields.duration("retention", bronze.retention, base::Duration::hours(24));
  fields.duration("max_future", bronze.max_future, base::Duration::seconds(1));
  fields.duration("max_clock_error", bronze.max_clock_error, base::Duration(0));
  fields.duration("stall_after", bronze.stall_after, base::Duration::seconds(1));
  fields.duration("log_retention", bronze.log_retention, base::Duration(0));
  fields.duration("cursor_expiry", bronze.cursor_expiry, base::Duration::minutes(1));
  fields.size("memory", bronze.memory_bytes, kMemoryBeside + kMemoryPerLane);
  if (const auto most = (bronze.memory_bytes - kMemoryBeside) / kMemoryPerLane; out.source.lanes > most)
    context.report(bronze.place, "bronze.memory: source.kafka.lanes is " + std::to_string(out.source.lanes) +
                                     ", and a lane needs 128MiB beside the 256MiB of everything else; expected `memory: " +
                                     std::to_string((kMemoryBeside + out.source.lanes * kMemoryPerLane) >> 20) +
                                     "MiB` or more, or `lanes: " + std::to_string(most) + "`");
  load_columns(context, fields.find("columns"), out.source.encoding, bronze);
  if (const auto raw = fields.word("raw", {"all", "errors"})) bronze.raw = *raw == 0 ? RawOf::kAll : RawOf::kErrors;
  if (const auto patterns = fields.word("pattern_id", {"warnings", "all"}))
    bronze.pattern_id = *patterns == 0 ? PatternsOf::kWarnings : PatternsOf::kAll;
  if (bronze.raw == RawOf::kErrors && out.source.encoding == Encoding::kRaw)
    context.report(fields.find("raw")->place,
                   "bronze.raw: found `errors`; of encoding raw the payload is all there is: write `all`, or leave the key out");
}

}  // namespace headpond::spec
