// What each client is configured with: the user's options, and what must not be among them.
#include <algorithm>
#include <array>
#include <cstring>

#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

constexpr std::int64_t kKeptPerRecord = 512;  // bytes; measured: 370

struct Refused {
  std::string_view key, reason;
  std::string_view except = {};  // this value may be said: it is what is so anyway
};

constexpr std::string_view kPositions =
    "positions live in the bronze table; group offsets are written after the fact, for lag monitors only";
constexpr std::string_view kBounded = "what is held in memory is bounded, and this is part of the bound";
constexpr std::string_view kAllAcks = "it is always 'all'";

// What a user's option must not change, because "each record once, none skipped" or the bound on memory rests on it.
constexpr std::array kRefused = {
    Refused{"bootstrap.servers", "say it in source.kafka.brokers"},
    Refused{"metadata.broker.list", "say it in source.kafka.brokers"},
    Refused{"auto.offset.reset", "it is always 'error': a client that jumps to another offset loses or repeats records in silence",
            "error"},
    Refused{"enable.partition.eof", "it is always true: positions behind a commit marker are known by it", "true"},
    Refused{"isolation.level", "it is always 'read_committed': what a producer aborted must not be counted, nor billed", "read_committed"},
    Refused{"check.crcs", "it is always true: a record damaged on its way must not reach the table", "true"},
    Refused{"enable.auto.commit", kPositions, "false"},
    Refused{"auto.commit.enable", kPositions, "false"},
    Refused{"auto.commit.interval.ms", kPositions},
    Refused{"enable.auto.offset.store", kPositions, "false"},
    Refused{"offset.store.method", kPositions},
    Refused{"offset.store.path", kPositions},
    Refused{"offset.store.sync.interval.ms", kPositions},
    Refused{"group.id", "say it in source.kafka.group"},
    Refused{"group.protocol", "say in source.kafka.assignment whether there is a group; its protocol is always 'classic'", "classic"},
    Refused{"partition.assignment.strategy", "it is always 'cooperative-sticky': another one stops every ingester at each rebalance",
            "cooperative-sticky"},
    Refused{"allow.auto.create.topics", "it is always false: a mistyped topic must be an error, not a new topic", "false"},
    Refused{"topic.blacklist", "the one topic is named in source.kafka.topic"},
    Refused{"enable.idempotence", "it is always true: a retry must not double a record", "true"},
    Refused{"transactional.id", "Headpond's producer is idempotent and has no transactions"},
    Refused{"acks", kAllAcks, "all"},
    Refused{"request.required.acks", kAllAcks, "all"},
    Refused{"plugin.library.paths", "a plug-in may hold back or alter records"},
    Refused{"queued.max.messages.kbytes", kBounded},
    Refused{"queued.min.messages", kBounded},
    Refused{"fetch.message.max.bytes", kBounded},
    Refused{"max.partition.fetch.bytes", kBounded},
    Refused{"fetch.max.bytes", kBounded},
    Refused{"receive.message.max.bytes", kBounded},
    Refused{"consume.callback.max.messages", kBounded},
    Refused{"debug", "librdkafka's debug lines may hold payloads and addresses and go nowhere; what fails is in Headpond's own messages"},
    Refused{"statistics.interval.ms", "nobody would read them; see /metrics of 'headpond ingest'"},
};

// Of one role alone; the other clients must not see them.
constexpr std::array<std::string_view, 1> kOfMember = {"group.instance.id"};
constexpr std::array<std::string_view, 1> kOfProducer = {"message.max.bytes"};  // a fetch is raised to it

bool is_for(std::string_view key, Role role) {
  if (std::ranges::find(kOfMember, key) != kOfMember.end()) return role == Role::kMember;
  if (std::ranges::find(kOfProducer, key) != kOfProducer.end()) return role == Role::kProducer;
  return true;
}

base::Result<void> apply_user_options(rd_kafka_conf_t* conf, const ClientOptions& options, Role role) {
  for (const auto& [key, value] : options.librdkafka_options) {
    for (const auto& refused : kRefused) {
      if (key != refused.key || (!refused.except.empty() && value == refused.except)) continue;
      return base::fail(base::ErrorKind::kInvalid,
                        "source.kafka.librdkafka_options: '" + key + "' cannot be set: " + std::string(refused.reason) + "; remove it");
    }
    if (is_for(key, role)) TRY_VOID(set(conf, key.c_str(), value));
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
    TRY_VOID(default_to("fetch.message.max.bytes", "524288"));
    TRY_VOID(set(conf.get(), "queued.max.messages.kbytes", std::to_string(options.queue_bytes >> 10)));
    TRY_VOID(set(conf.get(), "fetch.max.bytes", std::to_string(options.fetch_bytes)));
    // How far the size of a batch is guessed that does not state it, as zstd's need not (rdkafka_zstd.c): only what is unpacked is touched.
    TRY_VOID(set(conf.get(), "receive.message.max.bytes", "1073741824"));
    // The bytes above are payloads and keys alone; what the client keeps beside each record outweighs small ones.
    TRY_VOID(set(conf.get(), "queued.min.messages", std::to_string(std::max<std::int64_t>(options.queue_bytes / kKeptPerRecord, 1000))));
    TRY_VOID(default_to("fetch.queue.backoff.ms", "5"));
    TRY_VOID(default_to("fetch.wait.max.ms", "100"));  // an end behind a commit marker is told after one empty fetch
  } else if (role == Role::kMember) {
    TRY_VOID(default_to("topic.metadata.refresh.interval.ms", "5000"));  // how soon the group deals out partitions that were added
    // It fetches nothing; what slips through before its partitions are paused is small.
    TRY_VOID(default_to("fetch.message.max.bytes", "1024"));
    TRY_VOID(default_to("queued.min.messages", "1"));
    TRY_VOID(default_to("queued.max.messages.kbytes", "64"));
  } else if (role == Role::kProducer) {
    TRY_VOID(default_to("linger.ms", "5"));
    TRY_VOID(default_to("batch.size", "1000000"));
    TRY_VOID(default_to("batch.num.messages", "100000"));
    TRY_VOID(default_to("queue.buffering.max.messages", "400000"));
    TRY_VOID(default_to("queue.buffering.max.kbytes", "262144"));
  }
  TRY_VOID(apply_user_options(conf.get(), options, role));
  TRY_VOID(set(conf.get(), "bootstrap.servers", options.brokers));
  TRY_VOID(set(conf.get(), "log.connection.close", "false"));
  if (role == Role::kConsumer || role == Role::kMember) {
    TRY_VOID(set(conf.get(), "isolation.level", "read_committed"));
    TRY_VOID(set(conf.get(), "check.crcs", "true"));
    TRY_VOID(set(conf.get(), "partition.assignment.strategy", "cooperative-sticky"));
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

base::Result<void> check(const ClientOptions& options) {
  for (const auto role : {Role::kConsumer, Role::kMember, Role::kProducer}) TRY_VOID(make_conf(options, role));
  return {};
}

base::Result<Connection> connect(Conf conf, rd_kafka_type_t type, const ClientOptions& options) {
  Connection connection{std::make_unique<Connection::Callbacks>(), nullptr};
  connection.callbacks->tokens = options.tokens;
  rd_kafka_conf_set_opaque(conf.get(), connection.callbacks.get());
  rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t*, int code, const char* reason, void* opaque) {
    static_cast<Connection::Callbacks*>(opaque)->heard.hear(static_cast<rd_kafka_resp_err_t>(code), reason == nullptr ? "" : reason);
  });
  if (options.tokens) enable_tokens(conf.get());
  char why[512];
  rd_kafka_t* client = rd_kafka_new(type, conf.get(), why, sizeof why);
  if (client == nullptr)
    return base::fail(base::ErrorKind::kInvalid, std::string("source.kafka: librdkafka refuses this configuration: ") + why);
  static_cast<void>(conf.release());  // now the client's
  connection.client.reset(client);
  if (options.tokens) TRY_VOID(start_tokens(client));
  return connection;
}

}  // namespace headpond::kafka
