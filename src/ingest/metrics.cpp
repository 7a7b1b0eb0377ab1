#include "ingest/metrics.h"

#include <utility>

namespace headpond::ingest {
namespace {

using base::MetricFamily;
using Kind = MetricFamily::Kind;

const std::vector<double> kReadableBounds = {0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800};
const std::vector<double> kStageBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

double number(std::int64_t n) {
  return static_cast<double>(n);
}

MetricFamily single(std::string name, std::string help, Kind kind, double value) {
  return {.name = std::move(name), .help = std::move(help), .kind = kind, .samples = {{{}, value}}};
}

}  // namespace

Metrics::Metrics(std::string topic)
    : topic_(std::move(topic)), readable_(kReadableBounds), encode_(kStageBounds), files_(kStageBounds), log_(kStageBounds) {}

void Metrics::note(const Committer::Done& done, base::Micros now) {
  if (!done.committed) return;
  ++commits_;
  committed_rows_ += done.result.rows;
  committed_bytes_ += done.result.bytes;
  file_bytes_ += done.result.file_bytes;
  encode_.observe(done.encode_ms / 1000);
  files_.observe(done.result.files_ms / 1000);
  log_.observe(done.result.log_ms / 1000);
  for (const auto& [produced, rows] : done.produced) readable_.observe(std::max(0.0, (now - produced).to_seconds()), rows);
}

std::vector<MetricFamily> Metrics::families(const Lanes& lanes, std::int64_t memory_budget) const {
  const auto counts = lanes.counts();
  std::vector<MetricFamily> all;
  all.push_back(single("headpond_ingest_rows_total", "Rows in published commits.", Kind::kCounter, number(committed_rows_)));
  all.push_back(single("headpond_ingest_payload_bytes_total", "Payload bytes of those rows.", Kind::kCounter, number(committed_bytes_)));
  all.push_back(
      single("headpond_ingest_file_bytes_total", "Bytes of the Parquet files they were written to.", Kind::kCounter, number(file_bytes_)));
  all.push_back(single("headpond_ingest_commits_total", "Published commits, heartbeats included.", Kind::kCounter, number(commits_)));
  all.push_back({.name = "headpond_ingest_errors_total",
                 .help = "Rows read with a reservation: undecodable, a cell that does not fit its column, a time too far ahead.",
                 .kind = Kind::kCounter,
                 .samples = {{{{"reason", "malformed"}}, number(counts.errors)},
                             {{{"reason", "type_mismatch"}}, number(counts.mismatches)},
                             {{{"reason", "future_ts"}}, number(counts.future_ts)},
                             {{{"reason", "future_kafka_timestamp"}}, number(counts.future_timestamps)}}});
  all.push_back(single("headpond_ingest_interruptions_total", "Fetch sessions the broker or the network broke off.", Kind::kCounter,
                       number(counts.interruptions)));
  MetricFamily lag{.name = "headpond_ingest_lag_records",
                   .help = "Records of a partition the broker has and the table does not, where the broker has said so.",
                   .kind = Kind::kGauge,
                   .samples = {}};
  for (const auto& partition : lanes.partitions()) {
    if (partition.log_end < 0) continue;
    const auto in_table = partition.table_position.value() + 1;
    lag.samples.push_back({{{"topic", topic_}, {"partition", std::to_string(partition.id.value())}},
                           number(std::max<std::int64_t>(0, partition.log_end - in_table))});
  }
  all.push_back(std::move(lag));
  all.push_back({.name = "headpond_ingest_readable_seconds",
                 .help = "From a record's Kafka timestamp to the commit that makes it readable, by record (to 16 ms).",
                 .kind = Kind::kHistogram,
                 .samples = {},
                 .histograms = {{{}, readable_}}});
  all.push_back({.name = "headpond_ingest_commit_seconds",
                 .help = "A commit's time by stage: rows still to be encoded, files made visible, log entry put.",
                 .kind = Kind::kHistogram,
                 .samples = {},
                 .histograms = {{{{"stage", "encode"}}, encode_}, {{{"stage", "files"}}, files_}, {{{"stage", "log"}}, log_}}});
  if (memory_budget > 0)
    all.push_back(single("headpond_ingest_memory_budget_bytes", "What ingest may use; compare with process_resident_memory_bytes.",
                         Kind::kGauge, number(memory_budget)));
  return all;
}

}  // namespace headpond::ingest
