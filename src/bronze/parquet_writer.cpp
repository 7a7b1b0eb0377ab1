#include "bronze/parquet_writer.h"

#include "bronze/delta_stats.h"
#include "bronze/parquet_column.h"

namespace headpond::bronze {

namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr std::size_t kColumnItself = 4 << 10;  // bytes
constexpr std::int64_t kPartBytes = 8 << 20;

class StreamingWriter final : public ParquetWriter {
 public:
  StreamingWriter(const std::vector<columns::ColumnSpec>& declared, const ParquetOptions& options, std::unique_ptr<env::WriteStream> stream,
                  std::shared_ptr<PageScratch> scratch)
      : options_(options),
        stream_(std::move(stream)),
        shared_(std::move(scratch)),
        scratch_(*shared_),
        columns_(bronze_columns(declared)) {}

  base::Result<void> append(const columns::Batch& batch, std::size_t first, std::size_t count) override {
    HP_ASSERT(!finished_ && first + count <= batch.rows());
    if (count == 0) return {};
    for (const auto& column : columns_) column->append(batch, first, count, scratch_);
    totals_.rows += static_cast<std::int64_t>(count);
    group_rows_ += static_cast<std::int64_t>(count);
    std::size_t bytes = 0;
    for (const auto& column : columns_) bytes += column->bytes();
    if (group_rows_ >= options_.row_group_rows_max || static_cast<std::int64_t>(bytes) >= options_.row_group_bytes_max)
      TRY_VOID(close_row_group());
    return {};
  }

  base::Result<ParquetTotals> finish() override {
    HP_ASSERT(!finished_);
    finished_ = true;
    if (group_rows_ > 0) TRY_VOID(close_row_group());
    TRY_VOID(begin_file());
    std::vector<ParquetField> fields;
    for (const auto& column : columns_) fields.push_back(column->field());
    scratch_.body.clear();
    put_footer(scratch_.body, fields, row_groups_);
    TRY_VOID(put(scratch_.body.view()));
    totals_.file_bytes = offset_;
    totals_.delta_stats = delta_stats(totals_.rows, fields, row_groups_);
    return totals_;
  }

  base::Result<void> close() override {
    HP_ASSERT(finished_);
    return stream_->close();
  }

  std::int64_t rows() const override { return totals_.rows; }
  std::int64_t sent() const override { return stream_->sent(); }

  std::size_t memory() const override {
    // An upload has one part that fills and some on their way (env/remote_store.cpp).
    auto sum = static_cast<std::size_t>(std::min(offset_, kPartBytes) + std::min(stream_->sent(), 4 * kPartBytes));
    for (const auto& column : columns_) sum += kColumnItself + column->memory();
    return sum;
  }

 private:
  base::Result<void> put(std::string_view bytes) {
    offset_ += static_cast<std::int64_t>(bytes.size());
    return stream_->append(bytes);
  }
  base::Result<void> begin_file() { return offset_ == 0 ? put(kMagic) : base::Result<void>(); }

  base::Result<void> close_row_group() {
    TRY_VOID(begin_file());
    ParquetRowGroup group;
    group.rows = group_rows_;
    for (const auto& column : columns_) {
      TRY(auto chunk, column->close(*stream_, offset_, scratch_));
      offset_ += chunk.compressed_bytes;
      group.chunks.push_back(std::move(chunk));
    }
    row_groups_.push_back(std::move(group));
    group_rows_ = 0;
    return {};
  }

  ParquetOptions options_;
  std::unique_ptr<env::WriteStream> stream_;
  std::shared_ptr<PageScratch> shared_;
  PageScratch& scratch_;
  std::vector<std::unique_ptr<PageColumn>> columns_;
  std::vector<ParquetRowGroup> row_groups_;
  std::int64_t group_rows_ = 0, offset_ = 0;
  ParquetTotals totals_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<ParquetWriter> ParquetWriter::create(const std::vector<columns::ColumnSpec>& declared, const ParquetOptions& options,
                                                     std::unique_ptr<env::WriteStream> stream, std::shared_ptr<PageScratch> shared) {
  if (!shared) shared = scratch(options.zstd_level);
  return std::make_unique<StreamingWriter>(declared, options, std::move(stream), std::move(shared));
}

std::shared_ptr<PageScratch> ParquetWriter::scratch(int zstd_level) {
  return std::make_shared<PageScratch>(zstd_level);
}

std::size_t ParquetWriter::memory_of(const PageScratch& scratch) {
  return scratch.compressor.memory() + scratch.body.capacity();
}

}  // namespace headpond::bronze
