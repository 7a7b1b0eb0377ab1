#include <algorithm>

#include "base/time.h"
#include "kafka/hand.h"
#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

class Consumer final : public Source {
 public:
  Consumer(Connection client, const ClientOptions& options, const std::string& topic)
      : client_(std::move(client)),
        topic_(topic),
        records_(rd_kafka_queue_get_consumer(client_.get())),
        queries_(std::make_unique<TopicQueries>(client_, options.brokers, topic)) {}

  ~Consumer() override {
    queries_.reset();
    hand_.clear();
    records_.reset();
    rd_kafka_assign(client_.get(), nullptr);
  }

  base::Result<TopicInfo> describe() override { return queries_->describe(); }
  base::Result<std::map<base::PartitionId, base::Offset>> log_starts(const std::vector<base::PartitionId>& partitions) override {
    return queries_->list_offsets(partitions, RD_KAFKA_OFFSET_SPEC_EARLIEST);
  }
  base::Result<std::map<base::PartitionId, base::Offset>> log_ends(const std::vector<base::PartitionId>& partitions) override {
    return queries_->list_offsets(partitions, RD_KAFKA_OFFSET_SPEC_LATEST);
  }
  base::Result<std::map<base::PartitionId, base::Offset>> offsets_at(const std::vector<base::PartitionId>& partitions,
                                                                     base::Micros time) override {
    const auto floor = base::floor_to(time, base::Duration::millis(1));
    return queries_->list_offsets(partitions, floor.value() / 1000 + (floor < time ? 1 : 0));
  }

  base::Result<void> assign(const std::vector<Assignment>& assignments) override {
    hand_.clear();
    TRY_VOID(check(rd_kafka_assign(client_.get(), list(assignments).get()), "assign"));
    return validate(assignments);
  }
  base::Result<void> add(const std::vector<Assignment>& assignments) override {
    TRY_VOID(check(rd_kafka_incremental_assign(client_.get(), list(assignments).get()), "assign"));
    return validate(assignments);
  }
  base::Result<void> remove(base::PartitionId partition) override {
    hand_.drop(partition.value());
    return check(rd_kafka_incremental_unassign(client_.get(), list({{partition, base::Offset(0)}}).get()), "unassign");
  }
  base::Result<void> refetch(const Assignment& assignment) override {
    TRY_VOID(remove(assignment.partition));
    return add({assignment});
  }

  std::size_t poll(base::Duration timeout, const Handler& handler) override {
    rd_kafka_poll(client_.get(), 0);  // connection errors
    if (auto said = client_.heard().said(); said.count != errors_told_) {
      errors_told_ = said.count;
      handler.on_event(handler.context, {EventKind::kInterrupted, base::PartitionId(-1), base::Offset(-1), std::move(said.text)});
    }
    std::size_t records = 0;
    int timeout_ms = static_cast<int>(timeout.value() / 1000);
    bool more = true;
    while (more && (!hand_.empty() || hand_.fill(records_.get(), std::exchange(timeout_ms, 0)))) {
      while (more && !hand_.empty()) {
        const Taken message(hand_.next());
        if (message) more = hand_over(*message, handler, records);
      }
    }
    return records;
  }

  void ask_log_ends(const std::vector<base::PartitionId>& partitions) override { queries_->ask_log_ends(partitions); }
  std::optional<std::vector<LogEnd>> take_log_ends() override { return queries_->take_log_ends(); }
  void ask_topic() override { queries_->ask(); }
  std::optional<base::Result<TopicInfo>> take_topic() override { return queries_->take(); }

  void publish_group_offsets(const std::vector<Assignment>& next) override {
    if (!next.empty()) rd_kafka_commit(client_.get(), list(next).get(), 1);
  }

 private:
  using Taken = std::unique_ptr<rd_kafka_message_t, Destroy<rd_kafka_message_destroy>>;

  // False: the handler wants no more in this poll.
  bool hand_over(rd_kafka_message_t& message, const Handler& handler, std::size_t& records) {
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) [[unlikely]] {
      report(message, handler);
      return true;
    }
    Record record;
    record.payload = {static_cast<const char*>(message.payload), message.len};
    record.key = {static_cast<const char*>(message.key), message.key_len};
    record.offset = message.offset;
    record.partition = message.partition;
    record.leader_epoch = rd_kafka_message_leader_epoch(&message);
    rd_kafka_timestamp_type_t type;
    const auto timestamp_ms = rd_kafka_message_timestamp(&message, &type);
    if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp_ms >= 0) record.timestamp_us = timestamp_ms * 1000;
    record.log_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) [[unlikely]] {
      render_headers(headers);
      record.headers = headers_;
    }
    ++records;
    return handler.on_record(handler.context, record);
  }

  void render_headers(const rd_kafka_headers_t* headers) {
    header_views_.clear();
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      header_views_.push_back({name, {static_cast<const char*>(value), size}});
    }
    headers_json(header_views_, headers_);
  }

  // A broker that keeps no epochs as old as ours proves nothing.
  static bool cut_below(const std::string& message) {
    return message.find("truncation") != std::string::npos && message.find("No epoch found") == std::string::npos;
  }

  static void report(const rd_kafka_message_t& message, const Handler& handler) {
    PartitionEvent event;
    event.partition = base::PartitionId(message.rkt == nullptr ? -1 : message.partition);
    event.message =
        message.payload == nullptr ? rd_kafka_err2str(message.err) : std::string(static_cast<const char*>(message.payload), message.len);
    switch (message.err) {
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        event.kind = EventKind::kEnd;
        event.offset = base::Offset(message.offset);
        break;
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        event.kind = cut_below(event.message) ? EventKind::kTruncated : EventKind::kOutOfRange;
        event.offset = base::Offset(message.offset);
        break;
      case RD_KAFKA_RESP_ERR__LOG_TRUNCATION: event.kind = EventKind::kTruncated; break;
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID: event.kind = EventKind::kRefused; break;
      case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
      case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:  // it would be fetched again without end
        event.kind = EventKind::kRefused;
        event.message +=
            "; the client cannot unpack this batch: delete the records up to it (kafka-delete-records) and go on with "
            "--accept-loss, and let the producer send smaller batches or another compression.type";
        break;
      default: event.kind = EventKind::kInterrupted;
    }
    handler.on_event(handler.context, event);
  }

  PartitionList list(const std::vector<Assignment>& assignments) const {
    PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(assignments.size())));
    for (const auto& assignment : assignments) {
      auto* added = rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), assignment.partition.value());
      added->offset = assignment.next.value();
      rd_kafka_topic_partition_set_leader_epoch(added, assignment.leader_epoch);
    }
    return list;
  }
  // An assignment alone is not held against the broker's epochs; a seek is, before anything is fetched.
  base::Result<void> validate(std::vector<Assignment> assignments) const {
    std::erase_if(assignments, [](const auto& assignment) { return assignment.leader_epoch < 0; });
    if (assignments.empty()) return {};
    return check(rd_kafka_seek_partitions(client_.get(), list(assignments).get(), 0), "seek");
  }
  base::Result<void> check(rd_kafka_resp_err_t code, const char* what) const {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    return base::fail(base::ErrorKind::kRetry, "topic '" + topic_ + "': " + what + ": " + rd_kafka_err2str(code));
  }
  base::Result<void> check(rd_kafka_error_t* error, const char* what) const {
    const KafkaError owner(error);
    return check(error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error), what);
  }

  Connection client_;
  std::string topic_;
  Queue records_;
  Hand hand_;
  std::unique_ptr<TopicQueries> queries_;
  std::int64_t errors_told_ = 0;
  std::string headers_;
  std::vector<HeaderView> header_views_;
};

}  // namespace

base::Result<std::unique_ptr<Source>> open_source(const ClientOptions& options, const std::string& topic, const std::string& group) {
  TRY(Conf conf, make_conf(options, Role::kConsumer));
  TRY_VOID(set(conf.get(), "group.id", group));
  TRY(Connection client, connect(std::move(conf), RD_KAFKA_CONSUMER, options));
  return std::make_unique<Consumer>(std::move(client), options, topic);
}

}  // namespace headpond::kafka
