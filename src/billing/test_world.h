// A lake with a real bronze table in a local directory, behind a store that can fail. Only tests include this.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "billing/billing.h"
#include "bronze/writer.h"
#include "env/fake.h"
#include "env/real.h"

namespace headpond::billing::testing {

inline base::Micros at(const std::string& text) {
  return *base::parse_rfc3339(text);
}
inline base::Micros day(const std::string& text) {
  return *base::parse_day(text);
}
inline base::SourcePartition part(int id, const std::string& source = "logs@0") {
  return {source, base::PartitionId(id)};
}

struct Row {
  int partition = 0;
  base::Micros arrival;
  std::optional<std::string> tenant = "acme";
  std::optional<std::string> service = "api";
  int bytes = 100;
  bool error = false;
};

inline constexpr char kPrices[] = R"(version: 1
currency: USD
prices:
  - per_gb: 500
    per_million_events: 1000
    tenants:
      globex: {per_gb: [{up_to: 0.000001, price: 1000}, {price: 2000}], included: {gb: 0.0000005}}
)";

class TestLake {
 public:
  TestLake() : directory(std::filesystem::temp_directory_path() / ("headpond-billing-" + std::to_string(::getpid()) + "-" + name())) {
    std::filesystem::remove_all(directory);
    local = std::move(*env::open_local_store((directory / "lake").string()));
    store = std::make_unique<env::FaultyStore>(*local);
    set_prices(kPrices);
    settings.topology = "acme-logs";
    settings.branch = "billing-capacity";
    settings.promise_s = 86400;
  }
  ~TestLake() { std::filesystem::remove_all(directory); }

  World world() {
    return {.lake = *store,
            .paths = {.lake = "", .bronze = "bronze/logs"},
            .clock = clock,
            .random = random,
            .failpoints = failpoints,
            .local_directory = (directory / "scratch").string()};
  }
  void set_prices(const std::string& text) {
    auto loaded = spec::load_price_book(text, "prices.yaml");
    ASSERT_TRUE(loaded.book) << loaded.issues[0].message;
    settings.prices = std::move(*loaded.book);
  }

  // One commit of these rows (rising arrival within a partition), with both partitions' clocks at `clocks` where given.
  void commit(const std::vector<Row>& rows, std::map<int, base::Micros> clocks = {}, std::vector<bronze::Stalled> stalled = {}) {
    bronze::WriterWorld seams{*local, clock, random, failpoints};
    if (!writer_) {
      auto opened = bronze::Writer::open({"bronze/logs", "acme-logs", kDeclared}, {}, seams);
      ASSERT_TRUE(opened) << opened.error().message;
      writer_ = std::move(*opened);
    }
    columns::Batch batch(kDeclared);
    batch.source = "logs@0";
    for (const auto& row : rows) add(batch, row);
    if (!rows.empty()) {
      const auto appended = writer_->append(batch);
      ASSERT_TRUE(appended) << appended.error().message;
    }
    bronze::CommitRequest request;
    if (first_) request.topic = bronze::Topic{"logs", "id", 0, broker_clock};
    first_ = false;
    request.partitions = {part(0), part(1)};
    for (const auto& [id, time] : clocks) request.clocks.push_back({part(id), time, base::Offset(next_[id] - 1)});
    request.stalled = std::move(stalled);
    const auto done = writer_->commit(request);
    ASSERT_TRUE(done) << done.error().message;
  }

  // Goes on with a table that is there already; `next` offset by partition.
  void resume(std::map<int, std::int64_t> next) {
    next_ = std::move(next);
    first_ = false;
  }

  // Two days of rows of three tenants in two partitions, both closed, and some of a third day.
  void fill_two_days() {
    for (const auto* date : {"2026-11-23", "2026-11-24"}) {
      std::vector<Row> rows;
      for (int i = 0; i < 600; ++i) {
        const auto arrival = day(date) + base::Duration::seconds(i * 140);
        rows.push_back({.partition = i % 2,
                        .arrival = arrival,
                        .tenant = i % 5 == 0 ? std::nullopt : std::optional<std::string>(i % 3 == 0 ? "globex" : "acme"),
                        .service = i % 7 == 0 ? std::nullopt : std::optional<std::string>(i % 2 == 0 ? "api" : "web"),
                        .bytes = 100 + i,
                        .error = i % 50 == 0});
      }
      commit({rows.begin(), rows.begin() + 250});
      commit({rows.begin() + 250, rows.end()});
    }
    commit({{.partition = 0, .arrival = at("2026-11-25T00:00:05Z")}}, {{0, at("2026-11-25T00:00:10Z")}, {1, at("2026-11-25T00:00:10Z")}});
  }

  std::string read(const std::string& path) {
    const auto bytes = local->get(path);
    EXPECT_TRUE(bytes) << bytes.error().message;
    return bytes.value_or("");
  }
  // Every object of the branch that is there to stay, by path: no lease.
  std::map<std::string, std::string> branch_objects() {
    std::map<std::string, std::string> out;
    const auto listed = local->list("billing/");
    EXPECT_TRUE(listed);
    for (const auto& object : *listed)
      if (object.path.find("/_leases/") == std::string::npos) out[object.path] = read(object.path);
    return out;
  }

  std::filesystem::path directory;
  env::FakeClock clock{at("2026-11-25T03:00:00Z")};
  env::SeededRandom random{11};
  env::FakeFailpoints failpoints;
  std::unique_ptr<env::ObjectStore> local;
  std::unique_ptr<env::FaultyStore> store;
  Settings settings;
  bool broker_clock = false;

 private:
  static std::string name() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    return std::string(info->test_suite_name()) + "-" + info->name();
  }

  void add(columns::Batch& batch, const Row& row) {
    const auto payload = R"({"n":)" + std::to_string(next_[row.partition]) + "}";
    const auto i = batch.begin_row(payload).index;
    batch.ts[i] = batch.arrival[i] = batch.kafka_timestamp[i] = row.arrival.value();
    batch.kafka_partition[i] = row.partition;
    batch.kafka_offset[i] = next_[row.partition]++;
    batch.record_index[i] = 0;
    batch.bytes[i] = row.bytes;
    if (row.service) batch.declared[0].set_string(i, batch.arena.copy(*row.service));
    if (row.tenant) batch.declared[1].set_string(i, batch.arena.copy(*row.tenant));
    if (row.error) batch.error[i] = batch.arena.copy("not JSON");
  }

  inline static const std::vector<columns::ColumnSpec> kDeclared = {{"service", columns::Type::kString},
                                                                    {"tenant", columns::Type::kString}};
  std::unique_ptr<bronze::Writer> writer_;
  std::map<int, std::int64_t> next_;
  bool first_ = true;
};

}  // namespace headpond::billing::testing
