#include <vector>

#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

class RdProducer final : public Producer {
 public:
  RdProducer(Connection client, const ClientOptions& options, std::string name, rd_kafka_topic_t* topic)
      : client_(std::move(client)), brokers_(options.brokers), name_(std::move(name)), topic_(topic) {}
  ~RdProducer() override {
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_topic_destroy(topic_);
  }

  base::Result<std::size_t> produce(std::span<const Message> messages) override {
    std::size_t taken = 0;
    std::vector<rd_kafka_vu_t> arguments(6);
    arguments[0].vtype = RD_KAFKA_VTYPE_RKT;
    arguments[0].u.rkt = topic_;
    arguments[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    arguments[1].u.i = RD_KAFKA_MSG_F_COPY;
    arguments[2].vtype = RD_KAFKA_VTYPE_PARTITION;
    arguments[3].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    arguments[4].vtype = RD_KAFKA_VTYPE_VALUE;
    for (const auto& message : messages) {
      arguments[2].u.i32 = message.partition;
      arguments[3].u.i64 = message.timestamp_ms;
      arguments[4].u.mem.ptr = const_cast<char*>(message.payload.data());
      arguments[4].u.mem.size = message.payload.size();
      arguments.resize(6);
      arguments[5].vtype = RD_KAFKA_VTYPE_KEY;
      arguments[5].u.mem.ptr = const_cast<char*>(message.key.data());
      arguments[5].u.mem.size = message.key.size();
      arguments.resize(message.key.data() == nullptr ? 5 : 6);
      for (const auto& header : message.headers) put_header(arguments, header);
      const KafkaError error(rd_kafka_produceva(client_.get(), arguments.data(), arguments.size()));
      if (error) {
        const auto code = rd_kafka_error_code(error.get());
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) break;
        return std::unexpected(
            to_error(code, rd_kafka_error_string(error.get()), "topic '" + name_ + "'", brokers_, client_.heard().said()));
      }
      ++taken;
    }
    queued_ += static_cast<std::int64_t>(taken);
    rd_kafka_poll(client_.get(), 0);
    TRY_VOID(failed());
    return taken;
  }

  base::Result<void> wait(base::Duration timeout) override {
    // Successes are not reported one by one, so room is looked for, not announced.
    rd_kafka_poll(client_.get(), static_cast<int>(timeout.value() / 1000));
    return failed();
  }

  base::Result<void> flush(base::Duration timeout) override {
    const auto code = rd_kafka_flush(client_.get(), static_cast<int>(timeout.value() / 1000));
    TRY_VOID(failed());
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    return std::unexpected(to_error(code, "", "topic '" + name_ + "'", brokers_, client_.heard().said()));
  }

  std::int64_t delivered() const override { return queued_ - rd_kafka_outq_len(client_.get()) - client_.callbacks->undelivered; }

 private:
  static void put_header(std::vector<rd_kafka_vu_t>& arguments, const MessageHeader& header) {
    auto& argument = arguments.emplace_back();
    argument.vtype = RD_KAFKA_VTYPE_HEADER;
    argument.u.header.name = header.name;
    argument.u.header.val = header.value.data();
    argument.u.header.size = static_cast<ssize_t>(header.value.size());
  }
  base::Result<void> failed() const {
    const auto& seen = *client_.callbacks;
    if (seen.undelivered == 0) return {};
    return std::unexpected(to_error(seen.undelivered_code, "",
                                    "topic '" + name_ + "': " + std::to_string(seen.undelivered) + " records were not delivered", brokers_,
                                    client_.heard().said()));
  }

  Connection client_;
  std::string brokers_, name_;
  rd_kafka_topic_t* topic_;
  std::int64_t queued_ = 0;
};

}  // namespace

base::Result<std::unique_ptr<Producer>> open_producer(const ClientOptions& options, const std::string& topic,
                                                      const std::string& compression) {
  TRY(Conf conf, make_conf(options, Role::kProducer));
  TRY_VOID(set(conf.get(), "compression.type", compression));
  rd_kafka_conf_set_dr_msg_cb(conf.get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto& seen = *static_cast<Connection::Callbacks*>(opaque);
    ++seen.undelivered;
    seen.undelivered_code = message->err;
  });
  TRY(Connection client, connect(std::move(conf), RD_KAFKA_PRODUCER, options));
  rd_kafka_topic_t* handle = rd_kafka_topic_new(client.get(), topic.c_str(), nullptr);
  if (handle == nullptr) return base::fail(base::ErrorKind::kInvalid, "topic '" + topic + "': " + rd_kafka_err2str(rd_kafka_last_error()));
  return std::make_unique<RdProducer>(std::move(client), options, topic, handle);
}

}  // namespace headpond::kafka
