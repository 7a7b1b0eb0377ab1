// gold_table DIRECTORY SEED [SECONDS]: a lake with a random bronze table (late and future rows, errors, nulls, gaps, stalled partitions, a
// column added later, a second generation) and the gold table that dashboards made of it meanwhile: two engines by turns, ended at random
// writes, losing answers. gold_equals_bronze.py computes the same anew and compares. It begins ten minutes before a midnight, or at SECONDS
// since the epoch.
#include <cmath>
#include <iostream>
#include <limits>
#include <memory>
#include <random>

#include "bronze/writer.h"
#include "dashboard/engine.h"
#include "env/fake.h"
#include "env/real.h"

namespace {

using namespace headpond;
using base::Micros;
using base::Offset;
using base::PartitionId;
using columns::Type;

constexpr int kPartitions = 3;

class Lake {
 public:
  Lake(env::ObjectStore& store, std::string directory, std::uint32_t seed, Micros begin)
      : store_(store), directory_(std::move(directory)), dice_(seed), random_(seed), clock_(begin) {
    branch_.name = "ops";
    branch_.kind = spec::BranchKind::kDashboard;
    branch_.max_keys = roll(2) == 0 ? 5 : 1000;
    if (roll(3) == 0)
      branch_.rollups = {{.name = "by_service", .by = {"service"}, .measures = {"duration_ms", "status"}},
                         {.name = "total", .by = {}, .measures = {}}};
    for (const auto& [name, type] :
         {std::pair{"severity_number", "int32"}, {"service", "string"}, {"status", "int32"}, {"duration_ms", "double"}})
      topology_.bronze.columns.push_back({.place = {}, .name = name, .from = {}, .type = type, .default_value = std::nullopt});
  }

  bool run() {
    declared_ = {{"severity_number", Type::kInt32}, {"service", Type::kString}, {"duration_ms", Type::kDouble}};
    for (generation_ = 0; generation_ < 2; ++generation_) {
      if (generation_ == 1) declared_.push_back({"status", Type::kInt32});
      auto writer = bronze::Writer::open({"bronze/logs", "logs", declared_}, {}, {store_, clock_, random_, failpoints_});
      if (!fine(writer)) return false;
      for (int i = 0; i < 40; ++i) {
        if (!commit(**writer)) return false;
        clock_.advance(base::Duration::millis(static_cast<std::int64_t>(roll(30'000))));
        if (roll(3) == 0) dashboards(true);
      }
    }
    // At the end everything is in gold: one engine, no faults, past the next trigger.
    clock_.advance(base::Duration::minutes(2));
    for (int i = 0; i < 3; ++i) {
      if (!dashboards(false)) return false;
      clock_.advance(base::Duration::minutes(1));
    }
    return true;
  }

 private:
  static bool fine(const auto& result) {
    if (!result) std::cerr << result.error().message << "\n";
    return result.has_value();
  }
  std::uint32_t roll(std::uint32_t n) { return static_cast<std::uint32_t>(dice_()) % n; }
  base::SourcePartition partition(int p) const { return {"logs@" + std::to_string(generation_), PartitionId(p)}; }

  bool commit(bronze::Writer& writer) {
    bronze::CommitRequest request;
    request.topic = bronze::Topic{.name = "logs", .id = "id-" + std::to_string(generation_), .generation = generation_};
    for (int p = 0; p < kPartitions; ++p) request.partitions.push_back(partition(p));
    columns::Batch batch(declared_);
    batch.source = partition(0).source;
    for (int p = 0; p < kPartitions; ++p) {
      const auto& known = writer.table_clock().partitions();
      const auto found = known.find(partition(p));
      const auto state = found == known.end() ? writer.table_clock().start_state() : found->second;
      auto offset = state.position.value() + 1;
      auto arrival = std::max(clock_.now(), state.clock.value_or(Micros(0))).value();
      if (roll(8) == 0) {
        request.stalled.push_back({partition(p), "no leader"});
        continue;
      }
      if (roll(10) == 0)
        writer.declare_gap(partition(p).source, PartitionId(p), Offset(offset), Offset(offset), "control", Micros(arrival)), ++offset;
      for (auto n = roll(30); n > 0; --n, arrival += roll(300'000)) add_row(batch, p, offset++, arrival);
      request.clocks.push_back({partition(p), Micros(arrival), Offset(offset - 1)});
    }
    if (!batch.empty() && !fine(writer.append(batch))) return false;
    return fine(writer.commit(request));
  }

  void add_row(columns::Batch& batch, int p, std::int64_t offset, std::int64_t arrival) {
    const auto row = batch.begin_row("x").index;
    const auto lateness = roll(10) == 0 ? roll(600) : roll(8);
    batch.ts[row] = arrival - static_cast<std::int64_t>(lateness) * 1'000'000 + (roll(20) == 0 ? 240'000'000 : 0);
    batch.arrival[row] = arrival;
    batch.kafka_partition[row] = p;
    batch.kafka_offset[row] = offset;
    batch.record_index[row] = 0;
    batch.bytes[row] = 100 + static_cast<std::int32_t>(roll(400));
    if (roll(15) == 0) {
      batch.error[row] = "not JSON";
      return;
    }
    static constexpr const char* kServices[] = {"api", "checkout", "search \"x\"", "Ünïcode ☂", "back\\slash", "cart"};
    if (roll(12) != 0) batch.declared[0].set_int(row, roll(26));
    if (roll(12) != 0) batch.declared[1].set_string(row, kServices[std::min(roll(6), roll(6))]);
    if (roll(8) != 0) batch.declared[2].set_double(row, duration());
    if (batch.declared.size() > 3 && roll(4) != 0) batch.declared[3].set_int(row, 200 + 100 * static_cast<std::int64_t>(roll(4)));
  }

  double duration() {
    switch (roll(12)) {
      case 0: return 0;
      case 1: return -3.5;
      case 2: return std::numeric_limits<double>::infinity();
      case 3: return std::pow(2.0, static_cast<double>(roll(40)) / 8.0 - 2);  // right on a bucket's edge
      case 4: return 1e-9;
      default: return std::exp(static_cast<double>(roll(1000)) / 100.0);
    }
  }

  // Some steps of one engine or of two by turns. Without faults, false: an error.
  bool dashboards(bool faults) {
    env::FaultyStore faulty(store_);
    env::FakeFailpoints failpoints;
    std::unique_ptr<dashboard::Engine> engines[2];
    for (int i = 0; i < 2; ++i) {
      auto engine = dashboard::Engine::open(topology_, branch_,
                                            {.lake = faulty,
                                             .paths = {.lake = "", .bronze = "bronze/logs"},
                                             .clock = clock_,
                                             .random = random_,
                                             .failpoints = failpoints,
                                             .local_directory = directory_ + "/scratch" + std::to_string(i)},
                                            // Nobody waits, so that two engines do meet at a commit.
                                            {.lease = base::Duration(0), .lease_grace = base::Duration(0)});
      if (!fine(engine)) return false;
      engines[i] = std::move(*engine);
    }
    bool inside = false;
    std::size_t turn = 0;
    failpoints.on_reach = [&](std::string_view) {  // the rival commits while this one has fixed its range
      if (!faults || std::exchange(inside, true) || roll(3) != 0) return;
      (void)engines[1 - turn]->step();
    };
    if (faults && roll(2) == 0) faulty.fail_at(1 + roll(9), static_cast<env::Fault>(roll(4)));
    for (int i = 0; i < 4; ++i) {
      inside = false;
      turn = faults ? roll(2) : 0;
      const auto more = engines[turn]->step();
      if (!faults && !fine(more)) return false;
      clock_.advance(base::Duration::seconds(faults ? static_cast<std::int64_t>(roll(20)) : 1));
    }
    return true;
  }

  env::ObjectStore& store_;
  std::string directory_;
  std::mt19937 dice_;
  env::SeededRandom random_;
  env::FakeClock clock_;
  env::Failpoints failpoints_;
  spec::Topology topology_;
  spec::Branch branch_;
  std::vector<columns::ColumnSpec> declared_;
  int generation_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string directory = argv[1];
  const auto store = env::open_local_store(directory + "/lake");
  if (!store) return std::cerr << store.error().message << "\n", 1;
  const auto begin = base::Duration::seconds(argc > 3 ? std::stoll(argv[3]) : 1'795'046'400 - 600);
  return Lake(**store, directory, static_cast<std::uint32_t>(std::stoul(argv[2])), Micros(begin.value())).run() ? 0 : 1;
}
