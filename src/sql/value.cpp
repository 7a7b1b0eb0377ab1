#include <charconv>
#include <cmath>

#include "base/time.h"
#include "sql/engine.h"

namespace headpond::sql {

std::int64_t Value::as_int() const {
  if (const auto* b = std::get_if<bool>(&v)) return *b ? 1 : 0;
  HP_ASSERT(std::holds_alternative<std::int64_t>(v));
  return std::get<std::int64_t>(v);
}

double Value::as_double() const {
  if (const auto* i = std::get_if<std::int64_t>(&v)) return static_cast<double>(*i);
  HP_ASSERT(std::holds_alternative<double>(v));
  return std::get<double>(v);
}

const std::string& Value::as_text() const {
  HP_ASSERT(std::holds_alternative<std::string>(v));
  return std::get<std::string>(v);
}

std::string Value::to_text() const {
  if (const auto* b = std::get_if<bool>(&v)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&v)) return std::to_string(*i);
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  if (const auto* d = std::get_if<double>(&v)) {
    if (std::isnan(*d)) return "NaN";
    if (std::isinf(*d)) return *d > 0 ? "Infinity" : "-Infinity";
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, *d);
    return {text, end.ptr};
  }
  return "NULL";
}

std::string to_display(const Value& value, std::string_view type) {
  const auto* number = std::get_if<std::int64_t>(&value.v);
  if (number && type.starts_with("TIMESTAMP")) return base::format_rfc3339(base::Micros(*number));
  if (number && type == "DATE") return base::format_day(base::Micros(*number * base::kDay.value()));
  return value.to_text();
}

std::string quote_literal(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string list_literal(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const auto& text : texts) {
    if (list.size() > 1) list += ", ";
    list += quote_literal(text);
  }
  return list + "]";
}

}  // namespace headpond::sql
