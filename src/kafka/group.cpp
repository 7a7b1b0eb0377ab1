#include "kafka/group.h"

#include <algorithm>

#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

// The group deals partitions out to a client of its own, which holds them paused: what is fetched, and from where, is the Source's alone,
// so a rebalance neither pauses nor moves the partitions that stay.
class Member final : public Group {
 public:
  Member(Connection client, std::string topic, std::string group)
      : client_(std::move(client)),
        topic_(std::move(topic)),
        group_(std::move(group)),
        changes_(rd_kafka_queue_get_consumer(client_.get())) {}

  ~Member() override {
    // A client that waits for an answer does not close.
    if (pending_) static_cast<void>(answer());
    changes_.reset();
    // Leaves at once, so that the others need not wait for the session to end.
    rd_kafka_consumer_close(client_.get());
  }

  base::Result<void> join() {
    PartitionList topics(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
    return check(rd_kafka_subscribe(client_.get(), topics.get()), "subscribe");
  }

  std::optional<GroupChange> take() override {
    rd_kafka_poll(client_.get(), 0);  // connection errors
    while (!pending_) {
      Event event(rd_kafka_queue_poll(changes_.get(), 0));
      if (!event) return std::nullopt;
      if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_REBALANCE) {
        pending_ = std::move(event);
        trouble_.reset();
      } else {
        hear(event.get());
      }
    }
    if (told_) return std::nullopt;
    told_ = true;
    GroupChange change;
    if (!gains()) change.kind = rd_kafka_assignment_lost(client_.get()) != 0 ? GroupChange::Kind::kLost : GroupChange::Kind::kGiven;
    const auto* list = rd_kafka_event_topic_partition_list(pending_.get());
    for (int i = 0; list != nullptr && i < list->cnt; ++i) change.partitions.emplace_back(list->elems[i].partition);
    std::ranges::sort(change.partitions);
    return change;
  }

  base::Result<void> done() override {
    HP_ASSERT(pending_ && told_);
    return answer();
  }

  std::optional<base::Error> trouble() const override { return trouble_; }

  void publish_offsets(const std::vector<Assignment>& next) override {
    if (next.empty()) return;
    PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(next.size())));
    for (const auto& each : next)
      rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), each.partition.value())->offset = each.next.value();
    rd_kafka_commit(client_.get(), list.get(), 1);
  }

 private:
  bool gains() const { return rd_kafka_event_error(pending_.get()) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS; }

  base::Result<void> answer() {
    auto* list = rd_kafka_event_topic_partition_list(pending_.get());
    rd_kafka_error_t* error = nullptr;
    if (gains()) {
      for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = 0;  // never fetched
      rd_kafka_pause_partitions(client_.get(), list);
      error = rd_kafka_incremental_assign(client_.get(), list);
      rd_kafka_pause_partitions(client_.get(), list);
    } else {
      error = rd_kafka_incremental_unassign(client_.get(), list);
    }
    const KafkaError owner(error);
    pending_.reset();
    told_ = false;
    return check(error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error), "rebalance");
  }

  void hear(rd_kafka_event_t* event) {
    // What a paused partition had fetched in between, offset commits and the like are of no interest.
    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_FETCH) {
      note(rd_kafka_event_error(event), rd_kafka_event_error_string(event));
      return;
    }
    while (const auto* message = rd_kafka_event_message_next(event)) note(message->err, rd_kafka_message_errstr(message));
  }

  void note(rd_kafka_resp_err_t code, const char* text) {
    switch (code) {
      case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID: return duplicate_instance();
      case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
      case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
      case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
      case RD_KAFKA_RESP_ERR__FATAL:
        // A fatal error hides its reason behind this code.
        if (char why[512]; code == RD_KAFKA_RESP_ERR__FATAL &&
                           rd_kafka_fatal_error(client_.get(), why, sizeof why) == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
          return duplicate_instance();
        trouble_ = {base::ErrorKind::kRetry, "consumer group '" + group_ + "': " + (text == nullptr ? rd_kafka_err2str(code) : text)};
        if (code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) trouble_->message += "; grant this principal READ on the group";
        return;
      default: return;
    }
  }

  void duplicate_instance() {
    trouble_ = {base::ErrorKind::kInvalid, "consumer group '" + group_ +
                                               "': another ingester has joined with the same group.instance.id and goes on in this one's "
                                               "place; give each an id of its own under source.kafka.librdkafka_options, such as "
                                               "\"${HOSTNAME}\""};
  }

  base::Result<void> check(rd_kafka_resp_err_t code, const char* what) const {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    return base::fail(base::ErrorKind::kRetry, "consumer group '" + group_ + "': " + what + ": " + rd_kafka_err2str(code));
  }

  Connection client_;
  std::string topic_, group_;
  Queue changes_;
  Event pending_;  // the change that waits for done()
  bool told_ = false;
  std::optional<base::Error> trouble_;
};

}  // namespace

base::Result<std::unique_ptr<Group>> open_group(const ClientOptions& options, const std::string& topic, const std::string& group) {
  TRY(Conf conf, make_conf(options, Role::kMember));
  TRY_VOID(set(conf.get(), "group.id", group));
  rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_FETCH);
  TRY(Connection client, connect(std::move(conf), RD_KAFKA_CONSUMER, options));
  auto member = std::make_unique<Member>(std::move(client), topic, group);
  TRY_VOID(member->join());
  return member;
}

}  // namespace headpond::kafka
