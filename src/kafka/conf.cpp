#include <array>
#include <cstring>

#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

struct Refused {
  std::string_view key, reason;
};

// What a user's option must not change, because "each record once, none skipped" rests on it.
constexpr std::array kRefused = {
    Refused{"bootstrap.servers", "say it in source.kafka.brokers"},
    Refused{"metadata.broker.list", "say it in source.kafka.brokers"},
    Refused{"auto.offset.reset", "it is always 'error': a client that jumps to another offset loses or repeats records in silence"},
    Refused{"enable.partition.eof", "it is always true: positions behind a commit marker are known by it"},
    Refused{"enable.auto.commit", "positions live in the bronze table; group offsets are written after the fact, for lag monitors only"},
    Refused{"enable.auto.offset.store", "positions live in the bronze table"},
    Refused{"group.id", "partitions are assigned by Headpond, never by a consumer group"},
    Refused{"group.instance.id", "partitions are assigned by Headpond, never by a consumer group"},
    Refused{"group.protocol", "partitions are assigned by Headpond, never by a consumer group"},
    Refused{"partition.assignment.strategy", "partitions are assigned by Headpond, never by a consumer group"},
    Refused{"allow.auto.create.topics", "it is always false: a mistyped topic must be an error, not a new topic"},
    Refused{"enable.idempotence", "it is always true: a retry must not double a record"},
    Refused{"acks", "it is always 'all'"},
    Refused{"request.required.acks", "it is always 'all'"},
    Refused{"plugin.library.paths", "a plug-in may hold back or alter records"},
};

base::Result<void> apply_user_options(rd_kafka_conf_t* conf, const ClientOptions& options) {
  for (const auto& [key, value] : options.librdkafka_options) {
    for (const auto& refused : kRefused) {
      if (key == refused.key) {
        return base::fail(base::ErrorKind::kInvalid,
                          "source.kafka.librdkafka_options: '" + key + "' cannot be set: " + std::string(refused.reason) + "; remove it");
      }
    }
    TRY_VOID(set(conf, key.c_str(), value));
  }
  return {};
}

}  // namespace

base::Result<void> set(rd_kafka_conf_t* conf, const char* key, const std::string& value) {
  char why[512];
  if (rd_kafka_conf_set(conf, key, value.c_str(), why, sizeof why) == RD_KAFKA_CONF_OK) return {};
  // librdkafka quotes the value, which may be a secret: only its reason for an unknown key is passed on.
  const bool unknown = std::strstr(why, "No such configuration property") != nullptr;
  return base::fail(base::ErrorKind::kInvalid, std::string("source.kafka.librdkafka_options: '") + key +
                                                   "': " + (unknown ? "librdkafka has no such property" : "its value is not valid") +
                                                   "; see librdkafka's CONFIGURATION.md");
}

base::Result<Conf> make_conf(const ClientOptions& options, Role role) {
  Conf conf(rd_kafka_conf_new());
  const auto default_to = [&](const char* key, const char* value) { return set(conf.get(), key, value); };
  TRY_VOID(default_to("client.id", "headpond"));
  if (role == Role::kConsumer) {
    TRY_VOID(default_to("isolation.level", "read_committed"));
    TRY_VOID(default_to("fetch.message.max.bytes", "524288"));
    TRY_VOID(default_to("queued.max.messages.kbytes", "16384"));
    TRY_VOID(default_to("queued.min.messages", "1000000"));  // the bytes above are the bound
    TRY_VOID(default_to("fetch.queue.backoff.ms", "5"));
    TRY_VOID(default_to("fetch.wait.max.ms", "100"));  // an end behind a commit marker is told after one empty fetch
  } else if (role == Role::kProducer) {
    TRY_VOID(default_to("linger.ms", "5"));
    TRY_VOID(default_to("batch.size", "1000000"));
    TRY_VOID(default_to("batch.num.messages", "100000"));
    TRY_VOID(default_to("queue.buffering.max.messages", "400000"));
    TRY_VOID(default_to("queue.buffering.max.kbytes", "262144"));
  }
  TRY_VOID(apply_user_options(conf.get(), options));
  TRY_VOID(set(conf.get(), "bootstrap.servers", options.brokers));
  TRY_VOID(set(conf.get(), "log.connection.close", "false"));
  if (role == Role::kConsumer) {
    TRY_VOID(set(conf.get(), "auto.offset.reset", "error"));
    TRY_VOID(set(conf.get(), "enable.partition.eof", "true"));
    TRY_VOID(set(conf.get(), "enable.auto.commit", "false"));
    TRY_VOID(set(conf.get(), "enable.auto.offset.store", "false"));
    TRY_VOID(set(conf.get(), "allow.auto.create.topics", "false"));
  } else if (role == Role::kProducer) {
    TRY_VOID(set(conf.get(), "enable.idempotence", "true"));
    TRY_VOID(set(conf.get(), "delivery.report.only.error", "true"));
  }
  // What goes wrong reaches the user through errors of calls; librdkafka's own lines would only repeat it on stderr.
  rd_kafka_conf_set_log_cb(conf.get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  return conf;
}

base::Result<Client> make_client(Conf conf, rd_kafka_type_t type) {
  char why[512];
  rd_kafka_t* client = rd_kafka_new(type, conf.get(), why, sizeof why);
  if (client == nullptr)
    return base::fail(base::ErrorKind::kInvalid, std::string("source.kafka: librdkafka refuses this configuration: ") + why);
  static_cast<void>(conf.release());  // now the client's
  return Client(client);
}

base::Error unreachable(const std::string& brokers, std::string_view last_heard) {
  std::string message =
      "cannot reach any Kafka broker at " + brokers + " within " + std::to_string(kAnswerTimeoutMs / 1000) + "s; is it running?";
  if (!last_heard.empty()) message.append(" (").append(last_heard).append(")");
  return {base::ErrorKind::kRetry, std::move(message)};
}

base::Error to_error(rd_kafka_resp_err_t code, std::string_view detail, std::string_view what, const std::string& brokers,
                     std::string_view last_heard) {
  std::string message(what);
  message.append(": ").append(detail.empty() ? rd_kafka_err2str(code) : detail);
  switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE: return unreachable(brokers, last_heard);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return {base::ErrorKind::kNotFound, std::move(message)};
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return {base::ErrorKind::kConflict, std::move(message)};
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return {base::ErrorKind::kInvalid, message + "; grant this principal READ and DESCRIBE on the topic (WRITE to produce)"};
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__SSL:
      return {base::ErrorKind::kInvalid, message + "; check the security settings in source.kafka.librdkafka_options"};
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE: return {base::ErrorKind::kInvalid, message + "; raise the topic's max.message.bytes"};
    default: return {base::ErrorKind::kRetry, std::move(message)};
  }
}

}  // namespace headpond::kafka
