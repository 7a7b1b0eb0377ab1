#include "lake.h"

#include <algorithm>
#include <filesystem>

#include "base/time.h"
#include "env/real.h"
#include "events.h"
#include "need.h"

namespace headpond::bench {

namespace {

constexpr const char* kSource = "logs@0";

// The rows of `from`, decoded, without their payloads.
columns::Batch without_raw(const columns::Batch& from, const std::vector<columns::ColumnSpec>& declared) {
  columns::Batch to(declared);
  to.source = kSource;
  for (std::size_t i = 0; i < from.rows(); ++i) {
    const auto row = to.begin_row_without_raw();
    to.ts[row] = from.ts[i];
    to.arrival[row] = from.arrival[i];
    to.kafka_timestamp[row] = from.kafka_timestamp[i];
    to.kafka_partition[row] = from.kafka_partition[i];
    to.kafka_offset[row] = from.kafka_offset[i];
    to.bytes[row] = from.bytes[i];
    to.pattern_id[row] = from.pattern_id[i];
    to.pattern_id_valid[row] = from.pattern_id_valid[i];
    for (std::size_t c = 0; c < declared.size(); ++c) {
      const auto& cells = from.declared[c];
      if (cells.valid[i] == 0) continue;
      if (cells.type == columns::Type::kString)
        to.declared[c].set_string(row, to.arena.copy(cells.strings[i]));
      else if (cells.type == columns::Type::kDouble)
        to.declared[c].set_double(row, cells.doubles[i]);
      else
        to.declared[c].set_int(row, cells.ints[i]);
    }
  }
  return to;
}

std::size_t index_of(const std::vector<columns::ColumnSpec>& declared, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::find(declared, name, &columns::ColumnSpec::name) - declared.begin());
}

}  // namespace

FullLoad::FullLoad(base::Micros start, std::string directory)
    : temporary_(directory.empty() ? std::make_unique<TemporaryDirectory>() : nullptr),
      directory_(temporary_ ? temporary_->path() : std::move(directory)),
      clock_(start),
      store_(need(env::open_local_store(paths().lake))),
      random_(env::real_random()) {
  const auto columns = default_columns();
  declared_ = columns.declared;
  need(make_batches(options_for(kRowsPerSecond, start, start + base::kSecond), columns, [&](columns::Batch& batch) -> base::Result<void> {
    decode_all(*columns.decoder, batch);
    for (std::size_t i = 0; i < batch.rows(); ++i) ++rows_[batch.kafka_partition[i]];
    second_.push_back(without_raw(batch, declared_));
    return {};
  }));
  const bronze::TableSpec table{.root = paths().bronze, .name = "logs", .declared = declared_};
  writer_ = need(bronze::Writer::open(table, {}, {*store_, clock_, *random_, failpoints_}));
}

void FullLoad::shift(columns::Batch& batch) {
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    batch.kafka_offset[i] += rows_[batch.kafka_partition[i]];
    for (auto* column : {&batch.ts, &batch.arrival, &batch.kafka_timestamp}) (*column)[i] += base::kSecond.value();
  }
}

void FullLoad::append_second() {
  for (auto& batch : second_) need(writer_->append(batch));
  if (restore_) restore_();
  restore_ = nullptr;
  for (auto& batch : second_) shift(batch);
  ++seconds_;
}

void FullLoad::commit() {
  clock_.set(clock_.now() + base::kSecond);
  bronze::CommitRequest request;
  for (const auto& [partition, rows] : rows_) {
    const base::SourcePartition id{kSource, base::PartitionId(partition)};
    request.partitions.push_back(id);
    request.clocks.push_back({id, clock_.now(), base::Offset(rows * seconds_ - 1)});
  }
  if (seconds_ == 1) request.topic = bronze::Topic{.name = "logs", .id = "", .generation = 0};
  need(writer_->commit(request));
}

base::Micros FullLoad::plant(const std::string& tenant, std::uint64_t random) {
  auto& batch = second_[random % second_.size()];
  const auto row = (random >> 32) % batch.rows();
  auto& tenants = batch.declared[index_of(declared_, "tenant")];
  auto& severities = batch.declared[index_of(declared_, "severity_number")];
  restore_ = [&tenants, &severities, row, tenant_before = tenants.strings[row], severity_before = severities.ints[row]] {
    tenants.strings[row] = tenant_before;
    severities.ints[row] = severity_before;
  };
  tenants.set_string(row, batch.arena.copy(tenant));
  severities.set_int(row, 17);
  return base::Micros(batch.arrival[row]);
}

std::vector<std::string> FullLoad::data_files() const {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(paths().lake + "/bronze"))
    if (entry.path().extension() == ".parquet") files.push_back(entry.path().string());
  std::ranges::sort(files);
  return files;
}

}  // namespace headpond::bench
