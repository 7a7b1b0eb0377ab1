// The one in-memory columnar batch: rows of bronze on their way from Kafka to Parquet.
//
// A Batch is at the same time the next page of each column. The raw payloads lie in one buffer in exactly the form of a Parquet PLAIN
// BYTE_ARRAY page (4-byte little-endian length, then the bytes), so a payload is copied once, from the Kafka client into that page; it is
// parsed there, and string cells are views into it (or into the batch's arena when unescaping was needed).
//
//   batch.reset();
//   if (!batch.fits(payload.size())) …hand the batch over, take an empty one…
//   auto row = batch.begin_row(payload);        // copies the payload; every declared cell is null
//   batch.declared[2].set_string(row.index, view);
//   …
//
// Every column is allocated kRowsMax long once and for all; its first rows() cells mean something (never ask a column for its size()).
// Views and pointers are valid until reset(). Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headpond::columns {

enum class Type { kString, kInt32, kInt64, kDouble, kBool, kTimestamp };  // kTimestamp: µs since the epoch, UTC

struct ColumnSpec {
  std::string name;
  Type type = Type::kString;
  bool cold = false;  // lies behind the Kafka headers in a file, not with the columns that queries read
};

// One declared column: only the vector of its type is used; valid[i] == 0 is null.
struct Column {
  Type type = Type::kString;
  std::vector<std::uint8_t> valid;
  std::vector<std::int64_t> ints;         // kInt32, kInt64, kBool (0/1), kTimestamp
  std::vector<double> doubles;            // kDouble
  std::vector<std::string_view> strings;  // kString

  void set_int(std::size_t row, std::int64_t v) {
    ints[row] = v;
    valid[row] = 1;
  }
  void set_double(std::size_t row, double v) {
    doubles[row] = v;
    valid[row] = 1;
  }
  void set_string(std::size_t row, std::string_view v) {
    strings[row] = v;
    valid[row] = 1;
  }
};

// Bytes whose addresses stay put until reset(): for unescaped strings, error texts, header JSON.
class Arena {
 public:
  char* allocate(std::size_t n);
  std::string_view copy(std::string_view bytes);
  std::size_t allocated() const { return allocated_; }            // bytes since reset()
  std::size_t memory() const { return blocks_.size() * kBlock; }  // bytes it keeps over reset()
  void reset();

 private:
  static constexpr std::size_t kBlock = 64u << 10;

  std::vector<std::unique_ptr<char[]>> blocks_;  // of kBlock bytes, kept by reset()
  std::vector<std::unique_ptr<char[]>> large_;   // each of one allocation beyond that, freed by reset()
  std::size_t block_ = 0, used_ = 0, allocated_ = 0;
};

class Batch {
 public:
  static constexpr std::size_t kRowsMax = 8192;
  static constexpr std::size_t kRawBytesTarget = 8u << 20;  // a batch holds one payload larger than this alone
  static constexpr std::size_t kPadding = 64;               // readable bytes behind the last payload, for SIMD parsers
  static constexpr std::size_t kHeadroom = 1152;            // writable bytes before the first payload: see raw_headroom()

  explicit Batch(const std::vector<ColumnSpec>& declared_specs);
  Batch(Batch&&) = default;
  Batch& operator=(Batch&&) = default;

  // Empty again, `source` kept; nothing is freed but what one unusually large payload needed.
  void reset();
  bool fits(std::size_t payload_size) const;
  std::size_t rows() const { return rows_; }
  bool empty() const { return rows_ == 0; }

  struct Row {
    std::size_t index;
    std::string_view payload;  // in place, kPadding readable bytes behind it
  };
  // Requires fits(payload.size()). A null payload pointer (tombstone) is a null raw. Sets `bytes`, `payload` and `raw_valid` of the row;
  // its ts, arrival, kafka_partition and kafka_offset are the caller's to set, everything else starts null (record_index: 0).
  Row begin_row(std::string_view payload);
  // A row without a payload of its own (further log records of one message).
  std::size_t begin_row_without_raw();
  // As begin_row(), but the payload lies in the arena and raw is null, unless keep_raw() is called before another row gets a raw.
  Row begin_row_aside(std::string_view payload);
  void keep_raw(std::size_t row, std::string_view payload);

  // The PLAIN page: the length-prefixed payloads of all rows whose raw is not null, in order.
  std::string_view raw_page() const { return {raw_.get() + kHeadroom, raw_used_ - kHeadroom}; }
  // The kHeadroom bytes that end where raw_page() begins: whoever encodes the page puts its definition levels there, so that page and
  // levels are one piece of memory and need no copy. Scratch: not part of the batch's value.
  char* raw_headroom() const { return raw_.get(); }

  // Built-in columns. A view whose data() is null is null.
  std::vector<std::int64_t> ts, arrival, kafka_offset, kafka_timestamp;  // µs; kafka_timestamp < 0 = none
  std::vector<std::int32_t> kafka_partition, record_index, bytes;
  std::vector<std::int64_t> pattern_id;
  std::vector<std::uint8_t> pattern_id_valid, raw_valid;
  std::vector<std::string_view> kafka_key, kafka_headers, error;
  std::vector<std::string_view> payload;  // in place, for fingerprints; null where raw is
  std::string source;                     // "<topic>@<generation>", the same for all rows
  std::vector<Column> declared;
  Arena arena;

 private:
  std::size_t add_row();
  std::string_view put_raw(std::string_view bytes);
  std::size_t rows_ = 0;
  std::unique_ptr<char[]> raw_;
  std::size_t raw_capacity_ = 0, raw_used_ = 0;  // bytes of raw_, headroom included
};

}  // namespace headpond::columns
