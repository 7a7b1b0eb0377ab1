// A fake world with one bronze table, and batches made by hand. Only tests include this.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bronze/tail.h"
#include "bronze/writer.h"
#include "columns/batch.h"
#include "env/fake.h"

namespace headpond::bronze::testing {

inline constexpr char kSource[] = "logs@0";
inline constexpr std::int64_t kNow = 1'795'000'000'000'000;  // 2026-11-18T13:06:40Z, µs

inline base::SourcePartition part(int id, const std::string& source = kSource) {
  return {source, base::PartitionId(id)};
}
inline PartitionClock clock_at(int id, std::int64_t clock, std::int64_t position) {
  return {part(id), base::Micros(clock), base::Offset(position)};
}

inline std::vector<columns::ColumnSpec> declared_columns() {
  return {{"service", columns::Type::kString}, {"tenant", columns::Type::kString}, {"status", columns::Type::kInt32}};
}

// `count` rows of one partition from offset `first` on, `step` µs of arrival apart, appended to the batch.
inline void add_rows(columns::Batch& batch, int partition, std::int64_t first, int count, std::int64_t arrival, std::int64_t step = 1000) {
  batch.source = kSource;
  for (int i = 0; i < count; ++i) {
    const auto offset = first + i;
    const auto payload = R"({"p":)" + std::to_string(partition) + R"(,"o":)" + std::to_string(offset) + "}";
    const auto row = batch.begin_row(payload).index;
    batch.ts[row] = batch.arrival[row] = arrival + i * step;
    batch.kafka_partition[row] = partition;
    batch.kafka_offset[row] = offset;
    batch.record_index[row] = 0;
    batch.kafka_timestamp[row] = arrival + i * step;
    batch.bytes[row] = static_cast<std::int32_t>(payload.size());
    batch.declared[0].set_string(row, batch.arena.copy("svc" + std::to_string(offset % 2)));
    if (offset % 3 != 0) batch.declared[1].set_string(row, batch.arena.copy("tenant" + std::to_string(offset % 2)));
    if (offset % 5 == 4) batch.error[row] = batch.arena.copy("not JSON");
  }
}

// A store in memory whose behaviour a test bends by overriding.
class ForwardingStore : public env::ObjectStore {
 public:
  base::Result<std::string> get(const std::string& path) override { return inner.get(path); }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    return inner.get_range(path, offset, length);
  }
  base::Result<env::ObjectMeta> head(const std::string& path) override { return inner.head(path); }
  base::Result<void> put(const std::string& path, std::string_view bytes) override { return inner.put(path, bytes); }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override { return inner.put_if_absent(path, bytes); }
  base::Result<std::vector<env::ObjectMeta>> list(const std::string& prefix, const std::string& after = "",
                                                  std::size_t limit = 0) override {
    return inner.list(prefix, after, limit);
  }
  base::Result<void> remove(const std::string& path) override { return inner.remove(path); }
  base::Result<std::unique_ptr<env::WriteStream>> open_write(const std::string& path) override { return inner.open_write(path); }
  std::string describe() const override { return "bent://"; }
  std::optional<std::string> local_path(const std::string& path) const override { return inner.local_path(path); }

  env::MemoryStore inner;
};

// A store whose conditional writes are not conditional.
class CarelessStore final : public ForwardingStore {
 public:
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override { return inner.put(path, bytes); }
};

struct TestWorld {
  env::FakeClock clock{base::Micros(kNow)};
  env::SeededRandom random{7};
  env::FakeFailpoints failpoints;
  env::MemoryStore memory{&clock};
  env::FaultyStore store{memory};
  TableSpec spec{"bronze/logs", "acme-logs", declared_columns()};

  WriterWorld seams() { return {store, clock, random, failpoints}; }
  base::Result<std::unique_ptr<Writer>> open(const WriterOptions& options = {}) { return Writer::open(spec, options, seams()); }
};

// All versions of the table. Errors: those of Tail.
inline base::Result<std::vector<Step>> all_steps(env::ObjectStore& store, const std::string& root = "bronze/logs") {
  TRY(auto tail, Tail::open(store, root, base::Version(-1)));
  std::vector<Step> steps;
  while (true) {
    TRY(auto step, tail.next());
    if (!step) return steps;
    steps.push_back(std::move(*step));
  }
}

}  // namespace headpond::bronze::testing
