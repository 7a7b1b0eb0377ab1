// bronze_table DIRECTORY SEED [ROUNDS [cleaned]]: writes a random bronze table with two rival writers, gaps, siblings, tombstones,
// midnight, heartbeats, a column added later and a second generation (or continues the table that is there), its log checkpointed and
// cleaned between the rounds if asked for, and prints the audit's totals as JSON. bronze_readers.py compares them with what others read.
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <random>

#include "bronze/audit.h"
#include "bronze/cursor.h"
#include "bronze/log_upkeep.h"
#include "bronze/view.h"
#include "bronze/writer.h"
#include "env/fake.h"
#include "env/real.h"

namespace {

using namespace headpond;
using base::Micros;
using base::Offset;
using base::PartitionId;
using columns::Type;

constexpr int kPartitions = 4;
constexpr std::int64_t kMidnight = 1'795'046'400'000'000;  // 2026-11-19

class Table {
 public:
  // `scratch`: of the upkeep of its log; empty: there is none.
  Table(env::ObjectStore& store, std::uint32_t seed, std::string scratch)
      : store_(store), dice_(seed), random_(seed), clock_(Micros(kMidnight - 20'000'000)), scratch_(std::move(scratch)) {}

  bool write(int rounds) {
    bronze::TableSpec spec{"", "acme-logs", {{"service", Type::kString}, {"tenant", Type::kString}, {"status", Type::kInt32}}};
    const auto there = bronze::open_view(store_, "");
    for (generation_ = there ? 1 : 0; generation_ < 2; ++generation_) {
      if (generation_ == 1) spec.declared.push_back({"region", Type::kString});
      if (!open(spec)) return false;
      for (int i = 0; i < rounds; ++i)
        if (!round() || (!scratch_.empty() && i % 5 == 4 && !keep_log())) return false;
    }
    return true;
  }

 private:
  struct Side {
    std::unique_ptr<bronze::Writer> writer;
    std::vector<int> owned;
    bool staged = false;
    std::map<int, std::pair<std::int64_t, std::int64_t>> reached;  // partition → last offset, last arrival of what is staged
  };

  std::uint32_t roll(std::uint32_t n) { return static_cast<std::uint32_t>(dice_()) % n; }
  std::string source() const { return "logs@" + std::to_string(generation_); }
  bool round() {
    clock_.advance(base::Duration::millis(static_cast<std::int64_t>(roll(6000))));
    const bool both = roll(3) == 0;
    for (int w = 0; w < (both ? 2 : 1); ++w)
      if (!stage(static_cast<std::size_t>(both ? w : static_cast<int>(roll(2))))) return false;
    for (auto& side : sides_)
      if ((side.staged || roll(2) == 0) && !commit(side)) return false;
    return true;
  }
  bool keep_log() {
    for (const auto& side : sides_) {
      bronze::BranchStatus status;
      status.branch = "ingest-" + std::to_string(side.owned.front());
      status.kind = "ingest";
      status.state = "running";
      status.version = status.durable_version = side.writer->version();
      status.updated_at = clock_.now();
      if (!fine(bronze::publish_status(store_, "", status))) return false;
    }
    const auto kept = bronze::keep_log(store_, "",
                                       {.scratch = scratch_,
                                        .log_retention = base::Duration::seconds(roll(20)),
                                        .checkpoint_now = roll(3) != 0,
                                        .block_versions_max = 1 + roll(12)},
                                       {clock_, failpoints_});
    return fine(kept);
  }
  static bool fine(const auto& result) {
    if (!result) std::cerr << result.error().message << "\n";
    return result.has_value();
  }

  bool open(const bronze::TableSpec& spec) {
    declared_ = spec.declared;
    sides_.clear();
    for (const auto& owned : {std::vector<int>{0, 2}, std::vector<int>{1, 3}}) {
      auto writer = bronze::Writer::open(spec, {}, {store_, clock_, random_, failpoints_});
      if (!fine(writer)) return false;
      sides_.push_back({std::move(*writer), owned, false, {}});
    }
    return true;
  }

  bool stage(std::size_t which) {
    auto& side = sides_[which];
    if (side.staged) return true;
    columns::Batch batch(declared_);
    batch.source = source();
    for (const int p : side.owned) {
      const auto& known = side.writer->table_clock().partitions();
      const auto it = known.find({source(), PartitionId(p)});
      const auto start = it == known.end() ? side.writer->table_clock().start_state() : it->second;
      auto offset = start.position.value() + 1;
      auto arrival = std::max(clock_.now(), start.clock.value_or(Micros(0))).value();
      for (auto n = roll(40); n > 0; --n) {
        if (roll(12) == 0) {  // a gap must be declared before the rows behind it are appended
          if (!batch.empty() && !fine(side.writer->append(batch))) return false;
          batch.reset();
          side.writer->declare_gap(source(), PartitionId(p), Offset(offset), Offset(offset + 1), roll(2) == 0 ? "control" : "aborted",
                                   Micros(arrival));
          offset += 2;
        }
        for (std::uint32_t sibling = 0, siblings = roll(8) == 0 ? 3 : 1; sibling < siblings; ++sibling)
          add_row(batch, p, offset, static_cast<std::int32_t>(sibling), arrival);
        side.reached[p] = {offset++, arrival};
        arrival += roll(400'000);
      }
    }
    if (!fine(side.writer->append(batch))) return false;
    side.staged = true;
    return true;
  }

  void add_row(columns::Batch& batch, int partition, std::int64_t offset, std::int32_t index, std::int64_t arrival) {
    std::string payload(roll(300), 'x');
    for (auto& c : payload) c = static_cast<char>(roll(256));
    const bool tombstone = index == 0 && roll(20) == 0;
    const auto row = index > 0 || tombstone ? batch.begin_row_without_raw() : batch.begin_row(payload).index;
    batch.ts[row] = arrival - roll(5'000'000);
    batch.arrival[row] = arrival;
    batch.kafka_partition[row] = partition;
    batch.kafka_offset[row] = offset;
    batch.record_index[row] = index;
    batch.bytes[row] = index > 0 || tombstone ? static_cast<std::int32_t>(roll(9)) : static_cast<std::int32_t>(payload.size());
    if (roll(3) != 0) batch.declared[0].set_string(row, "checkout");
    static constexpr const char* kTenants[] = {"", "acme", "Ünïcode ☂", "a-tenant-with-a-rather-long-name-that-goes-on-and-on"};
    if (roll(5) != 0) batch.declared[1].set_string(row, kTenants[roll(4)]);
    if (roll(2) == 0) batch.declared[2].set_int(row, 200 + static_cast<std::int64_t>(roll(400)));
    if (roll(10) == 0) batch.error[row] = "not JSON";
  }

  bool commit(Side& side) {
    bronze::CommitRequest request;
    request.topic = bronze::Topic{"logs", "id-" + std::to_string(generation_), generation_};
    for (int p = 0; p < kPartitions; ++p) request.partitions.push_back({source(), PartitionId(p)});
    for (const int p : side.owned) {
      const base::SourcePartition id{source(), PartitionId(p)};
      const auto known = side.writer->table_clock().partitions().find(id);
      const auto it = side.reached.find(p);
      const auto position = it != side.reached.end()                                 ? it->second.first
                            : known == side.writer->table_clock().partitions().end() ? -1
                                                                                     : known->second.position.value();
      const auto last = it != side.reached.end() ? it->second.second : 0;
      request.clocks.push_back({id, Micros(std::max(last, clock_.now().value())), Offset(position)});
    }
    if (!fine(side.writer->commit(request))) return false;
    side.staged = false;
    side.reached.clear();
    return true;
  }

  env::ObjectStore& store_;
  std::mt19937 dice_;
  env::SeededRandom random_;
  env::FakeClock clock_;
  env::Failpoints failpoints_;
  std::vector<columns::ColumnSpec> declared_;
  std::vector<Side> sides_;
  int generation_ = 0;
  std::string scratch_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto store = env::open_local_store(argv[1]);
  if (!store) return std::cerr << store.error().message << "\n", 1;
  const auto scratch = argc > 4 ? std::string(argv[1]) + "/_scratch" : "";
  if (!Table(**store, static_cast<std::uint32_t>(std::stoul(argv[2])), scratch).write(argc > 3 ? std::stoi(argv[3]) : 14)) return 1;
  if (!scratch.empty()) std::filesystem::remove_all(scratch);
  const auto report = bronze::audit(**store, "", {});
  if (!report) return std::cerr << report.error().message << "\n", 1;
  for (const auto& finding : report->findings) std::cerr << finding.what << ": " << finding.where << "\n";
  std::printf("{\"version\":%lld,\"rows\":%lld,\"partitions\":[", static_cast<long long>(report->version.value()),
              static_cast<long long>(report->rows));
  const char* comma = "";
  for (const auto& [id, t] : report->partitions) {
    std::printf(
        "%s{\"source\":\"%s\",\"partition\":%d,\"last\":%lld,\"rows\":%lld,\"bytes\":%lld,\"errors\":%lld,\"gaps\":%lld,\"fingerprint\":\"%"
        "016llx\","
        "\"payload_fingerprint\":\"%016llx\"}",
        comma, id.source.c_str(), id.partition.value(), static_cast<long long>(t.last.value()), static_cast<long long>(t.rows),
        static_cast<long long>(t.bytes), static_cast<long long>(t.errors), static_cast<long long>(t.gaps),
        static_cast<unsigned long long>(t.fingerprint), static_cast<unsigned long long>(t.payload_fingerprint));
    comma = ",";
  }
  std::printf("]}\n");
  return report->clean() ? 0 : 1;
}
