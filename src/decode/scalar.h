// One scalar found in a payload, and how it becomes a cell. Pure; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "columns/batch.h"
#include "decode/time_text.h"

namespace headpond::decode {

struct Scalar {
  enum class Kind { kText, kInt, kUnsigned, kDouble, kBool, kNanos, kStructure } kind = Kind::kText;
  std::string_view text;     // the string's value; for every other kind its JSON text. In place, or in the batch's arena
  std::int64_t integer = 0;  // kNanos: since the epoch, whatever its magnitude
  double real = 0;
};

std::optional<std::int64_t> timestamp_of(const Scalar& scalar, TimeText& times);

// Sets one cell. False: the value does not fit the column, the cell stays null.
bool set_cell(columns::Column& column, std::size_t row, const Scalar& scalar, TimeText& times);

}  // namespace headpond::decode
