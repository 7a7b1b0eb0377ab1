// Numbers and text as a report shows them. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace headpond::billing {

std::string escape_html(std::string_view text);
std::string grouped(std::int64_t number);               // "12,345,678"
std::string grouped_decimal(std::string_view decimal);  // "1234.50" → "1,234.50"
std::string short_decimal(std::string_view decimal);    // "1,234.5": grouped, without trailing zeros
std::string human_bytes(std::int64_t bytes);            // "12.3 GB", powers of ten
std::string human_count(double count);                  // "12.3 M"
std::string fixed(double value, int places);            // '.' whatever the locale
// `text` shortened to `n` characters (code points) with an ellipsis.
std::string shortened(std::string_view text, std::size_t n);

}  // namespace headpond::billing
