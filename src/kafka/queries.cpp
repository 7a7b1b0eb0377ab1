// Questions about a topic: description, configuration, offsets.
#include <algorithm>
#include <cstring>

#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

constexpr const char* kTransactionLog = "__transaction_state";
constexpr int kReachStepMs = 250;
constexpr int kRefusedAfterMs = 1500;  // another broker may still answer

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

// Up to three of `names` that a person may have meant by `wanted`, best first.
std::vector<std::string> near_names(const std::string& wanted, std::vector<std::string> names) {
  const auto distance = [&](const std::string& name) {
    return name.find(wanted) != std::string::npos || wanted.find(name) != std::string::npos ? 1 : edit_distance(wanted, name);
  };
  std::erase_if(names, [&](const std::string& name) {
    return name.starts_with("__") || distance(name) > std::max<std::size_t>(2, wanted.size() / 3);
  });
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  if (names.size() > 3) names.resize(3);
  return names;
}

}  // namespace

TopicQueries::TopicQueries(const Connection& connection, std::string brokers, std::string topic)
    : client_(connection.get()), heard_(connection.heard()), brokers_(std::move(brokers)), topic_(std::move(topic)) {}

base::Error TopicQueries::error_of(rd_kafka_resp_err_t code, const char* detail) const {
  return to_error(code, detail == nullptr ? "" : detail, "topic '" + topic_ + "'", brokers_, heard_.said());
}

AdminOptions TopicQueries::admin_options(rd_kafka_admin_op_t operation) {
  AdminOptions options(rd_kafka_AdminOptions_new(client_, operation));
  char why[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), kAnswerTimeoutMs, why, sizeof why);
  return options;
}

base::Result<Event> TopicQueries::wait(rd_kafka_queue_t* queue, rd_kafka_event_type_t type) {
  Event event(rd_kafka_queue_poll(queue, kAnswerTimeoutMs + 500));
  if (!event) return std::unexpected(unreachable(brokers_, heard_.said()));
  const auto code = rd_kafka_event_error(event.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(error_of(code, rd_kafka_event_error_string(event.get())));
  HP_ASSERT(rd_kafka_event_type(event.get()) == type);
  return event;
}

void TopicQueries::send_describe(rd_kafka_queue_t* queue) {
  const char* names[] = {topic_.c_str(), kTransactionLog};
  rd_kafka_TopicCollection_t* topics = rd_kafka_TopicCollection_of_topic_names(names, 2);
  const auto options = admin_options(RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
  rd_kafka_DescribeTopics(client_, topics, options.get(), queue);
  rd_kafka_TopicCollection_destroy(topics);
}

base::Error TopicQueries::missing_topic() {
  const rd_kafka_metadata_t* all = nullptr;
  const auto code = rd_kafka_metadata(client_, 1, nullptr, &all, kAnswerTimeoutMs);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, "");
  std::vector<std::string> names;
  for (int i = 0; i < all->topic_cnt; ++i) names.emplace_back(all->topics[i].topic);
  rd_kafka_metadata_destroy(all);
  std::string message = "no topic '" + topic_ + "' at " + brokers_;
  const auto near = near_names(topic_, names);
  if (near.empty()) {
    message += "; create it, or correct source.kafka.topic";
  } else {
    message += "; did you mean ";
    for (std::size_t i = 0; i < near.size(); ++i) message += (i == 0 ? "'" : i + 1 == near.size() ? " or '" : ", '") + near[i] + "'";
    message += "?";
  }
  return {base::ErrorKind::kNotFound, std::move(message)};
}

base::Result<TopicInfo> TopicQueries::read_description(const rd_kafka_event_t* event) {
  TopicInfo info;
  info.name = topic_;
  std::size_t count = 0;
  const auto** topics =
      rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(const_cast<rd_kafka_event_t*>(event)), &count);
  for (std::size_t t = 0; t < count; ++t) {
    const rd_kafka_error_t* error = rd_kafka_TopicDescription_error(topics[t]);
    const auto code = error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
    if (std::strcmp(rd_kafka_TopicDescription_name(topics[t]), kTransactionLog) == 0 && topic_ != kTransactionLog) {
      // Not allowed to look is no proof of absence.
      info.transactions = code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && code != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
      continue;
    }
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
      return std::unexpected(missing_topic());
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return std::unexpected(error_of(code, rd_kafka_error_string(error)));
    }
    if (const auto* id = rd_kafka_TopicDescription_topic_id(topics[t])) info.id = rd_kafka_Uuid_base64str(id);
    if (info.id.find_first_not_of("A=") == std::string::npos) info.id.clear();  // a broker without topic ids answers zeros
    std::size_t partitions = 0;
    const auto** described = rd_kafka_TopicDescription_partitions(topics[t], &partitions);
    for (std::size_t p = 0; p < partitions; ++p) {
      info.partitions.push_back({base::PartitionId(rd_kafka_TopicPartitionInfo_partition(described[p])),
                                 rd_kafka_TopicPartitionInfo_leader(described[p]) != nullptr});
    }
  }
  std::sort(info.partitions.begin(), info.partitions.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  if (configs_) {
    info.log_append_time = configs_->log_append_time;
    info.compacted = configs_->compacted;
  }
  return info;
}

// A broker that does not tell (librdkafka's mock, or no DESCRIBE_CONFIGS right) leaves the stricter reading: CreateTime, not compacted.
base::Result<TopicQueries::Configs> TopicQueries::read_configs() {
  Queue queue(rd_kafka_queue_new(client_));
  rd_kafka_ConfigResource_t* resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic_.c_str());
  const auto options = admin_options(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
  rd_kafka_DescribeConfigs(client_, &resource, 1, options.get(), queue.get());
  rd_kafka_ConfigResource_destroy(resource);
  Configs configs;
  TRY(const auto event, wait(queue.get(), RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT));
  std::size_t count = 0;
  const auto** resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  for (std::size_t r = 0; r < count; ++r) {
    std::size_t entries = 0;
    const auto** configured = rd_kafka_ConfigResource_configs(resources[r], &entries);
    for (std::size_t i = 0; i < entries; ++i) {
      const std::string_view name = rd_kafka_ConfigEntry_name(configured[i]);
      const char* text = rd_kafka_ConfigEntry_value(configured[i]);
      const std::string_view value = text == nullptr ? "" : text;
      if (name == "message.timestamp.type") configs.log_append_time = value == "LogAppendTime";
      if (name == "cleanup.policy") configs.compacted = value.find("compact") != std::string_view::npos;
    }
  }
  return configs;
}

base::Result<TopicInfo> TopicQueries::read_metadata() {
  const std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>> handle(rd_kafka_topic_new(client_, topic_.c_str(), nullptr));
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto code = rd_kafka_metadata(client_, 0, handle.get(), &metadata, kAnswerTimeoutMs);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(error_of(code, ""));
  const std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>> owner(metadata);
  TopicInfo info;
  info.name = topic_;
  for (int t = 0; t < metadata->topic_cnt; ++t) {
    const auto& topic = metadata->topics[t];
    if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(missing_topic());
    for (int p = 0; p < topic.partition_cnt; ++p) {
      info.partitions.push_back({base::PartitionId(topic.partitions[p].id), topic.partitions[p].leader >= 0});
    }
  }
  std::sort(info.partitions.begin(), info.partitions.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return info;
}

// Waits for the first broker that answers, but not for one that has refused us for good. True: it is librdkafka's mock.
base::Result<bool> TopicQueries::reach() {
  for (int waited_ms = 0; waited_ms < kAnswerTimeoutMs; waited_ms += kReachStepMs) {
    if (char* cluster = rd_kafka_clusterid(client_, kReachStepMs)) {
      const bool mock = std::string_view(cluster).starts_with("mockCluster");
      rd_kafka_mem_free(client_, cluster);
      return mock;
    }
    rd_kafka_poll(client_, 0);  // the reason arrives while waiting
    if (heard_.said().refused() && waited_ms >= kRefusedAfterMs) break;
  }
  auto said = heard_.said();
  if (said.text.empty()) said = ask_why(client_);
  return std::unexpected(unreachable(brokers_, said));
}

base::Result<TopicInfo> TopicQueries::describe() {
  TRY(mock_, reach());
  if (mock_) return read_metadata();
  Queue queue(rd_kafka_queue_new(client_));
  send_describe(queue.get());
  TRY(const auto event, wait(queue.get(), RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT));
  TRY(auto info, read_description(event.get()));
  if (auto configs = read_configs()) {
    configs_ = *configs;
    info.log_append_time = configs->log_append_time;
    info.compacted = configs->compacted;
  }
  return info;
}

void TopicQueries::ask() {
  if (mock_) return;
  description_.reset(rd_kafka_queue_new(client_));
  send_describe(description_.get());
}

std::optional<base::Result<TopicInfo>> TopicQueries::take() {
  if (mock_) return read_metadata();
  if (!description_) return std::nullopt;
  Event event(rd_kafka_queue_poll(description_.get(), 0));
  if (!event) return std::nullopt;
  description_.reset();
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::unexpected(error_of(code, rd_kafka_event_error_string(event.get())));
  }
  return read_description(event.get());
}

void TopicQueries::send_log_offsets(const std::vector<base::PartitionId>& partitions, std::int64_t spec, rd_kafka_queue_t* queue) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const auto partition : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition.value())->offset = spec;
  }
  const auto options = admin_options(RD_KAFKA_ADMIN_OP_LISTOFFSETS);
  KafkaError(rd_kafka_AdminOptions_set_isolation_level(options.get(), RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
  rd_kafka_ListOffsets(client_, list.get(), options.get(), queue);
}

namespace {

std::vector<LogEnd> read_log_offsets(rd_kafka_event_t* event) {
  std::vector<LogEnd> ends;
  std::size_t count = 0;
  const auto** infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto* answer = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
    LogEnd end{base::PartitionId(answer->partition), base::Offset(answer->offset), ""};
    if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      end.end = base::Offset(-1);
      end.error = rd_kafka_err2str(answer->err);
    }
    ends.push_back(std::move(end));
  }
  return ends;
}

}  // namespace

base::Result<std::map<base::PartitionId, base::Offset>> TopicQueries::list_offsets(const std::vector<base::PartitionId>& partitions,
                                                                                   std::int64_t spec) {
  std::map<base::PartitionId, base::Offset> offsets;
  if (partitions.empty()) return offsets;
  Queue queue(rd_kafka_queue_new(client_));
  send_log_offsets(partitions, spec, queue.get());
  TRY(const auto event, wait(queue.get(), RD_KAFKA_EVENT_LISTOFFSETS_RESULT));
  for (const auto& end : read_log_offsets(event.get())) {
    if (end.end.value() < 0) {
      if (end.error.empty()) continue;
      return base::fail(base::ErrorKind::kRetry,
                        "topic '" + topic_ + "' partition " + std::to_string(end.partition.value()) + ": " + end.error);
    }
    offsets[end.partition] = end.end;
  }
  return offsets;
}

base::Result<std::optional<base::Micros>> TopicQueries::newest_timestamp() {
  TRY(const auto info, describe());
  std::optional<base::Micros> newest;
  if (mock_ || info.partitions.empty()) return newest;
  std::vector<base::PartitionId> partitions;
  for (const auto& partition : info.partitions) partitions.push_back(partition.id);
  Queue queue(rd_kafka_queue_new(client_));
  send_log_offsets(partitions, RD_KAFKA_OFFSET_SPEC_MAX_TIMESTAMP, queue.get());
  TRY(const auto event, wait(queue.get(), RD_KAFKA_EVENT_LISTOFFSETS_RESULT));
  std::size_t count = 0;
  const auto** infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto timestamp_ms = rd_kafka_ListOffsetsResultInfo_timestamp(infos[i]);
    if (timestamp_ms >= 0 && (!newest || newest->value() < timestamp_ms * 1000)) newest = base::Micros(timestamp_ms * 1000);
  }
  return newest;
}

void TopicQueries::ask_log_ends(const std::vector<base::PartitionId>& partitions) {
  if (partitions.empty()) return;
  log_ends_.reset(rd_kafka_queue_new(client_));
  send_log_offsets(partitions, RD_KAFKA_OFFSET_SPEC_LATEST, log_ends_.get());
}

std::optional<std::vector<LogEnd>> TopicQueries::take_log_ends() {
  if (!log_ends_) return std::nullopt;
  Event event(rd_kafka_queue_poll(log_ends_.get(), 0));
  if (!event) return std::nullopt;
  log_ends_.reset();
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
  return read_log_offsets(event.get());
}

}  // namespace headpond::kafka
