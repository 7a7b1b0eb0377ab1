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
  auto cut = std::make_unique<StagedCut>(std::move(staged_), std::move(*files_));
  staged_.reset();
  begin_files();
  return cut;
}

WholeCut::WholeCut(std::vector<std::unique_ptr<Writer::Cut>> cuts) {
  for (const auto& each : cuts) {
    auto& cut = static_cast<StagedCut&>(*each);
    files_.push_back(std::move(cut.files));
    if (!cut.staged) continue;
    if (staged_) {
      staged_->merge(std::move(*cut.staged));
    } else {
      staged_ = std::move(cut.staged);
    }
  }
}

base::Result<void> WholeCut::make_visible(env::Failpoints& failpoints) {
  if (std::ranges::all_of(files_, [](const auto& files) { return files.empty(); })) return {};
  for (auto& files : files_) TRY_VOID(files.finish());
  failpoints.reach("ingest.before_data_put");
  for (auto& files : files_) TRY_VOID(files.close());
  failpoints.reach("ingest.after_data_put");
  return {};
}

std::vector<delta::AddFile> WholeCut::adds(base::Version version) const {
  std::vector<delta::AddFile> all;
  for (const auto& files : files_) {
    auto some = files.adds(version);
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  std::ranges::stable_sort(all, {}, [](const auto& add) { return add.partition_values.at("ingest_date"); });
  return all;
}

std::int64_t WholeCut::file_bytes() const {
  std::int64_t sum = 0;
  for (const auto& files : files_) sum += files.file_bytes();
  return sum;
}

}  // namespace headpond::bronze
