// Inline SVG for the report; colours come from the page's CSS. Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "billing/day_book.h"

namespace headpond::billing {

struct Series {
  std::string name;
  std::array<std::int64_t, kSlots> values;
};

// Stacked bars, one a quarter hour, the first series at the bottom. CSS classes: bar s0 … s5 by series, grid, axis.
std::string day_chart(const std::vector<Series>& series);

}  // namespace headpond::billing
