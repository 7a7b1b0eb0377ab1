// `headpond generate`: deterministic logs into a Kafka topic, which it creates when it is absent.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "app/console.h"
#include "app/session.h"
#include "base/time.h"
#include "env/real.h"
#include "generate/generate.h"
#include "kafka/client.h"

namespace headpond::app {
namespace {

constexpr int kDefaultPartitions = 4;

base::Result<base::Micros> instant(const std::string& text, const char* flag) {
  if (const auto t = base::parse_rfc3339(text)) return *t;
  return base::fail(base::ErrorKind::kInvalid,
                    fmt::format("{} '{}' is not a time; expected RFC 3339, as 2026-11-25T10:00:00Z", flag, text));
}

// Fills in brokers and topic from the topology where the flags do not name them.
base::Result<kafka::ClientOptions> target(GenerateCommand& command) {
  kafka::ClientOptions client;
  if (command.brokers.empty() || command.topic.empty()) {
    const auto topology = load_topology(command.common.topology);
    if (!topology) return base::fail(base::ErrorKind::kInvalid, "say where to with --brokers and --topic, or -f topology.yaml");
    if (command.brokers.empty()) command.brokers = topology->source.brokers;
    if (command.topic.empty()) command.topic = topology->source.topic;
    if (command.encoding.empty()) command.encoding = std::string(spec::to_string(topology->source.encoding));
    client.librdkafka_options = topology->source.librdkafka_options;
  }
  client.brokers = command.brokers;
  return client;
}

base::Result<kafka::TopicInfo> find_or_create(const kafka::ClientOptions& client, const GenerateCommand& command) {
  auto info = kafka::describe_topic(client, command.topic);
  if (info || info.error().kind != base::ErrorKind::kNotFound) return info;
  const int partitions = command.partitions > 0 ? command.partitions : kDefaultPartitions;
  const auto created = kafka::create_topic(client, command.topic, partitions, {});
  if (created) {
    fmt::print(stderr, "created topic {} with {} partitions\n", command.topic, partitions);
  } else if (created.error().kind != base::ErrorKind::kConflict) {  // somebody has just created it
    return std::unexpected(created.error());
  }
  return kafka::describe_topic(client, command.topic);
}

base::Result<generate::Encoding> encoding_of(const std::string& word) {
  if (word.empty() || word == "json") return generate::Encoding::kJson;
  if (word == "otlp_proto") return generate::Encoding::kOtlpProto;
  if (word == "otlp_json") return generate::Encoding::kOtlpJson;
  return base::fail(base::ErrorKind::kInvalid, fmt::format("--encoding '{}' is not generated; expected json, otlp_proto or otlp_json{}",
                                                           word, word == "raw" ? " (to a raw topic, --encoding json)" : ""));
}

base::Result<generate::Options> options_of(const GenerateCommand& command, int partitions, base::Micros now) {
  generate::Options options;
  TRY(options.encoding, encoding_of(command.encoding));
  options.batch = command.batch;
  options.seed = command.seed;
  options.partitions = partitions;
  options.late_share = command.late;
  options.future_share = command.future;
  options.malformed_share = command.malformed;
  options.rate = command.rate;
  base::Micros first = now;
  if (!command.from.empty() || !command.to.empty()) {
    if (command.from.empty()) return base::fail(base::ErrorKind::kInvalid, "--to needs --from");
    TRY(first, instant(command.from, "--from"));
    base::Micros last = now;
    if (!command.to.empty()) {
      TRY(last, instant(command.to, "--to"));
    }
    options.history.push_back({first, last, command.events});
  } else {
    options.live_events = command.events;
  }
  if (!command.incident_service.empty()) {
    generate::Incident incident;
    incident.service = command.incident_service;
    incident.lasts = base::Duration(static_cast<std::int64_t>(command.incident_seconds * 1e6));
    double seconds = 0;
    const auto& at = command.incident_at;
    if (const auto [end, error] = std::from_chars(at.data(), at.data() + at.size(), seconds);
        at.empty() || (error == std::errc{} && end == at.data() + at.size())) {
      incident.at = first + base::Duration(static_cast<std::int64_t>(seconds * 1e6));
    } else {
      TRY(incident.at, instant(at, "--incident-at"));
    }
    options.incidents.push_back(incident);
  }
  return options;
}

base::Result<generate::Progress> generate_events(GenerateCommand command) {
  TRY(const auto client, target(command));
  TRY(const auto topic, find_or_create(client, command));
  const auto clock = env::real_clock();
  TRY(const auto options, options_of(command, static_cast<int>(topic.partitions.size()), clock->now()));
  if (!options.history.empty()) TRY_VOID(generate::check_past(options, client, command.topic));
  TRY(auto producer, kafka::open_producer(client, command.topic, "lz4"));
  const auto started = clock->monotonic();
  auto shown = started;
  const bool person = isatty(STDERR_FILENO) != 0 && !command.common.json;
  return generate::run(options, *producer, *clock, [&](const generate::Progress& progress) {
    const auto now = clock->monotonic();
    if (person && (now - shown).to_seconds() >= 0.5) {
      shown = now;
      fmt::print(stderr, "\r{} events, {}/s ", human_count(static_cast<double>(progress.events)),
                 human_count(static_cast<double>(progress.events) / (now - started).to_seconds()));
    }
    return true;
  });
}

}  // namespace

int run_generate(const GenerateCommand& command) {
  const auto clock = env::real_clock();
  const auto started = clock->monotonic();
  const auto done = generate_events(command);
  if (!done) return complain(done.error());
  const double seconds = (clock->monotonic() - started).to_seconds();
  const double rate = static_cast<double>(done->events) / seconds;
  if (command.common.json)
    fmt::print(
        "{{\"events\":{},\"delivered\":{},\"bytes\":{},\"malformed\":{},\"late\":{},\"future\":{},\"seconds\":{:.3f},\"events_per_s\":{:."
        "0f}}}\n",
        done->events, done->delivered, done->bytes, done->malformed, done->late, done->future, seconds, rate);
  else
    fmt::print("{} events, {} in {:.1f} s: {} events/s; {} malformed, {} late, {} future\n", human_count(static_cast<double>(done->events)),
               human_bytes(static_cast<double>(done->bytes)), seconds, human_count(rate), done->malformed, done->late, done->future);
  return kOk;
}

}  // namespace headpond::app
