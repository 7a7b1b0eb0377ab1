#include "billing/rates.h"

#include "sql/engine.h"

namespace headpond::billing {
namespace {

void add_item(const std::optional<std::string>& tenant, const std::string& item, spec::Decimal9 included,
              const std::vector<spec::PriceTier>& tiers, const std::string& currency, std::vector<Rate>& out) {
  if (tiers.empty()) return;
  spec::Decimal9 lower{};
  if (included.billionths > 0) {
    out.push_back({tenant, item, 0, to_text(lower), to_text(included), to_text(spec::Decimal9{}), currency});
    lower = included;
  }
  int number = 1;
  for (const auto& tier : tiers) {
    std::optional<spec::Decimal9> upper;
    if (tier.up_to) upper = spec::Decimal9{tier.up_to->billionths + included.billionths};
    out.push_back(
        {tenant, item, number++, to_text(lower), upper ? std::optional(to_text(*upper)) : std::nullopt, to_text(tier.price), currency});
    lower = upper.value_or(lower);
  }
}

void add_tariff(const std::optional<std::string>& tenant, const spec::Tariff& tariff, const std::string& currency, std::vector<Rate>& out) {
  add_item(tenant, "gb", tariff.included_gb, tariff.per_gb, currency, out);
  add_item(tenant, "million_events", tariff.included_million_events, tariff.per_million_events, currency, out);
}

std::string literal(const std::optional<std::string>& text) {
  return text ? sql::quote_literal(*text) : "NULL";
}

}  // namespace

std::vector<Rate> rates_of(const spec::PricePeriod& period, const std::string& currency) {
  std::vector<Rate> out;
  add_tariff(std::nullopt, period.everyone, currency, out);
  for (const auto& [tenant, tariff] : period.tenants) add_tariff(tenant, tariff, currency, out);
  return out;
}

std::string create_rates_sql(const std::vector<Rate>& rates) {
  std::string sql =
      "CREATE OR REPLACE TEMP TABLE billing_rates (tenant VARCHAR, item VARCHAR, tier INTEGER, lower_bound DECIMAL(19,9), "
      "upper_bound DECIMAL(19,9), unit_price DECIMAL(18,9), currency VARCHAR);";
  for (const auto& rate : rates) {
    sql += " INSERT INTO billing_rates VALUES (" + literal(rate.tenant) + ", " + literal(rate.item) + ", " + std::to_string(rate.tier) +
           ", " + literal(rate.lower) + ", " + literal(rate.upper) + ", " + literal(rate.price) + ", " + literal(rate.currency) + ");";
  }
  return sql;
}

}  // namespace headpond::billing
