#pragma once

#include <cstdint>
#include <string>

#include "report.h"

namespace headpond::bench {

// What each part of ingest costs on the same events: one thread, in memory, no broker.
struct StageCosts {
  double copy_and_decode = 0, fingerprint = 0, encode = 0;  // ns an event
  double parse_floor = 0, zstd_floor = 0;                   // ns an event
  double bytes = 0, bytes_floor = 0;                        // of the Parquet file; of `raw` in zstd alone; an event
};
StageCosts measure_stages(std::int64_t events, Report& report);

// What decoding and each column cost, of JSON and of OTLP. As the stages.
void measure_columns(std::int64_t events, Report& report);

// The whole engine against a broker: a real Kafka where tools/kafka and Java are here, else the client's own mock, and says which. Every
// table is held against `headpond audit --deep`; a figure whose table is not clean ends the bench.
void measure_ingest(std::int64_t events, Report& report);

// The same events as JSON and as OTLP, in one run. Only against a real Kafka.
void measure_ingest_otlp(std::int64_t events, Report& report);

// As measure_ingest() with one thing changed at a time: partitions, the producer's batches, the store. Only against a real Kafka.
void measure_ingest_axes(std::int64_t events, Report& report);

}  // namespace headpond::bench
