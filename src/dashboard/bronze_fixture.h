// A bronze table for tests, written by DuckDB and by hand: rows as a test names them, facts as ingest would state them.
// Only tests include this.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "bronze/facts.h"
#include "delta/log.h"
#include "delta/upload.h"
#include "env/fake.h"
#include "env/real.h"
#include "spec/topology.h"
#include "sql/engine.h"

namespace headpond::dashboard {

inline base::Micros at(const std::string& time) {
  return *base::parse_rfc3339("2026-11-25T" + time + "Z");
}

struct Row {
  int partition = 0;
  base::Micros ts;
  std::string service = "api";
  int severity_number = 9;
  int status = 200;
  double duration_ms = 10;
  int bytes = 100;
  base::Micros arrival = base::Micros(-1);  // ts unless set
};

class BronzeFixture {
 public:
  static constexpr const char* kRoot = "bronze/logs";
  static constexpr int kPartitions = 2;

  BronzeFixture()
      : directory((std::filesystem::temp_directory_path() / ("headpond-dashboard-" + std::to_string(::getpid()) + "-" +
                                                             ::testing::UnitTest::GetInstance()->current_test_info()->name()))
                      .string()) {
    std::filesystem::remove_all(directory);
    store = std::move(*env::open_local_store(directory + "/lake"));
    sql = std::move(*sql::Engine::open({}));
    topology.name = "test";
    for (const auto& [name, type] :
         {std::pair{"severity_number", "int32"}, {"service", "string"}, {"status", "int32"}, {"duration_ms", "double"}})
      topology.bronze.columns.push_back({.place = {}, .name = name, .from = {}, .type = type, .default_value = std::nullopt});
    spec::Consumer consumer;
    consumer.name = "live-ops";
    consumer.tier = 2;
    consumer.freshness = base::Duration::minutes(5);
    topology.consumers.push_back(consumer);
    branch.name = "ops";
    branch.kind = spec::BranchKind::kDashboard;
    branch.serves = {"live-ops"};
  }
  ~BronzeFixture() { std::filesystem::remove_all(directory); }

  // One version: these rows, and clocks of the partitions (all of them at `proven`, unless `clocks` says otherwise).
  void commit(const std::vector<Row>& rows, base::Micros proven, std::map<int, base::Micros> clocks = {}, std::vector<int> stalled = {}) {
    delta::Table table(*store, kRoot);
    delta::Commit commit;
    bronze::CommitFacts facts;
    if (version_ < 0) first(commit, facts);
    if (!rows.empty()) {
      commit.adds.push_back(write_file(table, rows));
      facts.batches.push_back(ranges(rows));
    }
    for (int p = 0; p < kPartitions; ++p) {
      if (!clocks.contains(p)) clocks[p] = proven;
      if (std::ranges::find(stalled, p) != stalled.end())
        facts.stalled.push_back({partition(p), "no leader"});
      else
        facts.clocks.push_back({partition(p), clocks[p], base::Offset(next_[p] - 1)});
    }
    commit.timestamp_ms = proven.value() / 1000;
    commit.operation = "WRITE";
    commit.headpond = bronze::to_json(facts);
    const auto put = table.put(base::Version(++version_), commit);
    ASSERT_TRUE(put) << put.error().message;
  }

  std::string directory;
  std::unique_ptr<env::ObjectStore> store;
  std::unique_ptr<sql::Engine> sql;
  env::FakeClock clock{at("12:00:00")};
  env::SeededRandom random;
  spec::Topology topology;
  spec::Branch branch;

 private:
  static base::SourcePartition partition(int p) { return {"logs@0", base::PartitionId(p)}; }

  void first(delta::Commit& commit, bronze::CommitFacts& facts) {
    commit.protocol = delta::Protocol{};
    commit.protocol->min_writer_version = 7;
    commit.protocol->writer_features = {"headpond"};
    delta::Metadata metadata;
    metadata.id = delta::make_uuid(1, 2);
    metadata.name = "logs";
    for (const auto& [name, type] : {std::pair{"ts", "timestamp"},
                                     {"arrival", "timestamp"},
                                     {"severity_number", "integer"},
                                     {"service", "string"},
                                     {"status", "integer"},
                                     {"duration_ms", "double"},
                                     {"bytes", "integer"},
                                     {"source", "string"},
                                     {"kafka_partition", "integer"},
                                     {"kafka_offset", "long"},
                                     {"record_index", "integer"},
                                     {"error", "string"},
                                     {"raw", "binary"},
                                     {"ingest_date", "date"}})
      metadata.schema.push_back({name, type});
    metadata.partition_columns = {"ingest_date"};
    commit.metadata = metadata;
    facts.topic = bronze::Topic{.name = "logs", .id = "abc", .generation = 0};
    for (int p = 0; p < kPartitions; ++p) facts.partitions.push_back(partition(p));
  }

  delta::AddFile write_file(delta::Table& table, const std::vector<Row>& rows) {
    std::string values;
    base::Micros ts_min = rows[0].ts, ts_max = ts_min, arrival_min = arrival(rows[0]), arrival_max = arrival_min;
    std::map<int, std::int64_t> next = next_;
    for (const auto& row : rows) {
      values += (values.empty() ? "(" : ", (") + std::to_string(row.ts.value()) + ", " + std::to_string(arrival(row).value()) + ", " +
                std::to_string(row.severity_number) + ", " + sql::quote_literal(row.service) + ", " + std::to_string(row.status) + ", " +
                std::to_string(row.duration_ms) + ", " + std::to_string(row.bytes) + ", " + std::to_string(row.partition) + ", " +
                std::to_string(next[row.partition]++) + ")";
      ts_min = std::min(ts_min, row.ts), ts_max = std::max(ts_max, row.ts);
      arrival_min = std::min(arrival_min, arrival(row)), arrival_max = std::max(arrival_max, arrival(row));
    }
    const auto local = directory + "/rows.parquet";
    const auto copied = sql->query(
        "COPY (SELECT make_timestamp(t)::TIMESTAMPTZ ts, make_timestamp(a)::TIMESTAMPTZ arrival, sev::INTEGER severity_number, nullif(svc, "
        "'') service,"
        " st::INTEGER status, nullif(d::DOUBLE, -1) duration_ms, b::INTEGER bytes, 'logs@0' AS source, p::INTEGER kafka_partition, "
        "o::BIGINT "
        "kafka_offset,"
        " 0::INTEGER record_index, NULL::VARCHAR AS error, 'x'::BLOB AS raw FROM (VALUES " +
        values + ") v(t, a, sev, svc, st, d, b, p, o)) TO " + sql::quote_literal(local) + " (FORMAT parquet)");
    EXPECT_TRUE(copied) << copied.error().message;
    const auto day = base::format_day(arrival_min);
    auto add = delta::upload_file(table, local, "ingest_date=" + day + "/" + std::to_string(version_ + 1) + ".parquet",
                                  {{"ingest_date", day}}, static_cast<std::int64_t>(rows.size()), 0);
    EXPECT_TRUE(add) << add.error().message;
    const auto t = [](base::Micros m) { return "\"" + base::format_rfc3339(m) + "\""; };
    add->stats = "{\"numRecords\":" + std::to_string(rows.size()) + ",\"minValues\":{\"ts\":" + t(ts_min) +
                 ",\"arrival\":" + t(arrival_min) + "},\"maxValues\":{\"ts\":" + t(ts_max) + ",\"arrival\":" + t(arrival_max) + "}}";
    add->tags["headpond.versions"] = std::to_string(version_ + 1) + "-" + std::to_string(version_ + 1);
    return *add;
  }

  bronze::WriterBatch ranges(const std::vector<Row>& rows) {
    bronze::WriterBatch batch;
    batch.txn_id = "t" + std::to_string(version_);
    batch.writer = "test";
    batch.source = "logs@0";
    std::map<std::pair<int, std::int64_t>, std::int64_t> counts;
    for (const auto& row : rows) ++counts[{row.partition, arrival(row).value() / base::kQuarterHour.value()}];
    for (const auto& [where, n] : counts) {
      auto& next = next_[where.first];
      batch.ranges.push_back({.partition = base::PartitionId(where.first),
                              .quarter = where.second,
                              .first = base::Offset(next),
                              .last = base::Offset(next + n - 1),
                              .rows = n,
                              .bytes = 0,
                              .errors = 0,
                              .gaps = 0,
                              .fingerprint = 0,
                              .payload_fingerprint = 0});
      next += n;
    }
    return batch;
  }

  static base::Micros arrival(const Row& row) { return row.arrival.value() < 0 ? row.ts : row.arrival; }

  std::int64_t version_ = -1;
  std::map<int, std::int64_t> next_;
};

}  // namespace headpond::dashboard
