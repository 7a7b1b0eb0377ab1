#include "kafka/handles.h"
// Needs rdkafka.h before it.
#include <librdkafka/rdkafka_mock.h>

namespace headpond::kafka {
namespace {

constexpr int kPropagationPollMs = 50;

base::Result<Connection> admin_client(const ClientOptions& options) {
  TRY(Conf conf, make_conf(options, Role::kAdmin));
  return connect(std::move(conf), RD_KAFKA_PRODUCER, options);
}

// The one topic's outcome in an answer.
base::Result<void> outcome(const rd_kafka_topic_result_t** results, std::size_t count, const std::string& topic,
                           const std::string& brokers) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto code = rd_kafka_topic_result_error(results[i]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const char* detail = rd_kafka_topic_result_error_string(results[i]);
    return std::unexpected(to_error(code, detail == nullptr ? "" : detail, "topic '" + topic + "'", brokers, {}));
  }
  return {};
}

base::Result<Event> wait(rd_kafka_queue_t* queue, const std::string& topic, const std::string& brokers) {
  Event event(rd_kafka_queue_poll(queue, kAnswerTimeoutMs));
  if (!event) return std::unexpected(unreachable(brokers, {}));
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::unexpected(to_error(code, rd_kafka_event_error_string(event.get()), "topic '" + topic + "'", brokers, {}));
  }
  return event;
}

class RdMock final : public MockBroker {
 public:
  RdMock(Connection client, rd_kafka_mock_cluster_t* cluster) : client_(std::move(client)), cluster_(cluster) {}
  ~RdMock() override { rd_kafka_mock_cluster_destroy(cluster_); }
  std::string brokers() const override { return rd_kafka_mock_cluster_bootstraps(cluster_); }

 private:
  Connection client_;
  rd_kafka_mock_cluster_t* cluster_;
};

}  // namespace

base::Result<void> create_topic(const ClientOptions& options, const std::string& topic, int partitions,
                                const std::map<std::string, std::string>& config) {
  TRY(const Connection client, admin_client(options));
  char why[512];
  const std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>> request(
      rd_kafka_NewTopic_new(topic.c_str(), partitions, -1, why, sizeof why));
  if (!request) return base::fail(base::ErrorKind::kInvalid, "topic '" + topic + "': " + why);
  for (const auto& [key, value] : config) rd_kafka_NewTopic_set_config(request.get(), key.c_str(), value.c_str());
  const Queue queue(rd_kafka_queue_new(client.get()));
  rd_kafka_NewTopic_t* requests[] = {request.get()};
  rd_kafka_CreateTopics(client.get(), requests, 1, nullptr, queue.get());
  TRY(const auto event, wait(queue.get(), topic, options.brokers));
  std::size_t count = 0;
  const auto** results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  const auto created = outcome(results, count, topic, options.brokers);
  if (!created && created.error().kind != base::ErrorKind::kConflict) return created;
  // The controller knows the topic before the brokers do: whoever asks one next must not be told that there is none.
  TopicQueries queries(client, options.brokers, topic);
  for (int tries = 0; tries < kAnswerTimeoutMs / kPropagationPollMs; ++tries) {
    const auto described = queries.describe();
    if (described || described.error().kind != base::ErrorKind::kNotFound) break;
    rd_kafka_poll(client.get(), kPropagationPollMs);
  }
  return created;
}

base::Result<void> delete_topic(const ClientOptions& options, const std::string& topic) {
  TRY(const Connection client, admin_client(options));
  const std::unique_ptr<rd_kafka_DeleteTopic_t, Destroy<rd_kafka_DeleteTopic_destroy>> request(rd_kafka_DeleteTopic_new(topic.c_str()));
  const Queue queue(rd_kafka_queue_new(client.get()));
  rd_kafka_DeleteTopic_t* requests[] = {request.get()};
  rd_kafka_DeleteTopics(client.get(), requests, 1, nullptr, queue.get());
  TRY(const auto event, wait(queue.get(), topic, options.brokers));
  std::size_t count = 0;
  const auto** results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  return outcome(results, count, topic, options.brokers);
}

base::Result<TopicInfo> describe_topic(const ClientOptions& options, const std::string& topic) {
  TRY(const Connection client, admin_client(options));
  return TopicQueries(client, options.brokers, topic).describe();
}

base::Result<std::optional<base::Micros>> newest_timestamp(const ClientOptions& options, const std::string& topic) {
  TRY(const Connection client, admin_client(options));
  return TopicQueries(client, options.brokers, topic).newest_timestamp();
}

base::Result<std::unique_ptr<MockBroker>> MockBroker::start(const std::string& topic, int partitions) {
  TRY(Connection client, admin_client({.brokers = "127.0.0.1:1", .librdkafka_options = {}}));
  rd_kafka_mock_cluster_t* cluster = rd_kafka_mock_cluster_new(client.get(), 1);
  if (cluster == nullptr) return base::fail(base::ErrorKind::kRetry, "librdkafka's mock broker did not start");
  const auto code = rd_kafka_mock_topic_create(cluster, topic.c_str(), partitions, 1);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_mock_cluster_destroy(cluster);
    return base::fail(base::ErrorKind::kInvalid, "topic '" + topic + "': " + rd_kafka_err2str(code));
  }
  rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
  return std::make_unique<RdMock>(std::move(client), cluster);
}

}  // namespace headpond::kafka
