// Scalars out of JSON tokens and text. Pure; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace headpond::decode {

// Text of a number, whole text, to int64 / double. "200.0" and "2e2" are integers, "200.5" is not. None: not a number, or out of range.
std::optional<std::int64_t> int_of_text(std::string_view text);
std::optional<double> double_of_text(std::string_view text);

// RFC 3339, or the text of a number (micros_of_number).
std::optional<std::int64_t> micros_of_text(std::string_view text);

}  // namespace headpond::decode
