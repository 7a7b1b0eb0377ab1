// Runs the billing models over bronze's rows in an sql::Engine and reads back what a report needs.
//
// Leaves behind, as temporary tables of the engine: usage_15m, usage_peak, invoice_lines (sorted, with the day as first column).
// Threads: one at a time per engine.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "billing/day_book.h"
#include "billing/rates.h"
#include "sql/engine.h"

namespace headpond::billing {

// The tables, as engines/dbt names them; also the folders of the Delta tables.
inline constexpr std::array<std::string_view, 3> kTables = {"usage_15m", "usage_peak", "invoice_lines"};
// Their columns without the day, in order.
std::string_view columns_of(std::string_view table);

// `bronze` is a relation over (at least) the day's rows, `day` "2026-11-24".
base::Result<void> compute_usage(sql::Engine& engine, const std::string& day, const std::string& bronze);
// Requires usage_15m in the engine.
base::Result<void> compute_lines(sql::Engine& engine, const std::string& day, const std::vector<Rate>& rates);

// Row count and content of a table, whatever the order of its rows: sum mod 2^64 of the last eight bytes (little-endian) of the MD5 of
// each row's columns as text, joined by U+001F. `relation` has the columns of columns_of(table).
struct Content {
  std::int64_t rows = 0;
  std::string fingerprint;  // 16 hexadecimal digits
  auto operator<=>(const Content&) const = default;
};
base::Result<Content> content_of(sql::Engine& engine, std::string_view table, const std::string& relation);

// Sums of usage by quarter hour. `relation` as usage_15m.
base::Result<std::array<Amounts, kSlots>> slots_of(sql::Engine& engine, const std::string& relation);

std::string hex16(std::uint64_t value);

}  // namespace headpond::billing
