// The prices in force on a day as rows, the form in which the SQL wants them: one row a tenant, item and tier.
// Bounds count the included volume in: it is tier 0, at no charge. Values; no I/O; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spec/price_book.h"

namespace headpond::billing {

struct Rate {
  std::optional<std::string> tenant;  // none: everyone without prices of their own
  std::string item;                   // "gb", "million_events"
  int tier = 0;
  std::string lower;                 // decimals of nine places
  std::optional<std::string> upper;  // none: without end
  std::string price;
  std::string currency;
  auto operator<=>(const Rate&) const = default;
};

std::vector<Rate> rates_of(const spec::PricePeriod& period, const std::string& currency);

// Statements that (re)create the table billing_rates with these rows.
std::string create_rates_sql(const std::vector<Rate>& rates);

}  // namespace headpond::billing
