// Payload bytes → typed cells of rows of a columns::Batch. The folder is the only user of simdjson.
//
//   TRY(auto decoder, decode::Decoder::open(Encoding::kJson, ts_field, fields));
//   const auto row = batch.begin_row(payload);
//   const Decoded decoded = decoder.decode(batch, row);     // cells of batch.declared, batch.error, batch.pattern_id
//   batch.ts[row.index] = decoded.ts ? *decoded.ts : arrival;
//
// One pass over the payload where it lies; no allocation an event once buffers have grown. Nothing is ever dropped: what does not decode
// becomes a row with `error` and null cells; a value that does not fit its column nulls that cell and is counted.
//
// Of duplicate keys the first counts. A number out of its column's range, or one with a fraction for an integer column, does not fit.
// An OTLP message is as many rows as it has log records, one at least: decode() is the first, decode_next() each further one. A message
// whose frame is broken is one row with `error`; a broken log record in a whole frame is one, and its siblings are read.
//
// Threads: one at a time per Decoder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"

namespace headpond::decode {

enum class Encoding { kJson, kRaw, kOtlpProto, kOtlpJson };  // kRaw: every cell null (or its default), never an error

// Where one column comes from.
struct Field {
  std::string name;
  columns::Type type = columns::Type::kString;
  // The first whose value is there and not null counts. JSON: pointers (RFC 6901). OTLP: see otlp_source.h.
  std::vector<std::string> from;
  std::optional<std::string> default_value;  // text of the value when none is
};

struct Decoded {
  std::optional<std::int64_t> ts;  // µs; none: missing or unreadable
  bool malformed = false;          // error is set
  std::int32_t mismatches = 0;     // cells nulled because their value did not fit
};

struct Options {
  bool patterns_of_all = false;  // pattern_id whatever the severity, not from WARN on
  bool rest = false;             // JSON: what no column holds goes to `rest`; every value is checked, not only those asked for
};

class Decoder {
 public:
  // `fields` in the order of Batch::declared, which ends in extra_columns(). A column named severity_number also reads words ("warn",
  // "ERR", "critical"). Errors: kInvalid: a malformed pointer or source, a default that does not fit its type.
  static base::Result<std::unique_ptr<Decoder>> open(Encoding encoding, const Field& ts, const std::vector<Field>& fields,
                                                     Options options = {});
  virtual ~Decoder() = default;

  // The first row of a record. Requires row of `batch`, just begun: its cells still null. A null payload (tombstone) is no error: its cells
  // stay null. Sets `bytes` of the row where the record has more than one.
  virtual Decoded decode(columns::Batch& batch, const columns::Batch::Row& row) = 0;

  // Further rows of the same record (the log records of one OTLP message), each begun without raw; nothing else may come in between.
  virtual bool more() const { return false; }
  // Requires more(). Sets `bytes` and `record_index` of the row as well.
  virtual Decoded decode_next(columns::Batch& batch, std::size_t row);
  // The batch was handed over in the middle of a record: rows go to `batch` from now on, an empty one. `payload` is the record's.
  virtual void move_to(columns::Batch& batch, std::string_view payload);
};

// Text columns that a table of this encoding has beside the declared ones.
std::vector<columns::ColumnSpec> extra_columns(Encoding encoding, Options options = {});

// OpenTelemetry severity number of a level word, any case: trace 1, debug 5, info 9, notice 10, warn 13, error 17, critical 18, alert 19,
// fatal 21, emergency 22, with the usual abbreviations. None: not such a word.
std::optional<std::int32_t> severity_of_word(std::string_view word);

// Event time from a number by its magnitude: seconds, ms, µs or ns since the epoch. None: out of the years 1970 to 2261.
std::optional<std::int64_t> micros_of_number(double number);
std::optional<std::int64_t> micros_of_number(std::int64_t number);

// Hash of a message with its variable parts (numbers, hex, ids, quoted text) removed: equal for messages of one template.
std::int64_t pattern_id(std::string_view message);

}  // namespace headpond::decode
