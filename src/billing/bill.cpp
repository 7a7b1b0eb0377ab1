#include "billing/bill.h"

#include <algorithm>
#include <tuple>

#include "base/time.h"
#include "billing/calculation.h"

namespace headpond::billing {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

base::Result<void> read_tenants(sql::Engine& engine, Bill& bill) {
  TRY(const auto result, engine.query(R"(
    SELECT u.tenant, CAST(coalesce(l.amount, 0) AS DECIMAL(28,2)) AS amount, u.events, u.bytes, u.errors, coalesce(p.peak, 0)
    FROM (SELECT tenant, sum(events)::BIGINT AS events, sum(bytes)::BIGINT AS bytes, sum(errors)::BIGINT AS errors FROM usage_15m GROUP BY tenant) u
    LEFT JOIN (SELECT tenant, sum(amount) AS amount FROM invoice_lines GROUP BY tenant) l ON l.tenant = u.tenant
    LEFT JOIN (SELECT tenant, max(peak_epm) AS peak FROM usage_peak GROUP BY tenant) p ON p.tenant = u.tenant
    ORDER BY amount DESC, u.bytes DESC, u.tenant)"));
  for (const auto& row : result.rows) {
    bill.tenants.push_back({row[0].as_text(), row[1].as_text(), {row[2].as_int(), row[3].as_int(), row[4].as_int()}, row[5].as_int()});
  }
  return {};
}

base::Result<void> read_lines(sql::Engine& engine, Bill& bill) {
  TRY(const auto result, engine.query("SELECT tenant, item, tier, quantity, unit_price, amount, currency FROM invoice_lines "
                                      "ORDER BY tenant, item, tier"));
  for (const auto& row : result.rows) {
    bill.lines.push_back({row[0].as_text(), row[1].as_text(), static_cast<int>(row[2].as_int()), row[3].as_text(), row[4].as_text(),
                          row[5].as_text(), row[6].as_text()});
  }
  TRY(const auto total, engine.query("SELECT CAST(coalesce(sum(amount), 0) AS DECIMAL(28,2)) FROM invoice_lines"));
  bill.total = total.rows[0][0].as_text();
  return {};
}

base::Result<void> read_top_slots(sql::Engine& engine, Bill& bill) {
  for (std::size_t i = 0; i < std::min(kTopTenants, bill.tenants.size()); ++i) {
    TRY(const auto result, engine.query("SELECT slot, sum(events)::BIGINT FROM usage_15m WHERE tenant = " +
                                        sql::quote_literal(bill.tenants[i].tenant) + " GROUP BY slot"));
    auto& slots = bill.top_slots.emplace_back();
    for (const auto& row : result.rows) slots[static_cast<std::size_t>(row[0].as_int())] = row[1].as_int();
  }
  return {};
}

}  // namespace

base::Result<Bill> read_bill(sql::Engine& engine, const DayFacts& facts) {
  Bill bill;
  TRY_VOID(read_tenants(engine, bill));
  TRY_VOID(read_lines(engine, bill));
  TRY(bill.slots, slots_of(engine, "usage_15m"));
  for (const auto& slot : bill.slots) {
    bill.used.events += slot.events;
    bill.used.bytes += slot.bytes;
    bill.used.errors += slot.errors;
  }
  TRY_VOID(read_top_slots(engine, bill));
  std::tie(bill.peak_second, bill.peak_second_events) = facts.peak_second();
  std::tie(bill.peak_minute, bill.peak_minute_events) = facts.peak_minute();
  return bill;
}

std::string to_csv(const Bill& bill) {
  std::string out = "day,status,tenant,item,tier,quantity,unit_price,amount,currency\r\n";
  const auto head = base::format_day(bill.day) + "," + (bill.provisional ? "provisional" : "closed") + ",";
  for (const auto& line : bill.lines) {
    out += head + csv_field(line.tenant) + "," + line.item + "," + std::to_string(line.tier) + "," + line.quantity + "," + line.unit_price +
           "," + line.amount + "," + line.currency + "\r\n";
  }
  return out;
}

std::string unit_of(const std::string& item) {
  return item == "gb" ? "GB" : "million events";
}

}  // namespace headpond::billing
