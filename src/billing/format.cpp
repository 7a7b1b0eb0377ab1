#include "billing/format.h"

#include <array>
#include <charconv>

namespace headpond::billing {

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string grouped(std::int64_t number) {
  return grouped_decimal(std::to_string(number));
}

std::string grouped_decimal(std::string_view decimal) {
  const auto point = decimal.find('.');
  std::string out(decimal);
  const std::size_t sign = decimal.starts_with('-') ? 1 : 0;
  for (auto i = static_cast<std::ptrdiff_t>(point == std::string_view::npos ? decimal.size() : point) - 3;
       i > static_cast<std::ptrdiff_t>(sign); i -= 3) {
    out.insert(static_cast<std::size_t>(i), 1, ',');
  }
  return out;
}

std::string short_decimal(std::string_view decimal) {
  if (decimal.find('.') != std::string_view::npos) {
    while (decimal.ends_with('0')) decimal.remove_suffix(1);
    if (decimal.ends_with('.')) decimal.remove_suffix(1);
  }
  return grouped_decimal(decimal);
}

std::string fixed(double value, int places) {
  std::array<char, 64> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, places);
  return error == std::errc() ? std::string(buffer.data(), end) : std::string("?");
}

namespace {

std::string scaled(double value, std::string_view suffix) {
  constexpr std::array<std::string_view, 6> kPrefixes = {"", "k", "M", "G", "T", "P"};
  std::size_t i = 0;
  while (value >= 999.5 && i + 1 < kPrefixes.size()) value /= 1000, ++i;
  const auto digits = fixed(value, i == 0 || value >= 99.95 ? 0 : 1);
  const auto unit = std::string(kPrefixes[i]) + std::string(suffix);
  return unit.empty() ? digits : digits + " " + unit;
}

}  // namespace

std::string human_bytes(std::int64_t bytes) {
  return scaled(static_cast<double>(bytes), "B");
}

std::string human_count(double count) {
  return scaled(count, "");
}

std::string shortened(std::string_view text, std::size_t n) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0u) != 0x80u;
    if (starts && characters++ == n) return std::string(text.substr(0, i)) + "…";
  }
  return std::string(text);
}

}  // namespace headpond::billing
