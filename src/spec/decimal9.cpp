#include <algorithm>

#include "spec/price_book.h"

namespace headpond::spec {

std::optional<Decimal9> parse_decimal9(std::string_view text) {
  constexpr std::size_t kPlaces = 9;
  const auto point = text.find('.');
  const auto whole = text.substr(0, point);
  const auto fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  const auto digits = [](std::string_view s) { return std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; }); };
  if (whole.empty() || whole.size() > kPlaces || fraction.size() > kPlaces || !digits(whole) || !digits(fraction)) return std::nullopt;
  if (point != std::string_view::npos && fraction.empty()) return std::nullopt;
  Decimal9 value;
  for (const char c : whole) value.billionths = value.billionths * 10 + (c - '0');
  for (std::size_t i = 0; i < kPlaces; ++i) value.billionths = value.billionths * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
  return value;
}

std::string to_text(Decimal9 value) {
  auto fraction = std::to_string(value.billionths % 1'000'000'000);
  fraction.insert(0, 9 - fraction.size(), '0');
  return std::to_string(value.billionths / 1'000'000'000) + "." + fraction;
}

const PricePeriod* PriceBook::in_force(base::Micros day) const {
  const PricePeriod* found = nullptr;
  for (const auto& period : periods) {
    if (!period.from || *period.from <= day) found = &period;
  }
  return found;
}

}  // namespace headpond::spec
