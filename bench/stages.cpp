#include <zstd.h>

#include <cstdio>
#include <cstdlib>

#include "base/time.h"
#include "base/xxh3.h"
#include "bronze/audit.h"
#include "bronze/parquet_writer.h"
#include "events.h"
#include "ingest.h"
#include "need.h"

namespace headpond::bench {

namespace {

class Nowhere final : public env::WriteStream {
 public:
  base::Result<void> append(std::string_view) override { return {}; }
  base::Result<void> close() override { return {}; }
};

// Copies the payloads of `from` into `to`, and decodes each at once, as ingest does.
void copy_and_decode(decode::Decoder& decoder, const columns::Batch& from, columns::Batch& to) {
  to.reset();
  to.source = from.source;
  for (std::size_t i = 0; i < from.rows(); ++i) {
    const auto row = to.begin_row(from.payload[i]);
    to.arrival[i] = from.arrival[i];
    to.kafka_timestamp[i] = from.kafka_timestamp[i];
    to.kafka_partition[i] = from.kafka_partition[i];
    to.kafka_offset[i] = from.kafka_offset[i];
    const auto decoded = decoder.decode(to, row);
    to.ts[i] = decoded.ts ? *decoded.ts : to.arrival[i];
  }
}

std::uint64_t fingerprints(const columns::Batch& batch, std::size_t tenant) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    sum += bronze::row_fingerprint(batch.source, batch.kafka_partition[i], batch.kafka_offset[i], batch.record_index[i],
                                   batch.declared[tenant].strings[i], batch.bytes[i]);
    sum += base::xxh3(batch.payload[i]);
  }
  return sum;
}

std::size_t zstd_only(ZSTD_CCtx* context, std::string_view page, std::vector<char>& out) {
  out.resize(ZSTD_compressBound(page.size()));
  return ZSTD_compress2(context, out.data(), out.size(), page.data(), page.size());
}

}  // namespace

StageCosts measure_stages(std::int64_t events, Report& report) {
  const auto columns = default_columns();
  std::size_t tenant = 0;
  while (columns.declared[tenant].name != "tenant") ++tenant;
  const auto from = base::Micros(1'790'000'000'000'000);
  const auto options = options_for(events, from, from + base::Duration(events * 1'000'000 / 580'000));
  columns::Batch work(columns.declared);
  auto writer = bronze::ParquetWriter::create(columns.declared, {}, std::make_unique<Nowhere>());
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
  std::vector<char> scratch;

  StageCosts costs;
  double payload_bytes = 0;
  volatile std::uint64_t sink = 0;
  need(make_batches(options, columns, [&](columns::Batch& batch) -> base::Result<void> {
    costs.copy_and_decode += thread_cpu_ns([&] { copy_and_decode(*columns.decoder, batch, work); });
    costs.fingerprint += thread_cpu_ns([&] { sink = sink + fingerprints(work, tenant); });
    costs.encode += thread_cpu_ns([&] { need(writer->append(work, 0, work.rows())); });
    costs.parse_floor += thread_cpu_ns([&] { decode_all(*columns.decoder, batch); });
    costs.zstd_floor += thread_cpu_ns([&] { costs.bytes_floor += static_cast<double>(zstd_only(context, batch.raw_page(), scratch)); });
    payload_bytes += static_cast<double>(batch.raw_page().size() - 4 * batch.rows());
    return {};
  }));
  costs.encode += thread_cpu_ns([&] { costs.bytes = static_cast<double>(writer->finish()->file_bytes); });
  ZSTD_freeCCtx(context);

  const auto n = static_cast<double>(events);
  for (auto* value :
       {&costs.copy_and_decode, &costs.fingerprint, &costs.encode, &costs.parse_floor, &costs.zstd_floor, &costs.bytes, &costs.bytes_floor})
    *value /= n;
  report.section("ingest, stages on one thread (events of " + std::to_string(static_cast<int>(payload_bytes / n)) + " bytes, in memory)");
  report.stage("copy payload + decode", costs.copy_and_decode, "ns/event");
  report.stage("fingerprints", costs.fingerprint, "ns/event");
  report.stage("encode Parquet", costs.encode, "ns/event");
  report.stage("  of it zstd of raw (floor)", costs.zstd_floor, "ns/event");
  report.stage("parse only (floor)", costs.parse_floor, "ns/event");
  report.stage("Parquet", costs.bytes, "bytes/event");
  report.stage("  of it raw (floor)", costs.bytes_floor, "bytes/event");
  return costs;
}

}  // namespace headpond::bench
