// The whole engine over a fake broker, clock and store, and what its table says. Only tests include this.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bronze/cursor.h"
#include "bronze/tail.h"
#include "env/fake.h"
#include "ingest/engine.h"
#include "ingest/fake_broker.h"

namespace headpond::ingest::testing {

inline constexpr std::int64_t kSecond = 1'000'000;

inline spec::Topology topology() {
  spec::Topology t;
  t.name = "acme";
  t.source.topic = "logs";
  t.source.brokers = "fake:1";
  t.bronze.ts = {.place = {}, .name = "ts", .from = {"/ts"}, .type = "timestamp", .default_value = {}};
  t.bronze.columns = {{.place = {}, .name = "tenant", .from = {"/tenant"}, .type = "string", .default_value = {}},
                      {.place = {}, .name = "status", .from = {"/status"}, .type = "int32", .default_value = {}}};
  return t;
}

struct Covered {
  std::int64_t rows = 0, gaps = 0, errors = 0;
  std::int64_t last = -1;
  std::vector<std::string> gap_kinds;
};

class IngestTest : public ::testing::Test {
 protected:
  World world() { return {store_, {"", "bronze/logs"}, clock_, random_, failpoints_, workers_}; }

  base::Result<void> open() {
    std::vector<std::unique_ptr<kafka::Source>> sources;
    for (int i = 0; i < lanes_; ++i) {
      auto source = std::make_unique<FakeSource>(broker_);
      if (i == 0) source_ = source.get();
      sources.push_back(std::move(source));
    }
    engine_.reset();
    auto engine = Engine::open_over(std::move(sources), topology_, world(), settings_);
    if (!engine) return std::unexpected(engine.error());
    engine_ = std::move(*engine);
    return {};
  }
  void must_open() {
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  // Lets `seconds` pass in small steps. The first error ends it.
  base::Result<void> run(double seconds) {
    for (std::int64_t t = 0; t < static_cast<std::int64_t>(seconds * 20); ++t) {
      clock_.advance(base::Duration::millis(50));
      const auto stepped = engine_->step();
      if (!stepped) return std::unexpected(stepped.error());
    }
    return {};
  }
  void must_run(double seconds) {
    const auto ran = run(seconds);
    ASSERT_TRUE(ran) << ran.error().message;
  }
  void produce(int partition, int count, std::int64_t age = 0) {
    for (int i = 0; i < count; ++i) broker_.produce(partition, R"({"tenant":"t1","status":200})", clock_.now().value() - age);
  }

  std::vector<bronze::Step> steps() {
    std::vector<bronze::Step> all;
    auto tail = bronze::Tail::open(memory_, "bronze/logs", base::Version(-1));
    EXPECT_TRUE(tail) << tail.error().message;
    while (true) {
      auto step = tail->next();
      EXPECT_TRUE(step) << step.error().message;
      if (!step || !*step) return all;
      all.push_back(std::move(**step));
    }
  }
  // What the table covers of a partition; every range must follow the one before.
  Covered covered(int partition, const std::string& source = "logs@0") {
    Covered sum;
    for (const auto& step : steps()) {
      for (const auto& batch : step.facts.batches) {
        if (batch.source != source) continue;
        bool here = false;
        for (const auto& range : batch.ranges) {
          if (range.partition.value() != partition) continue;
          EXPECT_EQ(range.first.value(), sum.last + 1);
          sum.last = range.last.value();
          sum.rows += range.rows;
          sum.gaps += range.gaps;
          sum.errors += range.errors;
          here = true;
        }
        if (here) sum.gap_kinds.insert(sum.gap_kinds.end(), batch.gap_kinds.begin(), batch.gap_kinds.end());
      }
    }
    return sum;
  }
  bronze::PartitionState state(int partition, const std::string& source = "logs@0") {
    return steps().back().clock.partitions().at({source, base::PartitionId(partition)});
  }

  env::FakeClock clock_;
  env::SeededRandom random_;
  env::FakeFailpoints failpoints_;
  env::MemoryStore memory_{&clock_};
  env::FaultyStore store_{memory_};
  spec::Topology topology_ = topology();
  Settings settings_;
  FakeBroker broker_{2};
  env::Workers workers_;
  int lanes_ = 1;
  FakeSource* source_ = nullptr;  // of the first lane
  std::unique_ptr<Engine> engine_;
};

}  // namespace headpond::ingest::testing
