#include "spec/price_book.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/time.h"
#include "spec/reader.h"

namespace headpond::spec {
namespace {

std::string kind_of(const YAML::Node& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  if (node.IsScalar()) return "\"" + node.Scalar() + "\"";
  return "nothing";
}

using Parsers = std::vector<std::pair<std::string, std::function<void(const YAML::Node&)>>>;

// Reads the tree and gathers every issue instead of stopping at the first.
class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  PriceBookResult read(const std::string& text);

 private:
  Place place(const YAML::Node& node) const {
    const auto mark = node.Mark();
    return {path_, mark.line + 1, mark.column + 1};
  }
  void issue(const YAML::Node& node, std::string message) { issues_.push_back({place(node), std::move(message)}); }

  void book(const YAML::Node& node, PriceBook& out);
  void period(const YAML::Node& node, PricePeriod& out);
  // `base`: what a tenant's override falls back on; null for the tariff of everyone.
  Parsers tariff_parsers(Tariff& out);
  void tenant_tariff(const YAML::Node& node, const Tariff& everyone, Tariff& out);
  void tiers(const YAML::Node& node, std::vector<PriceTier>& out);
  void tier(const YAML::Node& node, PriceTier& out);
  void included(const YAML::Node& node, Tariff& out);
  void check_order(const std::vector<PriceTier>& tiers);
  void map(const YAML::Node& node, const std::string& what, const Parsers& parsers, const std::vector<std::string>& required);
  std::optional<Decimal9> decimal(const YAML::Node& node, const std::string& what);

  std::string path_;
  std::vector<Issue> issues_;
};

void Reader::map(const YAML::Node& node, const std::string& what, const Parsers& parsers, const std::vector<std::string>& required) {
  if (!node.IsMap()) return issue(node, what + " is " + kind_of(node) + "; expected a mapping");
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    const auto key = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
    const auto known = std::ranges::find(parsers, key, [](const auto& p) { return p.first; });
    if (known == parsers.end()) {
      std::vector<std::string> names;
      for (const auto& [name, parse] : parsers) names.push_back(name);
      const auto near = did_you_mean(key, names);
      issue(entry.first, "unknown key `" + key + "` in " + what + (near.empty() ? "; expected " + one_of(names) : near));
    } else if (std::ranges::find(seen, key) != seen.end()) {
      issue(entry.first, "`" + key + "` stands twice in " + what);
    } else {
      known->second(entry.second);
    }
    seen.push_back(key);
  }
  for (const auto& name : required) {
    if (std::ranges::find(seen, name) == seen.end()) issue(node, what + " has no `" + name + "`");
  }
}

std::optional<Decimal9> Reader::decimal(const YAML::Node& node, const std::string& what) {
  if (node.IsScalar()) {
    if (const auto value = parse_decimal9(node.Scalar())) return value;
  }
  issue(node,
        what + " is " + kind_of(node) + "; expected a decimal number such as 0.25: not negative, below 1000000000, at most nine places");
  return std::nullopt;
}

void Reader::tier(const YAML::Node& node, PriceTier& out) {
  out.place = place(node);
  map(node, "a tier",
      {{"up_to", [&](const YAML::Node& n) { out.up_to = decimal(n, "up_to"); }},
       {"price", [&](const YAML::Node& n) { out.price = decimal(n, "price").value_or(Decimal9{}); }}},
      {"price"});
}

void Reader::tiers(const YAML::Node& node, std::vector<PriceTier>& out) {
  if (!node.IsSequence()) {
    PriceTier flat{.place = place(node), .up_to = {}, .price = {}};
    flat.price = decimal(node, "a price").value_or(Decimal9{});
    out.push_back(flat);
    return;
  }
  if (node.size() == 0) return issue(node, "a list of tiers is empty; expected at least {price: …}");
  for (const auto& entry : node) tier(entry, out.emplace_back());
  check_order(out);
}

void Reader::check_order(const std::vector<PriceTier>& tiers) {
  Decimal9 before{};
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const bool last = i + 1 == tiers.size();
    if (last && tiers[i].up_to)
      issues_.push_back({tiers[i].place, "the last tier has an `up_to`: what lies above it would have no price; add {price: …}"});
    if (!last && !tiers[i].up_to)
      issues_.push_back({tiers[i].place, "only the last tier may lack `up_to`: it says where the next one begins"});
    if (tiers[i].up_to && *tiers[i].up_to <= before) {
      issues_.push_back({tiers[i].place,
                         "up_to is " + to_text(*tiers[i].up_to) + "; expected more than " + to_text(before) + ", where this tier begins"});
    }
    before = tiers[i].up_to.value_or(before);
  }
}

void Reader::included(const YAML::Node& node, Tariff& out) {
  map(node, "included",
      {{"gb", [&](const YAML::Node& n) { out.included_gb = decimal(n, "included gb").value_or(Decimal9{}); }},
       {"million_events",
        [&](const YAML::Node& n) { out.included_million_events = decimal(n, "included million_events").value_or(Decimal9{}); }}},
      {});
}

Parsers Reader::tariff_parsers(Tariff& out) {
  return {{"per_gb", [&](const YAML::Node& n) { tiers(n, out.per_gb); }},
          {"per_million_events", [&](const YAML::Node& n) { tiers(n, out.per_million_events); }},
          {"included", [&](const YAML::Node& n) { included(n, out); }}};
}

void Reader::tenant_tariff(const YAML::Node& node, const Tariff& everyone, Tariff& out) {
  out.place = place(node);
  out.included_gb = everyone.included_gb;
  out.included_million_events = everyone.included_million_events;
  map(node, "a tenant's prices", tariff_parsers(out), {});
  if (out.per_gb.empty()) out.per_gb = everyone.per_gb;
  if (out.per_million_events.empty()) out.per_million_events = everyone.per_million_events;
}

void Reader::period(const YAML::Node& node, PricePeriod& out) {
  out.place = place(node);
  out.everyone.place = out.place;
  YAML::Node overrides(YAML::NodeType::Undefined);
  auto parsers = tariff_parsers(out.everyone);
  parsers.emplace_back("from", [&](const YAML::Node& n) {
    if (n.IsScalar()) out.from = base::parse_day(n.Scalar());
    if (!out.from) issue(n, "from is " + kind_of(n) + "; expected a UTC day such as 2026-01-31");
  });
  parsers.emplace_back("tenants", [&](const YAML::Node& n) { overrides.reset(n); });
  map(node, "an entry of prices", parsers, {});
  // Behind everything else, whatever the order in the file: an override falls back on the prices of everyone.
  if (!overrides.IsDefined()) return;
  if (!overrides.IsMap()) return issue(overrides, "tenants is " + kind_of(overrides) + "; expected a mapping from tenant to its prices");
  for (const auto& entry : overrides) {
    if (!out.tenants.contains(entry.first.Scalar())) {
      tenant_tariff(entry.second, out.everyone, out.tenants[entry.first.Scalar()]);
    } else {
      issue(entry.first, "`" + entry.first.Scalar() + "` stands twice in tenants");
    }
  }
}

void Reader::book(const YAML::Node& node, PriceBook& out) {
  const auto version = [&](const YAML::Node& n) {
    if (!n.IsScalar() || n.Scalar() != "1") issue(n, "version is " + kind_of(n) + "; this Headpond reads version 1");
  };
  const auto currency = [&](const YAML::Node& n) {
    out.currency = n.IsScalar() ? n.Scalar() : std::string();
    const bool code = out.currency.size() == 3 && std::ranges::all_of(out.currency, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!code) issue(n, "currency is " + kind_of(n) + "; expected an ISO 4217 code such as USD");
  };
  const auto prices = [&](const YAML::Node& n) {
    if (!n.IsSequence() || n.size() == 0) return issue(n, "prices is " + kind_of(n) + "; expected a list with an entry for each period");
    for (const auto& entry : n) period(entry, out.periods.emplace_back());
    for (std::size_t i = 1; i < out.periods.size(); ++i) {
      const auto &before = out.periods[i - 1], &now = out.periods[i];
      if (!now.from) {
        issues_.push_back({now.place, "only the first entry of prices may lack `from`: the day its prices begin to hold"});
      } else if (before.from && *now.from <= *before.from) {
        issues_.push_back({now.place, "from is " + base::format_day(*now.from) + "; expected a day after " +
                                          base::format_day(*before.from) + ", where the entry before it begins"});
      }
    }
  };
  map(node, "a price book", {{"version", version}, {"currency", currency}, {"prices", prices}}, {"version", "currency", "prices"});
}

PriceBookResult Reader::read(const std::string& text) {
  PriceBook out;
  out.path = path_;
  try {
    const auto root = YAML::Load(text);
    if (root.IsNull()) {
      issues_.push_back({{path_, 1, 1}, "the price book is empty; expected version, currency and prices"});
    } else {
      book(root, out);
    }
  } catch (const YAML::Exception& e) {
    issues_.push_back({{path_, e.mark.line + 1, e.mark.column + 1}, "not YAML: " + e.msg});
  }
  std::ranges::stable_sort(issues_, {}, [](const Issue& i) { return std::pair(i.place.line, i.place.column); });
  if (!issues_.empty()) return {std::nullopt, std::move(issues_)};
  return {std::move(out), {}};
}

}  // namespace

PriceBookResult load_price_book(const std::string& text, const std::string& path) {
  return Reader(path).read(text);
}

}  // namespace headpond::spec
