#include "bronze/stage.h"

#include <algorithm>

#include "bronze/table_rules.h"

namespace headpond::bronze {

Staged& TableStage::staged(const std::string& source) {
  if (!staged_) staged_.emplace(source, world_.tenant_column);
  HP_ASSERT(staged_->source() == source);  // one topic, one generation a commit
  return *staged_;
}

base::Result<void> TableStage::append(const columns::Batch& batch) {
  if (world_.dead)
    return base::fail(base::ErrorKind::kRetry, "this writer of " + place_of(world_.table) + " failed before; open the table again");
  if (batch.empty()) return {};
  staged(batch.source).add(batch);
  auto appended = files_->append(batch);
  if (!appended) world_.dead = true;
  return appended;
}

void TableStage::declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last,
                             const std::string& kind, base::Micros arrival) {
  staged(source).add_gap(partition, first, last, kind, arrival);
}

std::unique_ptr<Writer::Cut> TableStage::cut() {
  auto cut = std::make_unique<StagedCut>(std::move(staged_), std::move(*files_), world_);
  staged_.reset();
  begin_files();
  return cut;
}

base::Result<void> StagedCut::close_files() {
  if (files.empty()) return {};
  TRY_VOID(files.finish());
  world_.world.failpoints.reach("ingest.before_data_put");
  TRY_VOID(files.close());
  world_.world.failpoints.reach("ingest.after_data_put");
  return {};
}

base::Result<void> StagedCut::close() {
  if (std::exchange(closed_, true)) return {};
  auto done = close_files();
  if (!done) world_.dead = true;
  return done;
}

WholeCut::WholeCut(std::vector<std::unique_ptr<Writer::Cut>> cuts) : cuts_(std::move(cuts)) {
  for (const auto& each : cuts_) {
    auto& part = static_cast<StagedCut&>(*each).staged;
    if (!part) continue;
    if (staged_) {
      staged_->merge(std::move(*part));
    } else {
      staged_ = std::move(part);
    }
  }
}

base::Result<void> WholeCut::close() {
  for (auto& cut : cuts_) TRY_VOID(cut->close());
  return {};
}

std::vector<delta::AddFile> WholeCut::adds(base::Version version) const {
  std::vector<delta::AddFile> all;
  for (const auto& cut : cuts_) {
    auto some = static_cast<const StagedCut&>(*cut).files.adds(version);
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  std::ranges::stable_sort(all, {}, [](const auto& add) { return add.partition_values.at("ingest_date"); });
  return all;
}

std::int64_t WholeCut::file_bytes() const {
  std::int64_t sum = 0;
  for (const auto& cut : cuts_) sum += static_cast<const StagedCut&>(*cut).files.file_bytes();
  return sum;
}

}  // namespace headpond::bronze
