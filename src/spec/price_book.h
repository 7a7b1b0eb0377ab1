// What usage costs: the typed form of a price book (prices.yaml). Guide: docs/guides/billing.md.
//
//   auto loaded = spec::load_price_book(text, "prices.yaml");
//   if (!loaded.book) …print loaded.issues…
//   const auto* period = loaded.book->in_force(day);
//
// Money and volumes are exact decimals of nine places; a double never touches them. Values; threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "spec/topology.h"

namespace headpond::spec {

// A non-negative decimal below 10^9 with up to nine places: DECIMAL(18,9).
struct Decimal9 {
  std::int64_t billionths = 0;
  auto operator<=>(const Decimal9&) const = default;
};
// "0.5" → 500000000 billionths. Nothing for an exponent, a sign, a tenth place, 10^9 or more.
std::optional<Decimal9> parse_decimal9(std::string_view text);
std::string to_text(Decimal9 value);  // always with nine places: "0.500000000", as DECIMAL(18,9) prints

// One step of a graduated price: from the end of the tier before it (or of the included volume) up to `up_to`.
struct PriceTier {
  Place place;
  std::optional<Decimal9> up_to;  // counted behind the included volume; none: without end (always the last tier, only it)
  Decimal9 price;
};

// Empty tiers: that quantity is not charged.
struct Tariff {
  Place place;
  std::vector<PriceTier> per_gb;  // GB = 10^9 bytes
  std::vector<PriceTier> per_million_events;
  Decimal9 included_gb, included_million_events;  // a tenant and UTC day, free of charge
};

struct PricePeriod {
  Place place;
  std::optional<base::Micros> from;  // midnight of its first day; none: since ever
  Tariff everyone;
  std::map<std::string, Tariff> tenants;  // whole tariffs: what an override leaves out is filled in from `everyone`
};

struct PriceBook {
  std::string path;
  std::string currency;              // three capital letters
  std::vector<PricePeriod> periods;  // rising by `from`
  // The one that holds on the UTC day that starts at `day`. None: the book begins later.
  const PricePeriod* in_force(base::Micros day) const;
};

struct PriceBookResult {
  std::optional<PriceBook> book;  // absent when there are issues
  std::vector<Issue> issues;      // all of them, in file order
};

// `text` is the file's content, `path` its name. Never fails: problems are issues.
PriceBookResult load_price_book(const std::string& text, const std::string& path);

}  // namespace headpond::spec
