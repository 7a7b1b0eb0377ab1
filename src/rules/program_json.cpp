#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "rules/program.h"
#include "rules/program_words.h"

namespace headpond::rules {
namespace {

using Json = nlohmann::ordered_json;

// Throws std::invalid_argument for a word that is not among `words`.
template <class Words>
std::size_t place_of(const Words& words, const std::string& word, const char* what) {
  const auto it = std::ranges::find(words, word);
  if (it == words.end()) throw std::invalid_argument("`" + word + "` is no " + what + " this Headpond knows");
  return static_cast<std::size_t>(it - words.begin());
}

Comparison comparison_named(const std::string& sign) {
  using enum Comparison;
  for (const auto c : {kLess, kLessEqual, kEqual, kNotEqual, kGreaterEqual, kGreater})
    if (to_string(c) == sign) return c;
  throw std::invalid_argument("`" + sign + "` is no comparison this Headpond knows");
}

ColumnType type_named(const std::string& name) {
  using enum ColumnType;
  for (const auto type : {kString, kInt32, kInt64, kDouble, kBool, kTimestamp})
    if (to_string(type) == name) return type;
  throw std::invalid_argument("`" + name + "` is no type this Headpond knows");
}

Literal literal_of(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  return json.get<std::string>();
}

Predicate predicate_of(const Json& json) {
  Predicate p;
  p.kind = static_cast<Predicate::Kind>(place_of(kPredicateKinds, json.at("kind"), "predicate"));
  p.column = json.value("column", std::string());
  p.other_column = json.value("other_column", std::string());
  if (json.contains("op")) p.comparison = comparison_named(json["op"]);
  if (json.contains("literals"))
    for (const auto& literal : json["literals"]) p.literals.push_back(literal_of(literal));
  if (json.contains("children"))
    for (const auto& child : json["children"]) p.children.push_back(predicate_of(child));
  return p;
}

Expression expression_of(const Json& json, std::size_t counters) {
  Expression e;
  e.kind = static_cast<Expression::Kind>(place_of(kExpressionKinds, json.at("kind"), "expression"));
  e.number = json.value("number", 0.0);
  e.counter = json.value("counter", -1);
  const bool counts = e.kind == Expression::Kind::kCount || e.kind == Expression::Kind::kAbsent;
  if (counts && (e.counter < 0 || static_cast<std::size_t>(e.counter) >= counters))
    throw std::invalid_argument("an aggregate names no counter");
  if (json.contains("op")) e.comparison = comparison_named(json["op"]);
  if (json.contains("children"))
    for (const auto& child : json["children"]) e.children.push_back(expression_of(child, counters));
  const bool binary = !counts && e.kind != Expression::Kind::kNumber;
  if (e.children.size() != (binary ? 2 : 0)) throw std::invalid_argument("an expression has another number of sides");
  return e;
}

Measure measure_of(const Json& json) {
  static constexpr std::array<std::string_view, 2> kKinds = {"count", "presence"};
  Measure m;
  m.id = json.value("id", -1);
  m.kind = static_cast<Measure::Kind>(place_of(kKinds, json.at("kind"), "measure"));
  m.predicate = predicate_of(json.at("predicate"));
  return m;
}

Counter counter_of(const Json& json, std::size_t measures) {
  Counter c;
  c.id = json.value("id", -1);
  c.measure = json.at("measure");
  if (c.measure < 0 || static_cast<std::size_t>(c.measure) >= measures) throw std::invalid_argument("a counter names no measure");
  c.window = base::Duration(json.at("window_us").get<std::int64_t>());
  c.coarse = base::Duration(json.at("coarse_us").get<std::int64_t>());
  c.seen_within = base::Duration(json.at("seen_within_us").get<std::int64_t>());
  c.valid_from = base::Micros(json.value("valid_from_us", std::int64_t{0}));
  if (c.window.value() <= 0 || c.coarse.value() <= 0) throw std::invalid_argument("a counter has no window");
  return c;
}

// Each counter once, in the order of the expression.
void add_counters(const Expression& e, Rule& rule, const FoldGroup& fold) {
  if (e.counter >= 0 && std::ranges::find(rule.counters, e.counter) == rule.counters.end()) {
    rule.counters.push_back(e.counter);
    rule.window = std::max(rule.window, fold.counters[static_cast<std::size_t>(e.counter)].window);
  }
  for (const auto& child : e.children) add_counters(child, rule, fold);
}

Rule rule_of(const Json& json, const FoldGroup& fold) {
  Rule rule;
  rule.id = json.value("id", -1);
  rule.name = json.at("name");
  rule.alert = json.at("alert");
  rule.group = rule.name.substr(0, rule.name.size() - std::min(rule.name.size(), rule.alert.size() + 1));
  rule.hold = base::Duration(json.at("for_us").get<std::int64_t>());
  rule.keep_firing = base::Duration(json.at("keep_firing_for_us").get<std::int64_t>());
  rule.expression = expression_of(json.at("expression"), fold.counters.size());
  rule.monotone = json.at("monotone");
  rule.has_absent = rule.expression.contains_absent();
  rule.limit = json.at("limit");
  rule.labels = json.at("labels").get<std::map<std::string, std::string>>();
  rule.annotations = json.at("annotations").get<std::map<std::string, std::string>>();
  add_counters(rule.expression, rule, fold);
  return rule;
}

FoldGroup fold_of(const Json& json) {
  FoldGroup fold;
  fold.id = json.at("id");
  fold.interval = base::Duration(json.at("interval_us").get<std::int64_t>());
  fold.lateness = base::Duration(json.at("lateness_us").get<std::int64_t>());
  if (fold.interval.value() <= 0 || fold.lateness.value() < 0) throw std::invalid_argument("a fold group has no interval");
  for (const auto& column : json.at("by")) fold.by.push_back({column.at("name"), type_named(column.at("type"))});
  for (const auto& measure : json.at("measures")) fold.measures.push_back(measure_of(measure));
  for (const auto& counter : json.at("counters")) fold.counters.push_back(counter_of(counter, fold.measures.size()));
  for (const auto& rule : json.at("rules")) fold.rules.push_back(rule_of(rule, fold));
  return fold;
}

}  // namespace

base::Result<Program> parse_program(std::string_view json) {
  try {
    const Json in = Json::parse(json);
    if (const int format = in.at("format"); format > kFormat)
      return base::fail(base::ErrorKind::kInvalid, "the rules have format " + std::to_string(format) + ", this Headpond runs " +
                                                       std::to_string(kFormat) + "; install the Headpond that compiled them");
    Program program;
    for (const auto& fold : in.at("folds")) program.folds.push_back(fold_of(fold));
    return program;
  } catch (const std::exception& e) {
    return base::fail(base::ErrorKind::kInvalid, std::string("the rules cannot be read (") + e.what() + "); deploy them again");
  }
}

}  // namespace headpond::rules
