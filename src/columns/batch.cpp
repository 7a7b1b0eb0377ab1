#include "columns/batch.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/result.h"

namespace headpond::columns {

namespace {

constexpr std::size_t kLengthPrefix = 4;
constexpr std::size_t kRawCapacity = Batch::kHeadroom + Batch::kRawBytesTarget + Batch::kPadding;
constexpr std::size_t kPayloadMax = std::numeric_limits<std::int32_t>::max();

void size_for(Column& column, Type type) {
  column.type = type;
  column.valid.resize(Batch::kRowsMax);
  switch (type) {
    case Type::kString: column.strings.resize(Batch::kRowsMax); break;
    case Type::kDouble: column.doubles.resize(Batch::kRowsMax); break;
    case Type::kInt32:
    case Type::kInt64:
    case Type::kBool:
    case Type::kTimestamp: column.ints.resize(Batch::kRowsMax); break;
  }
}

}  // namespace

Batch::Batch(const std::vector<ColumnSpec>& declared_specs) : declared(declared_specs.size()) {
  for (auto* column : {&ts, &arrival, &kafka_offset, &pattern_id}) column->resize(kRowsMax);
  kafka_timestamp.resize(kRowsMax, -1);
  for (auto* column : {&kafka_partition, &record_index, &bytes}) column->resize(kRowsMax);
  for (auto* column : {&pattern_id_valid, &raw_valid}) column->resize(kRowsMax);
  for (auto* column : {&kafka_key, &kafka_headers, &error, &payload}) column->resize(kRowsMax);
  for (std::size_t i = 0; i < declared.size(); ++i) size_for(declared[i], declared_specs[i].type);
  raw_capacity_ = kRawCapacity;
  raw_ = std::make_unique_for_overwrite<char[]>(raw_capacity_);
  raw_used_ = kHeadroom;
}

void Batch::reset() {
  // Cells a row may leave alone; the others are written for every row.
  std::fill_n(kafka_timestamp.begin(), rows_, -1);
  std::fill_n(record_index.begin(), rows_, 0);
  std::fill_n(pattern_id_valid.begin(), rows_, std::uint8_t{0});
  for (auto* column : {&kafka_key, &kafka_headers, &error}) std::fill_n(column->begin(), rows_, std::string_view());
  for (auto& column : declared) std::fill_n(column.valid.begin(), rows_, std::uint8_t{0});
  arena.reset();
  rows_ = 0;
  raw_used_ = kHeadroom;
  if (raw_capacity_ > kRawCapacity) {
    raw_capacity_ = kRawCapacity;
    raw_ = std::make_unique_for_overwrite<char[]>(raw_capacity_);
  }
}

bool Batch::fits(std::size_t payload_size) const {
  if (rows_ == 0) return payload_size <= kPayloadMax;
  return rows_ < kRowsMax && arena.allocated() + payload_size <= kRawBytesTarget &&
         raw_used_ + kLengthPrefix + payload_size + kPadding <= raw_capacity_;
}

std::size_t Batch::add_row() {
  HP_ASSERT(rows_ < kRowsMax);
  return rows_++;
}

std::string_view Batch::put_raw(std::string_view bytes_in) {
  const auto needed = raw_used_ + kLengthPrefix + bytes_in.size() + kPadding;
  if (needed > raw_capacity_) {  // one payload larger than the target: the batch is its alone, so nothing moves
    HP_ASSERT(raw_used_ == kHeadroom);
    raw_capacity_ = needed;
    raw_ = std::make_unique_for_overwrite<char[]>(raw_capacity_);
  }
  const auto length = static_cast<std::uint32_t>(bytes_in.size());
  char* const place = raw_.get() + raw_used_;
  std::memcpy(place, &length, kLengthPrefix);
  if (length > 0) std::memcpy(place + kLengthPrefix, bytes_in.data(), bytes_in.size());
  raw_used_ += kLengthPrefix + bytes_in.size();
  return {place + kLengthPrefix, bytes_in.size()};
}

Batch::Row Batch::begin_row(std::string_view bytes_in) {
  if (bytes_in.data() == nullptr) return {begin_row_without_raw(), {}};
  HP_ASSERT(fits(bytes_in.size()));
  const auto place = put_raw(bytes_in);
  const auto row = add_row();
  payload[row] = place;
  bytes[row] = static_cast<std::int32_t>(bytes_in.size());
  raw_valid[row] = 1;
  return {row, place};
}

Batch::Row Batch::begin_row_aside(std::string_view bytes_in) {
  if (bytes_in.data() == nullptr) return {begin_row_without_raw(), {}};
  HP_ASSERT(fits(bytes_in.size()));
  char* const place = arena.allocate(bytes_in.size() + kPadding);
  if (!bytes_in.empty()) std::memcpy(place, bytes_in.data(), bytes_in.size());
  const auto row = begin_row_without_raw();
  bytes[row] = static_cast<std::int32_t>(bytes_in.size());
  return {row, {place, bytes_in.size()}};
}

void Batch::keep_raw(std::size_t row, std::string_view bytes_in) {
  HP_ASSERT(raw_valid[row] == 0 && bytes_in.data() != nullptr);
  payload[row] = put_raw(bytes_in);
  raw_valid[row] = 1;
}

std::size_t Batch::begin_row_without_raw() {
  const auto row = add_row();
  payload[row] = {};
  bytes[row] = 0;
  raw_valid[row] = 0;
  return row;
}

}  // namespace headpond::columns
