// A priced day as people read it: the values behind CSV, report and the summary in the certificate. Values; threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "billing/day_book.h"
#include "billing/rates.h"
#include "sql/engine.h"

namespace headpond::billing {

struct InvoiceLine {
  std::string tenant, item;
  int tier = 0;
  std::string quantity, unit_price, amount, currency;  // exact decimals
  auto operator<=>(const InvoiceLine&) const = default;
};

struct TenantBill {
  std::string tenant, amount;
  Amounts used;
  std::int64_t peak_epm = 0;  // largest one-minute count of the day
};

inline constexpr std::size_t kTopTenants = 5;

struct Bill {
  base::Micros day;
  std::string topology, branch;
  bool provisional = false;
  std::string currency, total;
  Amounts used;
  std::vector<TenantBill> tenants;  // by falling amount, then bytes, then by name
  std::vector<InvoiceLine> lines;   // by tenant, item, tier
  std::vector<Rate> rates;
  std::array<Amounts, kSlots> slots;
  std::vector<std::array<std::int64_t, kSlots>> top_slots;  // events of the first tenants, kTopTenants at most
  std::int64_t peak_minute = 0, peak_minute_events = 0;     // minute since the epoch; of all tenants together
  std::int64_t peak_second = 0, peak_second_events = 0;     // since the epoch; of all tenants together
};

// Reads what compute_usage and compute_lines left in the engine.
base::Result<Bill> read_bill(sql::Engine& engine, const DayFacts& facts);

// One line a tenant, item and tier, RFC 4180, with a header.
std::string to_csv(const Bill& bill);

// "gb" → "GB", "million_events" → "million events".
std::string unit_of(const std::string& item);

}  // namespace headpond::billing
