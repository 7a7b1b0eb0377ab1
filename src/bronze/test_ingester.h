// An ingester without Kafka. Only tests include this.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "bronze/test_world.h"
#include "bronze/writer.h"

namespace headpond::bronze::testing {

inline constexpr int kPartitions = 3;

// A little ingester over an imaginary topic in which every partition holds offsets 0 … `records` - 1.
class Ingester {
 public:
  Ingester(TestWorld& world, env::ObjectStore& store, std::uint64_t seed, int records, std::vector<int> owned)
      : world_(world), store_(store), random_(seed), records_(records), owned_(std::move(owned)) {}

  // One commit; false once all is in the table. Errors leave it closed, so that the next call opens again.
  base::Result<bool> step() {
    auto done = try_step();
    if (!done) writer_.reset();
    return done;
  }

 private:
  base::Result<bool> try_step() {
    if (!writer_) {
      TRY(writer_, Writer::open(world_.spec, {}, {store_, world_.clock, random_, world_.failpoints}));
    }
    CommitRequest request;
    request.topic = Topic{"logs", "id", 0};
    for (int p = 0; p < kPartitions; ++p) request.partitions.push_back(part(p));
    columns::Batch batch(world_.spec.declared);
    batch.source = kSource;
    bool more = false;
    const auto& known = writer_->table_clock().partitions();
    for (const int p : owned_) {
      const auto it = known.find(part(p));
      const auto position = it == known.end() ? -1 : it->second.position.value();
      auto first = position + 1;
      const auto count = std::min<std::int64_t>(records_ - first, 1 + static_cast<std::int64_t>(random_.next() % 4));
      if (count <= 0) {
        request.clocks.push_back({part(p), world_.clock.now(), base::Offset(position)});
        continue;
      }
      more = true;
      const auto arrival =
          std::max(world_.clock.now(), it != known.end() && it->second.clock ? *it->second.clock : base::Micros(0)).value();
      const bool gap = random_.next() % 5 == 0;  // the record is a commit marker
      if (gap)
        writer_->declare_gap(kSource, base::PartitionId(p), base::Offset(first), base::Offset(first), "control", base::Micros(arrival));
      if (gap) ++first;
      const auto rows = static_cast<int>(count) - (gap ? 1 : 0);
      if (rows > 0) add_rows(batch, p, first, rows, arrival, 10);
    }
    TRY_VOID(writer_->append(batch));
    TRY_VOID(writer_->commit(request));
    return more;
  }

  TestWorld& world_;
  env::ObjectStore& store_;
  env::SeededRandom random_;
  std::int64_t records_;
  std::vector<int> owned_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace headpond::bronze::testing
