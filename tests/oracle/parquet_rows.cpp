// parquet_rows DIRECTORY SEED: writes rows.parquet with the bronze Parquet writer, and rows.jsonl with the same random rows by other means:
// first the column names, then one array a row; integers as numbers, doubles as the hex of their bits, text and bytes as hex, null as null.
// parquet_readers.py reads both and compares them.
#include <array>
#include <bit>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <random>

#include "bronze/parquet_writer.h"

namespace {

using namespace headpond;
using columns::Type;

class FileStream final : public env::WriteStream {
 public:
  explicit FileStream(const std::string& path) : file_(path, std::ios::binary) {}
  base::Result<void> append(std::string_view bytes) override {
    file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return {};
  }
  base::Result<void> close() override {
    file_.close();
    return file_ ? base::Result<void>() : base::fail(base::ErrorKind::kRetry, "cannot write the file");
  }

 private:
  std::ofstream file_;
};

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : bytes) (out += kDigits[static_cast<unsigned char>(c) >> 4]) += kDigits[c & 15];
  return out + '"';
}

// How one column of one file behaves.
struct Habit {
  int nulls_percent;
  int kind;  // 0 constant, 1 few values, 2 many, 3 extremes, 4 rising, 5 runs
};

class Rows {
 public:
  Rows(std::uint64_t seed, const std::vector<columns::ColumnSpec>& specs) : random_(seed), specs_(specs) {
    for (auto& habit : habits_) {
      constexpr std::array kNulls = {0, 0, 1, 50, 99, 100};
      habit = {kNulls[below(kNulls.size())], static_cast<int>(below(6))};
    }
  }

  std::uint64_t below(std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random_); }

  // Fills one row of `batch` and returns it as a line.
  std::string add(columns::Batch& batch, std::string_view payload) {
    ++row_;
    const auto i = batch.begin_row(payload).index;
    column_ = 0;
    std::string line = "[";
    line += std::to_string(batch.ts[i] = time()) + ",";
    line += std::to_string(batch.arrival[i] = time());
    for (std::size_t c = 0; c < specs_.size(); ++c) line += "," + declared(batch, batch.declared[c], i);
    line += "," + std::to_string(batch.bytes[i]);
    line += "," + hex(batch.source);
    line += "," + std::to_string(batch.kafka_partition[i] = static_cast<std::int32_t>(integer(std::numeric_limits<std::int32_t>::max())));
    line += "," + std::to_string(batch.kafka_offset[i] = integer(std::numeric_limits<std::int64_t>::max()));
    line += "," + std::to_string(batch.record_index[i] = static_cast<std::int32_t>(integer(1000)));
    if (const auto null = is_null(); !null)
      batch.pattern_id[i] = integer(std::numeric_limits<std::int64_t>::max()), batch.pattern_id_valid[i] = 1;
    line += batch.pattern_id_valid[i] ? "," + std::to_string(batch.pattern_id[i]) : ",null";
    if (const auto null = is_null(); !null) batch.kafka_timestamp[i] = time();
    line += batch.kafka_timestamp[i] >= 0 ? "," + std::to_string(batch.kafka_timestamp[i]) : ",null";
    for (auto* column : {&batch.kafka_key, &batch.kafka_headers, &batch.error}) {
      if (!is_null()) (*column)[i] = batch.arena.copy(text());
      line += (*column)[i].data() != nullptr ? "," + hex((*column)[i]) : ",null";
    }
    line += payload.data() != nullptr ? "," + hex(payload) : ",null";
    return line + "]";
  }

 private:
  const Habit& habit() { return habits_[column_]; }
  bool is_null() {
    ++column_;
    return below(100) < static_cast<std::uint64_t>(habit().nulls_percent);
  }
  std::int64_t integer(std::int64_t max) {
    const std::int64_t values[] = {0, 1, max, max - 1, max / 2, 200, 404, 500};
    switch (habits_[++column_].kind) {
      case 0: return values[5];
      case 1: return values[below(8)];
      case 2: return static_cast<std::int64_t>(below(static_cast<std::uint64_t>(max)));
      case 3: return below(2) ? max : 0;
      case 4: return std::min(max, static_cast<std::int64_t>(row_));
      default: return std::min(max, static_cast<std::int64_t>(row_ / 100 % 7));
    }
  }
  std::int64_t signed_integer(std::int64_t min, std::int64_t max) {
    const auto value = integer(max);
    return below(4) == 0 && habit().kind > 0 ? min + value : value;
  }
  std::int64_t time() {
    constexpr std::int64_t kBase = 1'790'000'000'000'000;
    switch (habits_[++column_].kind) {
      case 3: return below(2) ? 0 : 253'402'300'799'999'999;  // the epoch, the end of year 9999
      case 4: return kBase + static_cast<std::int64_t>(row_);
      default: return kBase + static_cast<std::int64_t>(row_ * 1000 + below(5'000'000));
    }
  }
  double real() {
    switch (habits_[++column_].kind) {
      case 0: return 0.0;
      case 1: return static_cast<double>(below(100)) / 10;
      case 3: {
        constexpr double kValues[] = {0.0,
                                      -0.0,
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::quiet_NaN(),
                                      std::numeric_limits<double>::denorm_min(),
                                      1e308,
                                      -1e308};
        return kValues[below(8)];
      }
      default: return std::normal_distribution<double>()(random_);
    }
  }
  std::string text() {
    static const std::string kPieces[] = {"", "a", "checkout", "\xc3\xa4\xc3\xb6", "\xf0\x9f\x98\x80", "\"quoted\\\"", "x,y\n", "zz"};
    switch (habit().kind) {
      case 0: return "";
      case 1:
      case 5: return kPieces[row_ / 3 % 8];
      case 3: return std::string(below(3) ? below(20) : below(3000), 'z') + kPieces[below(8)];
      default: return kPieces[below(8)] + std::to_string(below(1'000'000)) + kPieces[below(8)];
    }
  }

  std::string declared(columns::Batch& batch, columns::Column& column, std::size_t i) {
    if (is_null()) return "null";
    switch (column.type) {
      case Type::kString: {
        column.set_string(i, batch.arena.copy(text()));
        return hex(column.strings[i]);
      }
      case Type::kDouble: {
        const auto value = real();
        column.set_double(i, value);
        char out[24];
        std::snprintf(out, sizeof out, "\"%016llx\"", static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
        return out;
      }
      case Type::kBool: column.set_int(i, static_cast<std::int64_t>(below(2))); break;
      case Type::kTimestamp: column.set_int(i, time()); break;
      case Type::kInt32:
        column.set_int(i, signed_integer(std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()));
        break;
      case Type::kInt64:
        column.set_int(i, signed_integer(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()));
        break;
    }
    return std::to_string(column.ints[i]);
  }

  std::mt19937_64 random_;
  std::vector<columns::ColumnSpec> specs_;
  std::array<Habit, 64> habits_;
  std::size_t column_ = 0, row_ = 0;
};

const std::vector<columns::ColumnSpec> kSpecs = {{"service", Type::kString},     {"status", Type::kInt32}, {"big", Type::kInt64},
                                                 {"duration_ms", Type::kDouble}, {"ok", Type::kBool},      {"seen_at", Type::kTimestamp},
                                                 {"user_id", Type::kString},     {"ratio", Type::kDouble}, {"code", Type::kInt32}};
constexpr const char* kNames =
    R"(["ts","arrival","service","status","big","duration_ms","ok","seen_at","user_id","ratio","code","bytes","source","kafka_partition",)"
    R"("kafka_offset","record_index","pattern_id","kafka_timestamp","kafka_key","kafka_headers","error","raw"])";

std::size_t rows_wanted(std::uint64_t seed, Rows& rows) {
  switch (seed % 8) {
    case 0: return 1;
    case 1: return 135'000;  // more than a row group
    default: return 1 + rows.below(12'000);
  }
}

std::string payload_of(std::uint64_t seed, std::size_t row, Rows& rows) {
  if (seed % 8 == 2 && row == 10) {
    std::string large(10 << 20, '\0');
    for (auto& c : large) c = static_cast<char>(rows.below(256));
    return large;
  }
  return R"({"n":)" + std::to_string(row) + R"(,"pad":")" + std::string(rows.below(60), 'p') + "\"}";
}

base::Result<void> run(const std::string& directory, std::uint64_t seed) {
  Rows rows(seed, kSpecs);
  bronze::ParquetOptions options;
  if (seed % 8 != 1) options.row_group_rows_max = 1 + static_cast<std::int64_t>(rows.below(20'000));
  const auto writer = bronze::ParquetWriter::create(kSpecs, options, std::make_unique<FileStream>(directory + "/rows.parquet"));
  std::ofstream lines(directory + "/rows.jsonl");
  lines << kNames << '\n';
  columns::Batch batch(kSpecs);
  batch.source = "logs@0";
  const auto hand_over = [&]() -> base::Result<void> {
    const auto split = rows.below(3) == 0 ? rows.below(batch.rows() + 1) : 0;  // as at midnight
    TRY_VOID(writer->append(batch, 0, split));
    TRY_VOID(writer->append(batch, split, batch.rows() - split));
    batch.reset();
    return {};
  };
  const auto wanted = rows_wanted(seed, rows);
  for (std::size_t row = 0; row < wanted; ++row) {
    const bool tombstone = seed % 2 == 1 && rows.below(10) == 0;
    const auto payload = tombstone ? std::string() : payload_of(seed, row, rows);
    if (!batch.fits(payload.size()) || (batch.rows() > 0 && rows.below(5000) == 0)) TRY_VOID(hand_over());
    lines << rows.add(batch, tombstone ? std::string_view() : std::string_view(payload)) << '\n';
  }
  TRY_VOID(hand_over());
  TRY_VOID(writer->finish());
  return writer->close();
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return std::cerr << "usage: parquet_rows DIRECTORY SEED\n", 2;
  if (const auto done = run(words[1], std::stoull(words[2])); !done) return std::cerr << done.error().message << '\n', 1;
  return 0;
}
