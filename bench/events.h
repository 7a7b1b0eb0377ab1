// The events every figure is measured on: those of `headpond generate`, in the order a consumer of many partitions gets them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "decode/decoder.h"
#include "generate/generate.h"
#include "spec/topology.h"

namespace headpond::bench {

inline constexpr int kPartitions = 64;

// `events` events over [from, to), seeded: the same every time.
generate::Options options_for(std::int64_t events, base::Micros from, base::Micros to);

// A topology of nothing but one topic with default columns, as a user would write it.
std::string topology_text(const std::string& brokers, const std::string& topic, const std::string& encoding, const std::string& location);
spec::Topology topology(const std::string& brokers, const std::string& topic, const std::string& encoding);

// The default columns of a JSON topic, as a topology without a column list has them.
struct Columns {
  std::vector<columns::ColumnSpec> declared;
  std::unique_ptr<decode::Decoder> decoder;
};
Columns default_columns(const std::string& encoding = "json");

// The payloads of `options` without a broker: runs of a fetch's length of one partition after the other, offsets from 0. Calls `take` with
// each full batch (payloads and Kafka columns set, nothing decoded, arrival = record time), which may keep it by moving from it.
base::Result<void> make_batches(const generate::Options& options, const Columns& columns,
                                const std::function<base::Result<void>(columns::Batch&)>& take);

// Decodes every row of `batch`.
void decode_all(decode::Decoder& decoder, columns::Batch& batch);

}  // namespace headpond::bench
