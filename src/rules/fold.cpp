#include "rules/fold.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"

namespace headpond::rules {
namespace {

std::string quote_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string quote_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

// floor(t / step) for any sign, in integers.
std::string floor_sql(const std::string& t, std::int64_t step) {
  const std::string s = std::to_string(step);
  return "(" + t + " - ((" + t + " % " + s + ") + " + s + ") % " + s + ") // " + s;
}

// All distinct texts in order of appearance, with their places.
class Distinct {
 public:
  std::size_t add(const std::string& text) {
    const auto it = std::find(texts_.begin(), texts_.end(), text);
    if (it != texts_.end()) return static_cast<std::size_t>(it - texts_.begin());
    texts_.push_back(text);
    return texts_.size() - 1;
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::vector<std::string> texts_;
};

std::string fold_select(const FoldGroup& fold, std::size_t index, const FoldQuery& shape, Distinct& columns, Distinct& predicates) {
  const std::string lateness = std::to_string(fold.lateness.value());
  const std::string late = "hp_a - hp_t > " + lateness;
  std::string select = "SELECT " + std::to_string(index) + " AS g", group, any;
  for (std::size_t i = 0; i < shape.keys; ++i) {
    const bool own = i < fold.by.size();
    const std::string column =
        own ? "hp_k" + std::to_string(columns.add("CAST(" + quote_name(fold.by[i].name) + " AS VARCHAR)")) : "CAST(NULL AS VARCHAR)";
    select += ", " + column + " AS k" + std::to_string(i);
    if (own) group += ", " + column;
  }
  const std::string slice = "CASE WHEN " + late + " THEN " + floor_sql("(hp_a - " + lateness + ")", fold.interval.value()) + " ELSE " +
                            floor_sql("hp_t", fold.interval.value()) + " END";
  select += ", " + slice + " AS slice";
  std::string values, lates;
  for (std::size_t m = 0; m < shape.measures; ++m) {
    const bool own = m < fold.measures.size();
    const std::string p = own ? "hp_p" + std::to_string(predicates.add(fold.measures[m].predicate.sql())) : "";
    if (own) any += (any.empty() ? "" : " OR ") + p;
    const bool presence = own && fold.measures[m].kind == Measure::Kind::kPresence;
    std::string value = "CAST(NULL AS BIGINT)";
    if (presence) value = "max(" + floor_sql("hp_t", fold.interval.value()) + ") FILTER (WHERE " + p + ")";
    if (own && !presence) value = "count(*) FILTER (WHERE " + p + " AND NOT (" + late + "))";
    values += ", " + value + " AS v" + std::to_string(m);
    lates += ", " + (own ? "count(*) FILTER (WHERE " + p + " AND " + late + ")" : std::string("CAST(0 AS BIGINT)")) + " AS l" +
             std::to_string(m);
  }
  return select + values + lates + " FROM hp_rows WHERE " + any + " GROUP BY " + slice + group;
}

}  // namespace

FoldQuery fold_query(std::span<const FoldGroup> folds, std::string_view source) {
  FoldQuery query;
  for (const auto& fold : folds) {
    query.keys = std::max(query.keys, fold.by.size());
    query.measures = std::max(query.measures, fold.measures.size());
  }
  Distinct columns, predicates;
  std::string selects;
  for (std::size_t i = 0; i < folds.size(); ++i) {
    if (folds[i].measures.empty()) continue;
    selects += (selects.empty() ? "" : " UNION ALL ") + fold_select(folds[i], i, query, columns, predicates);
  }
  std::string rows = "SELECT epoch_us(ts) AS hp_t, epoch_us(arrival) AS hp_a", any;
  for (std::size_t i = 0; i < columns.texts().size(); ++i) rows += ", " + columns.texts()[i] + " AS hp_k" + std::to_string(i);
  for (std::size_t i = 0; i < predicates.texts().size(); ++i) {
    rows += ", coalesce(" + predicates.texts()[i] + ", false) AS hp_p" + std::to_string(i);
    any += (any.empty() ? "" : " OR ") + std::string("(") + predicates.texts()[i] + ")";
  }
  const std::string materialized = folds.size() > 1 ? "MATERIALIZED " : "";
  query.sql = "WITH hp_rows AS " + materialized + "(" + rows + " FROM " + std::string(source) + " WHERE " + any + ") " + selects;
  return query;
}

std::string key_json(const FoldGroup& fold, std::span<const std::optional<std::string>> values) {
  nlohmann::ordered_json key = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < fold.by.size(); ++i) {
    if (values[i]) {
      key[fold.by[i].name] = *values[i];
    } else {
      key[fold.by[i].name] = nullptr;
    }
  }
  return key.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<std::optional<std::string>> key_values(std::string_view key) {
  std::vector<std::optional<std::string>> values;
  const auto parsed = nlohmann::ordered_json::parse(key, nullptr, false);
  if (!parsed.is_object()) return values;
  for (const auto& item : parsed.items())
    values.push_back(item.value().is_string() ? std::optional(item.value().get<std::string>()) : std::nullopt);
  return values;
}

std::string rows_condition(const FoldGroup& fold, const Rule& rule, std::string_view key, base::Micros first, base::Micros last) {
  const auto time = [](base::Micros t) {
    std::string text = base::format_rfc3339(t);
    std::replace(text.begin(), text.end(), 'T', ' ');
    if (text.ends_with('Z')) text.pop_back();
    return "TIMESTAMP '" + text + "'";
  };
  std::string where = "ts >= " + time(first) + " AND ts < " + time(last);
  const auto values = key_values(key);
  for (std::size_t i = 0; i < fold.by.size() && i < values.size(); ++i) {
    const std::string name = quote_name(fold.by[i].name);
    const bool text = fold.by[i].type == ColumnType::kString;
    where += " AND " + name + (values[i] ? " = " + (text ? quote_text(*values[i]) : *values[i]) : " IS NULL");
  }
  std::string any;
  for (const int c : rule.counters) {
    const auto& measure = fold.measures[static_cast<std::size_t>(fold.counters[static_cast<std::size_t>(c)].measure)];
    if (measure.predicate.kind == Predicate::Kind::kTrue) return where;
    const std::string sql = "(" + measure.predicate.sql() + ")";
    if (any.find(sql) == std::string::npos) any += (any.empty() ? "" : " OR ") + sql;
  }
  return any.empty() ? where : where + " AND (" + any + ")";
}

}  // namespace headpond::rules
