// A topic full of events, what it costs to consume it, and what to ingest it.
#pragma once

#include <cstdint>
#include <string>

#include "env/clock.h"
#include "events.h"
#include "kafka/client.h"

namespace headpond::bench {

struct Topic {
  std::string name;
  int partitions = kPartitions;
  int batch = 0;  // records the producer sends at once; 0: as large as `headpond generate` makes them
  std::int64_t events = 0;
  int headers = 0;                                          // a record
  generate::Encoding encoding = generate::Encoding::kJson;  // OTLP: messages of 500 log records, which are the events
};

// Makes the topic, unless it is the mock's own, and fills it. Returns how many Kafka records that is.
std::int64_t fill(const kafka::ClientOptions& client, const Topic& topic, bool create, env::Clock& clock);

// ns of CPU an event, all threads: takes every one of `records` and looks at its length.
double consume_cost(const kafka::ClientOptions& client, const Topic& topic, std::int64_t records);

struct IngestCost {
  double cpu_ns = 0;      // an event, all threads
  double file_bytes = 0;  // of Parquet, an event
};
// Runs the engine from nothing until all events are committed to an empty lake at `location` (a directory or a URL), then has
// `headpond audit --deep` read the table; one that is not clean ends the bench.
IngestCost ingest_cost(const kafka::ClientOptions& client, const Topic& topic, const std::string& location, env::Clock& clock);

}  // namespace headpond::bench
