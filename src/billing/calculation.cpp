#include "billing/calculation.h"

#include <charconv>

#include "billing/models.h"

namespace headpond::billing {
namespace {

base::Result<void> materialize(sql::Engine& engine, const std::string& model, const std::string& day) {
  TRY(const auto models, Models::load(embedded_models()));
  TRY(const auto select, models.render(model, {.day = day}));
  if (auto done = engine.query("CREATE OR REPLACE TEMP TABLE " + model + " AS " + select); !done) {
    return std::unexpected(std::move(done).error().within("billing model " + model));
  }
  return {};
}

}  // namespace

std::string_view columns_of(std::string_view table) {
  if (table == "usage_15m") return "tenant, service, slot, events, bytes, errors";
  if (table == "usage_peak") return "tenant, slot, peak_epm";
  HP_ASSERT(table == "invoice_lines");
  return "tenant, item, tier, quantity, unit_price, amount, currency";
}

base::Result<void> compute_usage(sql::Engine& engine, const std::string& day, const std::string& bronze) {
  TRY_VOID(engine.query("CREATE OR REPLACE TEMP VIEW bronze_logs AS SELECT * FROM " + bronze));
  TRY_VOID(materialize(engine, "usage_15m", day));
  return materialize(engine, "usage_peak", day);
}

base::Result<void> compute_lines(sql::Engine& engine, const std::string& day, const std::vector<Rate>& rates) {
  TRY_VOID(engine.query(create_rates_sql(rates)));
  return materialize(engine, "invoice_lines", day);
}

base::Result<Content> content_of(sql::Engine& engine, std::string_view table, const std::string& relation) {
  std::string row;
  std::string_view columns = columns_of(table);
  while (!columns.empty()) {
    const auto comma = columns.find(", ");
    row += (row.empty() ? "CAST(" : " || chr(31) || CAST(") + std::string(columns.substr(0, comma)) + " AS VARCHAR)";
    columns = comma == std::string_view::npos ? std::string_view() : columns.substr(comma + 2);
  }
  TRY(const auto result, engine.query("SELECT count(*), CAST(coalesce(sum(CAST(md5_number_lower(" + row +
                                      ") AS HUGEINT)), 0) % 18446744073709551616 AS VARCHAR) FROM " + relation));
  const auto& text = result.rows[0][1].as_text();
  std::uint64_t sum = 0;
  std::from_chars(text.data(), text.data() + text.size(), sum);
  return Content{result.rows[0][0].as_int(), hex16(sum)};
}

base::Result<std::array<Amounts, kSlots>> slots_of(sql::Engine& engine, const std::string& relation) {
  TRY(const auto result, engine.query("SELECT slot, sum(events)::BIGINT, sum(bytes)::BIGINT, sum(errors)::BIGINT FROM " + relation +
                                      " GROUP BY slot ORDER BY slot"));
  std::array<Amounts, kSlots> slots;
  for (const auto& row : result.rows) {
    const auto slot = row[0].as_int();
    if (slot < 0 || slot >= static_cast<std::int64_t>(kSlots)) {
      return base::fail(base::ErrorKind::kCorrupt, "usage_15m has a slot " + std::to_string(slot) + "; a day has 0 to 95");
    }
    slots[static_cast<std::size_t>(slot)] = {row[1].as_int(), row[2].as_int(), row[3].as_int()};
  }
  return slots;
}

std::string hex16(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = kDigits[value & 15];
  return text;
}

}  // namespace headpond::billing
