// Private to this folder: librdkafka's handles with owners, and its errors in Headpond's words.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
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

enum class Role { kConsumer, kProducer, kAdmin };

inline constexpr int kAnswerTimeoutMs = 5000;

// The configuration with the user's options and then what Headpond forces. Errors: kInvalid.
base::Result<Conf> make_conf(const ClientOptions& options, Role role);
base::Result<void> set(rd_kafka_conf_t* conf, const char* key, const std::string& value);
base::Result<Client> make_client(Conf conf, rd_kafka_type_t type);

// "cannot reach any Kafka broker at …", with what the client last heard.
base::Error unreachable(const std::string& brokers, std::string_view last_heard);
// `what` begins the message: "topic 'logs'".
base::Error to_error(rd_kafka_resp_err_t code, std::string_view detail, std::string_view what, const std::string& brokers,
                     std::string_view last_heard);

// Sync and async questions about one topic, on any client.
class TopicQueries {
 public:
  TopicQueries(rd_kafka_t* client, std::string brokers, std::string topic);

  // `last_heard`: the client's latest connection error, for messages.
  base::Result<TopicInfo> describe(const std::string& last_heard);
  void ask();
  std::optional<base::Result<TopicInfo>> take(const std::string& last_heard);

  base::Result<std::map<base::PartitionId, base::Offset>> list_offsets(const std::vector<base::PartitionId>& partitions, std::int64_t spec,
                                                                       const std::string& last_heard);
  base::Result<std::optional<base::Micros>> newest_timestamp();
  void ask_log_ends(const std::vector<base::PartitionId>& partitions);
  std::optional<std::vector<LogEnd>> take_log_ends();

 private:
  struct Configs {
    bool log_append_time = false, compacted = false;
  };
  base::Result<Event> wait(rd_kafka_queue_t* queue, rd_kafka_event_type_t type, const std::string& last_heard);
  void send_describe(rd_kafka_queue_t* queue);
  void send_log_offsets(const std::vector<base::PartitionId>& partitions, std::int64_t spec, rd_kafka_queue_t* queue);
  base::Result<TopicInfo> read_description(const rd_kafka_event_t* event, const std::string& last_heard);
  base::Result<Configs> read_configs();
  base::Error missing_topic(const std::string& last_heard);
  // What plain metadata tells: enough for librdkafka's mock broker, which has no controller to answer administration.
  base::Result<TopicInfo> read_metadata(const std::string& last_heard);
  AdminOptions admin_options(rd_kafka_admin_op_t operation);

  rd_kafka_t* client_;
  std::string brokers_, topic_;
  std::optional<Configs> configs_;
  bool mock_ = false;
  // Each holds the answer to the latest question only: a new question takes a new queue, and an answer to an old one is dropped with its
  // queue.
  Queue description_, log_ends_;
};

}  // namespace headpond::kafka
