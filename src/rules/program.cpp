#include "rules/program.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "rules/program_words.h"

namespace headpond::rules {
namespace {

using Json = nlohmann::ordered_json;

Json predicate_json(const Predicate& p) {
  Json out = {{"kind", kPredicateKinds[static_cast<std::size_t>(p.kind)]}};
  if (!p.column.empty()) out["column"] = p.column;
  if (p.kind == Predicate::Kind::kCompare || p.kind == Predicate::Kind::kColumns) out["op"] = to_string(p.comparison);
  if (!p.other_column.empty()) out["other_column"] = p.other_column;
  for (const auto& literal : p.literals) std::visit([&](const auto& v) { out["literals"].push_back(v); }, literal);
  for (const auto& child : p.children) out["children"].push_back(predicate_json(child));
  return out;
}

Json expression_json(const Expression& e) {
  Json out = {{"kind", kExpressionKinds[static_cast<std::size_t>(e.kind)]}};
  if (e.kind == Expression::Kind::kNumber) out["number"] = e.number;
  if (e.counter >= 0) out["counter"] = e.counter;
  if (e.kind == Expression::Kind::kCompare) out["op"] = to_string(e.comparison);
  for (const auto& child : e.children) out["children"].push_back(expression_json(child));
  return out;
}

Json rule_json(const Rule& rule) {
  Json out = {{"name", rule.name}, {"alert", rule.alert}};
  if (rule.id >= 0) out["id"] = rule.id;
  out.update(Json{{"for_us", rule.hold.value()},
                  {"keep_firing_for_us", rule.keep_firing.value()},
                  {"expression", expression_json(rule.expression)},
                  {"monotone", rule.monotone},
                  {"limit", rule.limit},
                  {"labels", rule.labels},
                  {"annotations", rule.annotations}});
  return out;
}

Json fold_json(const FoldGroup& fold) {
  Json out = {{"id", fold.id}, {"interval_us", fold.interval.value()}, {"lateness_us", fold.lateness.value()}};
  out["by"] = Json::array();
  for (const auto& column : fold.by) out["by"].push_back({{"name", column.name}, {"type", to_string(column.type)}});
  for (const auto& m : fold.measures) {
    out["measures"].push_back({{"kind", m.kind == Measure::Kind::kCount ? "count" : "presence"},
                               {"sql", m.predicate.sql()},
                               {"predicate", predicate_json(m.predicate)}});
    if (m.id >= 0) out["measures"].back()["id"] = m.id;
  }
  for (const auto& c : fold.counters) {
    out["counters"].push_back({{"measure", c.measure},
                               {"window_us", c.window.value()},
                               {"coarse_us", c.coarse.value()},
                               {"seen_within_us", c.seen_within.value()}});
    if (c.id >= 0) out["counters"].back().update({{"id", c.id}, {"valid_from_us", c.valid_from.value()}});
  }
  for (const auto& rule : fold.rules) out["rules"].push_back(rule_json(rule));
  return out;
}

int id_of(Dictionary& dictionary, const std::string& name, bool& added) {
  const auto [it, fresh] = dictionary.ids.try_emplace(name, dictionary.next);
  if (fresh) ++dictionary.next;
  added = added || fresh;
  return it->second;
}

}  // namespace

std::string Measure::name() const {
  return (kind == Kind::kCount ? "count:" : "presence:") + predicate.sql();
}

std::string Counter::name(const Measure& measure_of_it) const {
  std::string name = measure_of_it.name() + "[" + base::format_duration(window) + "]";
  if (measure_of_it.kind == Measure::Kind::kPresence) name += " seen_within " + base::format_duration(seen_within);
  return name;
}

base::Duration FoldGroup::window_max() const {
  base::Duration longest;
  for (const auto& c : counters) longest = std::max({longest, c.window, c.seen_within});
  return longest;
}

const Rule* Program::find(const std::string& name) const {
  for (const auto& fold : folds)
    for (const auto& rule : fold.rules)
      if (rule.name == name) return &rule;
  return nullptr;
}

std::string to_json(const Program& program) {
  Json out = {{"format", kFormat}, {"folds", Json::array()}};
  for (const auto& fold : program.folds) out["folds"].push_back(fold_json(fold));
  return out.dump();
}

std::string Dictionary::to_json() const {
  const Json out = {{"format", kFormat}, {"next", next}, {"ids", ids}, {"valid_from_us", valid_from}};
  return out.dump();
}

base::Result<Dictionary> parse_dictionary(std::string_view json) {
  const Json in = Json::parse(json, nullptr, false);
  if (!in.is_object() || !in.contains("format") || !in["format"].is_number_integer())
    return base::fail(base::ErrorKind::kCorrupt,
                      "the pager's dictionary is not readable; remove its local state so that it restores a checkpoint");
  if (in["format"].get<int>() > kFormat)
    return base::fail(base::ErrorKind::kInvalid,
                      "the pager's state has format " + in["format"].dump() + "; install the Headpond that wrote it");
  try {
    Dictionary out;
    out.next = in.at("next").get<int>();
    out.ids = in.at("ids").get<std::map<std::string, int>>();
    out.valid_from = in.at("valid_from_us").get<std::map<std::string, std::int64_t>>();
    return out;
  } catch (const Json::exception& e) {
    return base::fail(base::ErrorKind::kCorrupt, std::string("the pager's dictionary is not readable: ") + e.what());
  }
}

bool assign_ids(FoldGroup& fold, Dictionary& dictionary, std::optional<base::Micros> valid_from) {
  bool changed = false;
  std::set<std::string> used;
  for (auto& measure : fold.measures) {
    const std::string name = "m:" + measure.name();
    used.insert(name);
    measure.id = id_of(dictionary, name, changed);
  }
  for (auto& counter : fold.counters) {
    const std::string name = "c:" + counter.name(fold.measures[static_cast<std::size_t>(counter.measure)]);
    used.insert(name);
    if (!dictionary.ids.contains(name) && valid_from) dictionary.valid_from[name] = valid_from->value();
    counter.id = id_of(dictionary, name, changed);
    const auto from = dictionary.valid_from.find(name);
    counter.valid_from = base::Micros(from == dictionary.valid_from.end() ? INT64_MIN : from->second);
  }
  for (auto& rule : fold.rules) rule.id = id_of(dictionary, "r:" + rule.name, changed);
  // What is not counted any more must not come back under its old number with a hole in it. Rules keep theirs: a seq outlives its rule.
  changed =
      std::erase_if(dictionary.ids, [&](const auto& entry) { return !entry.first.starts_with("r:") && !used.contains(entry.first); }) > 0 ||
      changed;
  std::erase_if(dictionary.valid_from, [&](const auto& entry) { return !used.contains(entry.first); });
  return changed;
}

}  // namespace headpond::rules
