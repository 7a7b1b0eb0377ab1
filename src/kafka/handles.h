// Private to this folder: librdkafka's handles with owners, and its errors in Headpond's words.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kafka/client.h"

namespace headpond::kafka {

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    destroy(handle);
  }
};

using Conf = std::unique_ptr<rd_kafka_conf_t, Destroy<rd_kafka_conf_destroy>>;
using Client = std::unique_ptr<rd_kafka_t, Destroy<rd_kafka_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy<rd_kafka_topic_partition_list_destroy>>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;
using KafkaError = std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>>;

enum class Role { kConsumer, kMember, kProducer, kAdmin };

inline constexpr int kAnswerTimeoutMs = 5000;

// What a client last said about its connections, for the message when nothing answers. Threads: any.
class LastHeard {
 public:
  struct Said {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string text;
    std::int64_t count = 0;
    // Waiting longer does not help.
    bool refused() const { return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL; }
  };
  void hear(rd_kafka_resp_err_t code, std::string text);
  Said said() const;

 private:
  mutable std::mutex mutex_;
  Said said_;
};

// A client and what its callbacks touch, which outlives it.
struct Connection {
  struct Callbacks {
    LastHeard heard;
    std::shared_ptr<TokenProvider> tokens;
    std::int64_t undelivered = 0;  // a producer's records; touched only while its thread polls
    rd_kafka_resp_err_t undelivered_code = RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  std::unique_ptr<Callbacks> callbacks;
  Client client;

  rd_kafka_t* get() const { return client.get(); }
  const LastHeard& heard() const { return callbacks->heard; }
};

// The configuration with the user's options and then what Headpond forces. Errors: kInvalid.
base::Result<Conf> make_conf(const ClientOptions& options, Role role);
base::Result<void> set(rd_kafka_conf_t* conf, const char* key, const std::string& value);
base::Result<Connection> connect(Conf conf, rd_kafka_type_t type, const ClientOptions& options);
// Lets the client ask `tokens` for its OAUTHBEARER tokens, from a thread of its own.
void enable_tokens(rd_kafka_conf_t* conf);
base::Result<void> start_tokens(rd_kafka_t* client);

// "cannot reach any Kafka broker at …", or why those that are there hang up, in words that say what to mend.
base::Error unreachable(const std::string& brokers, const LastHeard::Said& said);
// Clients say nothing of connections that are closed on them, for idle ones are closed all the time. Where none ever got through, another
// client of the same configuration, which does say, is asked; it takes a second.
LastHeard::Said ask_why(rd_kafka_t* client);
// `what` begins the message: "topic 'logs'".
base::Error to_error(rd_kafka_resp_err_t code, std::string_view detail, std::string_view what, const std::string& brokers,
                     const LastHeard::Said& said);

// Sync and async questions about one topic, on any client.
class TopicQueries {
 public:
  // Borrows `connection`.
  TopicQueries(const Connection& connection, std::string brokers, std::string topic);

  base::Result<TopicInfo> describe();
  void ask();
  std::optional<base::Result<TopicInfo>> take();

  // `spec`: one of RD_KAFKA_OFFSET_SPEC_…, or a time in ms. A partition without such an offset is absent.
  base::Result<std::map<base::PartitionId, base::Offset>> list_offsets(const std::vector<base::PartitionId>& partitions, std::int64_t spec);
  base::Result<std::optional<base::Micros>> newest_timestamp();
  void ask_log_ends(const std::vector<base::PartitionId>& partitions);
  std::optional<std::vector<LogEnd>> take_log_ends();

 private:
  struct Configs {
    bool log_append_time = false, compacted = false;
  };
  base::Result<Event> wait(rd_kafka_queue_t* queue, rd_kafka_event_type_t type);
  base::Result<bool> reach();
  void send_describe(rd_kafka_queue_t* queue);
  void send_log_offsets(const std::vector<base::PartitionId>& partitions, std::int64_t spec, rd_kafka_queue_t* queue);
  base::Result<TopicInfo> read_description(const rd_kafka_event_t* event);
  base::Result<Configs> read_configs();
  base::Error missing_topic();
  // What plain metadata tells: enough for librdkafka's mock broker, which has no controller to answer administration.
  base::Result<TopicInfo> read_metadata();
  AdminOptions admin_options(rd_kafka_admin_op_t operation);

  base::Error error_of(rd_kafka_resp_err_t code, const char* detail) const;

  rd_kafka_t* client_;
  const LastHeard& heard_;
  std::string brokers_, topic_;
  std::optional<Configs> configs_;
  bool mock_ = false;
  // Each holds the answer to the latest question only: a new question takes a new queue, and an answer to an old one is dropped with its
  // queue.
  Queue description_, log_ends_;
};

}  // namespace headpond::kafka
