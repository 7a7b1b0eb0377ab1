// Kafka over librdkafka: the real Source, the Producer, and topic administration.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kafka/group.h"
#include "kafka/source.h"
#include "kafka/tokens.h"

namespace headpond::kafka {

struct ClientOptions {
  std::string brokers;  // "host:port,host:port"
  // Passed to librdkafka as they are. Keys that would break "each record once" are refused. Values are never printed.
  std::map<std::string, std::string> librdkafka_options;
  // For sasl.mechanism OAUTHBEARER.
  std::shared_ptr<TokenProvider> tokens = nullptr;
  // Of a consumer, for all partitions: what may lie fetched and not taken in, and what one answer of one broker may hold (compressed).
  std::int64_t queue_bytes = 4 << 20, fetch_bytes = 2 << 20;
};

// Whether every client could be made with these. Connects to nobody. Errors: kInvalid, as of the calls below.
base::Result<void> check(const ClientOptions& options);

// A Source over one consumer. Does not wait for the broker. `group` names the group whose offsets are published for lag monitors.
// Errors: kInvalid: an option librdkafka does not know, or one that must not be set, with the reason.
base::Result<std::unique_ptr<Source>> open_source(const ClientOptions& options, const std::string& topic, const std::string& group);
// A membership in `group`, over a client of its own that fetches nothing. Does not wait for the broker. Errors: as open_source().
base::Result<std::unique_ptr<Group>> open_group(const ClientOptions& options, const std::string& topic, const std::string& group);

struct MessageHeader {
  const char* name;
  std::string_view value;
};
struct Message {
  std::string_view payload;
  std::string_view key;           // data() == nullptr: none
  std::int64_t timestamp_ms = 0;  // 0: now
  std::int32_t partition = 0;
  std::span<const MessageHeader> headers = {};
};

// Threads: one at a time.
class Producer {
 public:
  virtual ~Producer() = default;
  // Copies and queues messages, in order, and returns how many were taken; fewer than given: the queue is full, wait() and go on.
  // Errors: kRetry / kInvalid: a message could not be delivered, or never can be.
  virtual base::Result<std::size_t> produce(std::span<const Message> messages) = 0;
  // Waits up to `timeout` for room.
  virtual base::Result<void> wait(base::Duration timeout) = 0;
  // Waits until everything queued is acknowledged by all in-sync replicas. Errors: kRetry: not within `timeout`, or not delivered.
  virtual base::Result<void> flush(base::Duration timeout) = 0;
  // Acknowledged: queued − outstanding − failed.
  virtual std::int64_t delivered() const = 0;
};

// Idempotent, acks=all, large batches. `compression`: none lz4 zstd snappy gzip.
base::Result<std::unique_ptr<Producer>> open_producer(const ClientOptions& options, const std::string& topic,
                                                      const std::string& compression);

// Returns once brokers know it. Errors: kConflict: it exists. kRetry, kInvalid as above.
base::Result<void> create_topic(const ClientOptions& options, const std::string& topic, int partitions,
                                const std::map<std::string, std::string>& config);
// Errors: kNotFound.
base::Result<void> delete_topic(const ClientOptions& options, const std::string& topic);
// As Source::describe(), without a consumer.
base::Result<TopicInfo> describe_topic(const ClientOptions& options, const std::string& topic);
// The newest record time in any partition; none: the topic is empty, or the broker does not tell.
base::Result<std::optional<base::Micros>> newest_timestamp(const ClientOptions& options, const std::string& topic);

// librdkafka's in-process broker, for a demo and tests without a JVM: keeps about 5 MB a partition, sees no transactions.
class MockBroker {
 public:
  static base::Result<std::unique_ptr<MockBroker>> start(const std::string& topic, int partitions);
  virtual ~MockBroker() = default;
  virtual std::string brokers() const = 0;
};

// One record's headers as JSON: [["key","value"],…] in order; a null value is null, one that is not UTF-8 is {"base64":"…"}.
using HeaderView = std::pair<std::string_view, std::string_view>;
void headers_json(std::span<const HeaderView> headers, std::string& out);

}  // namespace headpond::kafka
