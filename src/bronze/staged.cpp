#include "bronze/staged.h"

#include "base/result.h"
#include "base/time.h"
#include "bronze/audit.h"

namespace headpond::bronze {
namespace {

constexpr std::int32_t kNoSibling = -2;  // behind a gap: no row follows at the same offset

std::int64_t count_of(std::int64_t micros, base::Duration step) {
  return base::floor_to(base::Micros(micros), step).value() / step.value();
}

}  // namespace

Staged::Staged(std::string source, int tenant_column) : source_(std::move(source)), tenant_column_(tenant_column), hasher_(source_) {}

Staged::Partition& Staged::open(base::PartitionId partition, std::int64_t offset) {
  const auto [it, fresh] = partitions_.try_emplace(partition);
  if (fresh) it->second.first = base::Offset(offset), it->second.last = base::Offset(offset - 1);
  return it->second;
}

Range& Staged::open_range(Partition& partition, base::PartitionId id, std::int64_t quarter, base::Offset first) {
  // Gaps in front of a row belong to the row's quarter hour.
  if (!partition.ranges.empty() && partition.ranges.back().rows == 0) partition.ranges.back().quarter = quarter;
  if (partition.ranges.empty() || partition.ranges.back().quarter != quarter) {
    HP_ASSERT(partition.ranges.empty() || partition.ranges.back().quarter < quarter);
    Range range;
    range.partition = id;
    range.quarter = quarter;
    range.first = first;
    range.last = first.prev();
    partition.ranges.push_back(range);
  }
  return partition.ranges.back();
}

void Staged::add(const columns::Batch& batch) {
  const auto* tenants = tenant_column_ < 0 ? nullptr : &batch.declared[static_cast<std::size_t>(tenant_column_)];
  Partition* partition = nullptr;
  Range* range = nullptr;
  std::int32_t id = -1;
  std::int64_t quarter = 0, quarter_end = 0, second = 0, second_end = 0;
  std::int64_t* second_rows = nullptr;
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    const auto arrival = batch.arrival[i];
    const auto offset = base::Offset(batch.kafka_offset[i]);
    if (partition == nullptr || batch.kafka_partition[i] != id) {
      id = batch.kafka_partition[i];
      partition = &open(base::PartitionId(id), offset.value());
      range = nullptr;
    }
    if (range == nullptr || arrival >= quarter_end) {
      quarter = count_of(arrival, base::kQuarterHour);
      quarter_end = (quarter + 1) * base::kQuarterHour.value();
      range = &open_range(*partition, base::PartitionId(id), quarter, offset);
    }
    if (second_rows == nullptr || arrival >= second_end || arrival < second_end - base::kSecond.value()) {
      second = count_of(arrival, base::kSecond);
      second_end = (second + 1) * base::kSecond.value();
      second_rows = &seconds_[second];
    }
    const bool sibling = offset == partition->last && batch.record_index[i] == partition->last_record_index + 1;
    HP_ASSERT(sibling || (offset == partition->last.next() && batch.record_index[i] == 0));
    HP_ASSERT(!partition->last_arrival || arrival >= partition->last_arrival->value());
    HP_ASSERT(!sibling || arrival == partition->last_arrival->value());
    if (!partition->first_arrival) partition->first_arrival = base::Micros(arrival);
    partition->last_arrival = base::Micros(arrival);
    partition->last_record_index = batch.record_index[i];
    partition->last = range->last = offset;

    std::string_view tenant;
    if (tenants != nullptr && tenants->valid[i] != 0) {
      tenant = tenants->strings[i];
      if (tenant.data() == nullptr) tenant = "";  // valid and empty is not NULL
    }
    range->fingerprint += hasher_(id, offset.value(), batch.record_index[i], tenant, batch.bytes[i]);
    if (batch.raw_valid[i] != 0) range->payload_fingerprint += payload_fingerprint(offset.value(), batch.payload[i]);
    range->rows += 1;
    range->bytes += batch.bytes[i];
    range->errors += batch.error[i].data() == nullptr ? 0 : 1;
    *second_rows += 1;
    bytes_ += batch.bytes[i];
  }
  rows_ += static_cast<std::int64_t>(batch.rows());
}

void Staged::add_gap(base::PartitionId id, base::Offset first, base::Offset last, const std::string& kind, base::Micros arrival) {
  auto& partition = open(id, first.value());
  HP_ASSERT(first == partition.last.next() && first <= last);
  auto& range =
      partition.ranges.empty() ? open_range(partition, id, count_of(arrival.value(), base::kQuarterHour), first) : partition.ranges.back();
  range.gaps += last.value() - first.value() + 1;
  partition.last = range.last = last;
  partition.last_record_index = kNoSibling;
  gap_kinds_.insert(kind);
}

void Staged::merge(Staged other) {
  HP_ASSERT(other.source_ == source_);
  partitions_.merge(other.partitions_);
  HP_ASSERT(other.partitions_.empty());  // a partition is one lane's
  for (const auto& [second, rows] : other.seconds_) seconds_[second] += rows;
  gap_kinds_.merge(other.gap_kinds_);
  rows_ += other.rows_;
  bytes_ += other.bytes_;
}

WriterBatch Staged::batch() const {
  WriterBatch out;
  out.source = source_;
  for (const auto& [id, partition] : partitions_) out.ranges.insert(out.ranges.end(), partition.ranges.begin(), partition.ranges.end());
  for (const auto& [second, rows] : seconds_) out.seconds.push_back({second, rows});
  out.gap_kinds.assign(gap_kinds_.begin(), gap_kinds_.end());
  return out;
}

}  // namespace headpond::bronze
