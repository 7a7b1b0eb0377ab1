// The demo's broker: a real Apache Kafka started by tools/kafka, or librdkafka's mock where there is no JVM.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "kafka/client.h"

namespace headpond::app {

class DemoBroker {
 public:
  // Starts it, its data below `directory`, with `topic` in it. Errors: kRetry, with what is missing.
  static base::Result<std::unique_ptr<DemoBroker>> start(const std::string& directory, const std::string& topic, int partitions, bool mock);
  ~DemoBroker();

  const std::string& brokers() const { return brokers_; }
  const std::string& what() const { return what_; }  // "Apache Kafka 4.4.0", or "librdkafka's mock broker (no Java here)"

 private:
  std::string brokers_, what_, tool_, directory_;
  std::unique_ptr<kafka::MockBroker> mock_;
};

}  // namespace headpond::app
