// A Kafka broker for a measurement: Apache Kafka through tools/kafka, or the client library's mock where that cannot start.
#pragma once

#include <memory>
#include <string>

#include "kafka/client.h"

namespace headpond::bench {

// An empty directory under the system's temporary one, removed with all it holds.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Broker {
 public:
  explicit Broker(const std::string& topic);  // of the mock, which has its one topic from the start
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  bool is_real() const { return mock_ == nullptr; }
  kafka::ClientOptions client() const { return {.brokers = address_, .librdkafka_options = {}}; }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<kafka::MockBroker> mock_;
  std::string address_;
};

// An S3 server (tools/s3) with one empty bucket, and this process set up as its client; or none, where it cannot start.
class S3 {
 public:
  S3();
  ~S3();
  S3(const S3&) = delete;
  S3& operator=(const S3&) = delete;

  bool runs() const { return runs_; }
  std::string location() const { return "s3://bench"; }

 private:
  TemporaryDirectory directory_;
  bool runs_ = false;
};

}  // namespace headpond::bench
