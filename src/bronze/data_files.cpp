#include "bronze/data_files.h"

#include "base/time.h"

namespace headpond::bronze {
namespace {

std::int64_t day_of(std::int64_t arrival) {
  return base::floor_to(base::Micros(arrival), base::kDay).value() / base::kDay.value();
}

std::string day_text(std::int64_t day) {
  return base::format_day(base::Micros(day * base::kDay.value()));
}

}  // namespace

base::Result<DataFiles::File*> DataFiles::file_of(std::int64_t day) {
  if (const auto it = files_.find(day); it != files_.end()) return &it->second;
  File file;
  const auto a = world_.random.next();
  file.path = "ingest_date=" + day_text(day) + "/" + delta::make_uuid(a, world_.random.next()) + ".parquet";
  TRY(auto stream, world_.store.open_write(table_.path(file.path)));
  const ParquetOptions options{options_.row_group_rows_max, options_.row_group_bytes_max, options_.zstd_level};
  if (!scratch_) scratch_ = ParquetWriter::scratch(options_.zstd_level);
  file.writer = ParquetWriter::create(declared_, options, std::move(stream), scratch_);
  return &files_.emplace(day, std::move(file)).first->second;
}

base::Result<void> DataFiles::append(const columns::Batch& batch) {
  for (std::size_t first = 0; first < batch.rows();) {
    const auto day = day_of(batch.arrival[first]);
    const auto day_begins = day * base::kDay.value(), day_ends = day_begins + base::kDay.value();
    auto end = first + 1;
    while (end < batch.rows() && batch.arrival[end] >= day_begins && batch.arrival[end] < day_ends) ++end;
    TRY(auto* const file, file_of(day));
    const auto sent = file->writer->sent();
    TRY_VOID(file->writer->append(batch, first, end - first));
    if (file->writer->sent() > sent) world_.failpoints.reach("ingest.mid_multipart");
    first = end;
  }
  return {};
}

base::Result<void> DataFiles::finish() {
  for (auto& [day, file] : files_) {
    TRY(file.totals, file.writer->finish());
  }
  return {};
}

base::Result<void> DataFiles::close() {
  for (auto& [day, file] : files_) {
    auto done = file.writer->close();
    if (!done && done.error().kind == base::ErrorKind::kUnknown) {
      // Its name is ours alone: if it is there and whole, it is the one.
      const auto there = world_.store.head(table_.path(file.path));
      if (there && there->size == file.totals.file_bytes) continue;
    }
    if (!done) return base::fail(base::ErrorKind::kRetry, std::move(done.error().message));
  }
  modification_ms_ = world_.clock.now().value() / 1000;
  return {};
}

std::vector<delta::AddFile> DataFiles::adds(base::Version version) const {
  const auto v = std::to_string(version.value());
  std::vector<delta::AddFile> out;
  for (const auto& [day, file] : files_) {
    delta::AddFile add;
    add.path = file.path;
    add.partition_values = {{"ingest_date", day_text(day)}};
    add.size = file.totals.file_bytes;
    add.modification_ms = modification_ms_;
    add.stats = file.totals.delta_stats;
    add.tags = {{"headpond.versions", v + "-" + v}};
    out.push_back(std::move(add));
  }
  return out;
}

std::size_t DataFiles::memory() const {
  std::size_t sum = scratch_ ? ParquetWriter::memory_of(*scratch_) : 0;
  for (const auto& [day, file] : files_) sum += file.writer->memory();
  return sum;
}

std::int64_t DataFiles::file_bytes() const {
  std::int64_t sum = 0;
  for (const auto& [day, file] : files_) sum += file.totals.file_bytes;
  return sum;
}

}  // namespace headpond::bronze
