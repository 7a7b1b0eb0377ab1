#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "bronze/parquet_column.h"
#include "env/real.h"
#include "events.h"
#include "ingest.h"
#include "need.h"

namespace headpond::bench {

namespace {

constexpr int kRounds = 7;
constexpr int kRowGroupPages = 16;

struct Stored {
  std::string payload;
  std::int64_t timestamp_us = 0;
  std::int32_t partition = 0;
};

// What a broker would hold, in the order it was sent.
class Collector final : public kafka::Producer {
 public:
  base::Result<std::size_t> produce(std::span<const kafka::Message> messages) override {
    for (const auto& message : messages) stored_.push_back({std::string(message.payload), message.timestamp_ms * 1000, message.partition});
    return messages.size();
  }
  base::Result<void> wait(base::Duration) override { return {}; }
  base::Result<void> flush(base::Duration) override { return {}; }
  std::int64_t delivered() const override { return static_cast<std::int64_t>(stored_.size()); }
  const std::vector<Stored>& stored() const { return stored_; }

 private:
  std::vector<Stored> stored_;
};

class Nowhere final : public env::WriteStream {
 public:
  base::Result<void> append(std::string_view) override { return {}; }
  base::Result<void> close() override { return {}; }
};

// Takes records as a lane does, and encodes each full batch column by column.
class Stages {
 public:
  explicit Stages(Columns columns)
      : columns_(std::move(columns)), batch_(columns_.declared), scratch_(1), pages_(bronze::bronze_columns(columns_.declared)) {
    batch_.source = "logs@0";
  }

  void take(const Stored& record) {
    if (!batch_.fits(record.payload.size()) || batch_.rows() == columns::Batch::kRowsMax) encode();
    const auto row = batch_.begin_row(record.payload);
    settle(record, row.index, columns_.decoder->decode(batch_, row));
    while (columns_.decoder->more()) {
      if (batch_.rows() == columns::Batch::kRowsMax) {
        encode();
        columns_.decoder->move_to(batch_, record.payload);
      }
      const auto next = batch_.begin_row_without_raw();
      settle(record, next, columns_.decoder->decode_next(batch_, next));
    }
    ++offset_;
  }
  void finish() {
    if (!batch_.empty()) encode(true);
  }

  std::int64_t rows = 0;
  std::map<std::string, double> encode_ns, bytes;

 private:
  void settle(const Stored& record, std::size_t row, const decode::Decoded& decoded) {
    batch_.arrival[row] = batch_.kafka_timestamp[row] = record.timestamp_us;
    batch_.kafka_partition[row] = record.partition;
    batch_.kafka_offset[row] = offset_;
    batch_.ts[row] = decoded.ts.value_or(record.timestamp_us);
  }
  void encode(bool last = false) {
    rows += static_cast<std::int64_t>(batch_.rows());
    const bool closes = ++pages_made_ % kRowGroupPages == 0 || last;
    for (auto& page : pages_)
      encode_ns[page->field().name] += thread_cpu_ns([&] {
        page->append(batch_, 0, batch_.rows(), scratch_);
        if (closes) bytes[page->field().name] += static_cast<double>(need(page->close(nowhere_, 0, scratch_)).compressed_bytes);
      });
    batch_.reset();
  }

  Columns columns_;
  columns::Batch batch_;
  bronze::PageScratch scratch_;
  std::vector<std::unique_ptr<bronze::PageColumn>> pages_;
  Nowhere nowhere_;
  std::int64_t offset_ = 0;
  int pages_made_ = 0;
};

std::vector<Stored> records_of(std::int64_t events, generate::Encoding encoding) {
  const auto from = base::Micros(1'790'000'000'000'000);
  auto options = options_for(events, from, from + base::Duration(events * 1'000'000 / 580'000));
  options.encoding = encoding;
  const auto clock = env::real_clock();
  Collector collector;
  need(generate::run(options, collector, *clock, [](const generate::Progress&) { return true; }));
  return collector.stored();
}

}  // namespace

void measure_columns(std::int64_t events, Report& report) {
  for (const auto& [name, encoding] :
       {std::pair{"json", generate::Encoding::kJson}, std::pair{"otlp_proto", generate::Encoding::kOtlpProto}}) {
    const auto records = records_of(events, encoding);
    std::map<std::string, std::vector<double>> costs;
    std::map<std::string, double> bytes;
    for (int round = 0; round < kRounds; ++round) {
      Stages stages(default_columns(name));
      const auto whole = thread_cpu_ns([&] {
        for (const auto& record : records) stages.take(record);
        stages.finish();
      });
      const auto n = static_cast<double>(stages.rows);
      double encode = 0;
      for (const auto& [column, ns] : stages.encode_ns) {
        costs["column " + column].push_back(ns / n);
        bytes["column " + column] = stages.bytes[column] / n;
        encode += ns / n;
      }
      costs["all columns"].push_back(encode);
      costs["copy payload + decode"].push_back(whole / n - encode);
    }
    report.section(std::string(name) + ": decode and each column, one thread, in memory, median of " + std::to_string(kRounds));
    for (auto& [stage, values] : costs) {
      std::ranges::sort(values);
      const auto size = bytes.contains(stage) ? std::to_string(bytes[stage]) + " bytes" : std::string();
      report.stage(stage, values[values.size() / 2], "ns/event", size);
    }
  }
}

}  // namespace headpond::bench
