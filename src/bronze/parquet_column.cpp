#include "bronze/parquet_column.h"

#include "bronze/parquet_values.h"

namespace headpond::bronze {

namespace {

using columns::Batch;

class BoolColumn final : public PageColumn {
 public:
  BoolColumn(std::string name, std::size_t index)
      : PageColumn({std::move(name), ParquetType::kBoolean, ParquetAnnotation::kNone, true}), index_(index) {}

  void append(const Batch& batch, std::size_t first, std::size_t count, PageScratch& scratch) override {
    const auto& column = batch.declared[index_];
    values_.clear();
    for (std::size_t i = first; i < first + count; ++i)
      if (column.valid[i] != 0) values_.push_back(column.ints[i] != 0);
    bounds_.extend(values_.data(), values_.size());
    scratch.body.clear();
    put_definition_levels(scratch.body, column.valid.data() + first, count, count - values_.size());
    put_bits(scratch.body, values_.data(), values_.size());
    pages_.add(scratch.compressor, scratch.body.view(), ParquetEncoding::kPlain, count, count - values_.size());
  }

  base::Result<ParquetChunk> close(env::WriteStream& out, std::int64_t offset, PageScratch&) override {
    TRY(auto chunk, pages_.write(out, offset));
    bounds_.write(chunk);
    if (chunk.min) chunk.min->resize(1), chunk.max->resize(1);  // one byte, as PLAIN booleans state it
    bounds_.clear();
    return chunk;
  }

 private:
  std::size_t index_;
  std::vector<std::int64_t> values_;
  Bounds<std::int64_t> bounds_;
};

// The batch's own memory is the page; only a part of a batch has to be copied.
class RawColumn final : public PageColumn {
 public:
  RawColumn() : PageColumn({"raw", ParquetType::kByteArray, ParquetAnnotation::kNone, true}) {}

  void append(const Batch& batch, std::size_t first, std::size_t count, PageScratch& scratch) override {
    std::size_t present = 0;
    for (std::size_t i = first; i < first + count; ++i) present += batch.raw_valid[i] != 0;
    auto& body = scratch.body;
    body.clear();
    put_definition_levels(body, batch.raw_valid.data() + first, count, count - present);
    std::string_view page;
    if (count == batch.rows()) {
      HP_ASSERT(body.size() <= Batch::kHeadroom);
      char* const start = batch.raw_headroom() + Batch::kHeadroom - body.size();
      std::memcpy(start, body.data(), body.size());
      page = {start, body.size() + batch.raw_page().size()};
    } else {
      if (present > 0) body.append(slice(batch, first, count));
      page = body.view();
    }
    pages_.add(scratch.compressor, page, ParquetEncoding::kPlain, count, count - present);
  }

  base::Result<ParquetChunk> close(env::WriteStream& out, std::int64_t offset, PageScratch&) override { return pages_.write(out, offset); }

 private:
  // Requires that one of the rows has a payload.
  static std::string_view slice(const Batch& batch, std::size_t first, std::size_t count) {
    auto last = first + count - 1;
    while (batch.raw_valid[first] == 0) ++first;
    while (batch.raw_valid[last] == 0) --last;
    const char* const start = batch.payload[first].data() - 4;  // the length before it
    const char* const end = batch.payload[last].data() + batch.payload[last].size();
    return {start, static_cast<std::size_t>(end - start)};
  }
};

constexpr auto kTimestamp = ParquetAnnotation::kTimestampMicrosUtc;
constexpr auto kText = ParquetAnnotation::kString;
constexpr auto kPlainType = ParquetAnnotation::kNone;

template <class T>
ParquetField field_of(std::string name, ParquetAnnotation annotation, bool nullable) {
  constexpr auto type = std::same_as<T, std::int32_t>   ? ParquetType::kInt32
                        : std::same_as<T, std::int64_t> ? ParquetType::kInt64
                        : std::same_as<T, double>       ? ParquetType::kDouble
                                                        : ParquetType::kByteArray;
  return {std::move(name), type, annotation, nullable};
}

// A column every row has.
template <class T>
std::unique_ptr<PageColumn> required(const char* name, ParquetAnnotation annotation, bool dictionary, std::vector<T> Batch::*cells) {
  return std::make_unique<ValueColumn<T>>(field_of<T>(name, annotation, false), dictionary,
                                          [cells](const Batch& batch, std::size_t first, std::size_t, PageScratch&) {
                                            return Cells<T>{(batch.*cells).data() + first, nullptr};
                                          });
}

std::unique_ptr<PageColumn> source_column() {
  return std::make_unique<ValueColumn<std::string_view>>(
      field_of<std::string_view>("source", kText, false), true,
      [same = std::vector<std::string_view>()](const Batch& batch, std::size_t, std::size_t count, PageScratch&) mutable {
        same.assign(count, batch.source);
        return Cells<std::string_view>{same.data(), nullptr};
      });
}

// A view whose data() is null is null.
std::unique_ptr<PageColumn> views(const char* name, ParquetAnnotation annotation, std::vector<std::string_view> Batch::*cells) {
  return std::make_unique<ValueColumn<std::string_view>>(
      field_of<std::string_view>(name, annotation, true), true,
      [cells](const Batch& batch, std::size_t first, std::size_t count, PageScratch& scratch) {
        const auto* const values = (batch.*cells).data() + first;
        for (std::size_t i = 0; i < count; ++i) scratch.valid[i] = values[i].data() != nullptr;
        return Cells<std::string_view>{values, scratch.valid.data()};
      });
}

std::unique_ptr<PageColumn> kafka_timestamp_column() {
  return std::make_unique<ValueColumn<std::int64_t>>(field_of<std::int64_t>("kafka_timestamp", kTimestamp, true), false,
                                                     [](const Batch& batch, std::size_t first, std::size_t count, PageScratch& scratch) {
                                                       const auto* const values = batch.kafka_timestamp.data() + first;
                                                       for (std::size_t i = 0; i < count; ++i) scratch.valid[i] = values[i] >= 0;
                                                       return Cells<std::int64_t>{values, scratch.valid.data()};
                                                     });
}

std::unique_ptr<PageColumn> pattern_id_column() {
  return std::make_unique<ValueColumn<std::int64_t>>(
      field_of<std::int64_t>("pattern_id", kPlainType, true), true, [](const Batch& batch, std::size_t first, std::size_t, PageScratch&) {
        return Cells<std::int64_t>{batch.pattern_id.data() + first, batch.pattern_id_valid.data() + first};
      });
}

template <class T>
std::unique_ptr<PageColumn> declared_column(const std::string& name, ParquetAnnotation annotation, bool dictionary, std::size_t index,
                                            std::vector<T> columns::Column::*cells) {
  return std::make_unique<ValueColumn<T>>(field_of<T>(name, annotation, true), dictionary,
                                          [=](const Batch& batch, std::size_t first, std::size_t, PageScratch&) {
                                            const auto& column = batch.declared[index];
                                            return Cells<T>{(column.*cells).data() + first, column.valid.data() + first};
                                          });
}

// Held as 64 bits in the batch, as 32 in the file.
std::unique_ptr<PageColumn> declared_int32(const std::string& name, std::size_t index) {
  return std::make_unique<ValueColumn<std::int32_t>>(
      field_of<std::int32_t>(name, kPlainType, true), true,
      [index, narrow = std::vector<std::int32_t>()](const Batch& batch, std::size_t first, std::size_t count, PageScratch&) mutable {
        const auto& column = batch.declared[index];
        if (narrow.size() < count) narrow.resize(count);
        for (std::size_t i = 0; i < count; ++i) narrow[i] = static_cast<std::int32_t>(column.ints[first + i]);
        return Cells<std::int32_t>{narrow.data(), column.valid.data() + first};
      });
}

std::unique_ptr<PageColumn> declared(const columns::ColumnSpec& spec, std::size_t index) {
  using columns::Column;
  using columns::Type;
  switch (spec.type) {
    case Type::kString: return declared_column(spec.name, kText, true, index, &Column::strings);
    case Type::kInt32: return declared_int32(spec.name, index);
    case Type::kInt64: return declared_column(spec.name, kPlainType, true, index, &Column::ints);
    case Type::kDouble: return declared_column(spec.name, kPlainType, true, index, &Column::doubles);
    case Type::kTimestamp: return declared_column(spec.name, kTimestamp, false, index, &Column::ints);
    case Type::kBool: return std::make_unique<BoolColumn>(spec.name, index);
  }
  HP_ASSERT(false);
}

}  // namespace

std::vector<std::unique_ptr<PageColumn>> bronze_columns(const std::vector<columns::ColumnSpec>& specs) {
  std::vector<std::unique_ptr<PageColumn>> columns;
  columns.push_back(required("ts", kTimestamp, false, &Batch::ts));
  columns.push_back(required("arrival", kTimestamp, false, &Batch::arrival));
  const auto add = [&](bool cold) {
    for (std::size_t i = 0; i < specs.size(); ++i)
      if (specs[i].cold == cold) columns.push_back(declared(specs[i], i));
  };
  add(false);
  columns.push_back(required("bytes", kPlainType, false, &Batch::bytes));
  columns.push_back(source_column());
  columns.push_back(required("kafka_partition", kPlainType, true, &Batch::kafka_partition));
  columns.push_back(required("kafka_offset", kPlainType, false, &Batch::kafka_offset));
  columns.push_back(required("record_index", kPlainType, false, &Batch::record_index));
  columns.push_back(pattern_id_column());
  columns.push_back(kafka_timestamp_column());
  columns.push_back(views("kafka_key", kPlainType, &Batch::kafka_key));
  columns.push_back(views("kafka_headers", kText, &Batch::kafka_headers));
  add(true);
  columns.push_back(views("error", kText, &Batch::error));
  columns.push_back(std::make_unique<RawColumn>());
  return columns;
}

}  // namespace headpond::bronze
