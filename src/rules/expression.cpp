#include "rules/expression.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/time.h"

namespace headpond::rules {
namespace {

std::string number_text(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

std::string quote_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

std::string quote_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string literal_sql(const Literal& literal) {
  if (const auto* b = std::get_if<bool>(&literal)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&literal)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&literal)) {
    const std::string text = number_text(*d);
    return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
  }
  return quote_text(std::get<std::string>(literal));
}

std::string_view arithmetic_sign(Expression::Kind kind) {
  switch (kind) {
    case Expression::Kind::kAdd: return " + ";
    case Expression::Kind::kSubtract: return " - ";
    case Expression::Kind::kMultiply: return " * ";
    default: return " / ";
  }
}

// The value of a constant number; requires is_constant().
double constant_value(const Expression& e) {
  if (e.kind == Expression::Kind::kNumber) return e.number;
  const double left = constant_value(e.children[0]), right = constant_value(e.children[1]);
  switch (e.kind) {
    case Expression::Kind::kAdd: return left + right;
    case Expression::Kind::kSubtract: return left - right;
    case Expression::Kind::kMultiply: return left * right;
    default: return left / right;
  }
}

}  // namespace

Place SourceText::at(std::size_t offset) const {
  Place p = place;
  const std::string_view before = std::string_view(text).substr(0, std::min(offset, text.size()));
  if (!newlines_kept) {
    p.column += static_cast<int>(before.size());
    return p;
  }
  p.line += static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  const auto newline = before.rfind('\n');
  p.column += static_cast<int>(newline == std::string_view::npos ? before.size() : before.size() - newline - 1);
  return p;
}

std::string_view to_string(ColumnType type) {
  switch (type) {
    case ColumnType::kString: return "string";
    case ColumnType::kInt32: return "int32";
    case ColumnType::kInt64: return "int64";
    case ColumnType::kDouble: return "double";
    case ColumnType::kBool: return "bool";
    case ColumnType::kTimestamp: return "timestamp";
  }
  return "";
}

std::vector<Column> builtin_columns() {
  using enum ColumnType;
  return {{"ts", kTimestamp},          {"arrival", kTimestamp},    {"bytes", kInt32},        {"source", kString},
          {"kafka_partition", kInt32}, {"kafka_offset", kInt64},   {"record_index", kInt32}, {"kafka_timestamp", kTimestamp},
          {"pattern_id", kInt64},      {"kafka_headers", kString}, {"error", kString}};
}

std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j <= candidate.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t change = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
      }
    }
    const bool prefix = candidate.size() > word.size() && word.size() >= 3 && candidate.starts_with(word);
    const std::size_t distance = prefix ? 1 : row.back();
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string_view to_string(Comparison c) {
  static constexpr std::array<std::string_view, 6> kNames = {"<", "<=", "=", "<>", ">=", ">"};
  return kNames[static_cast<std::size_t>(c)];
}

std::string Predicate::sql() const {
  const auto in_parentheses = [](const Predicate& p) {
    const bool compound = p.kind == Kind::kAnd || p.kind == Kind::kOr || p.kind == Kind::kNot;
    return compound ? "(" + p.sql() + ")" : p.sql();
  };
  switch (kind) {
    case Kind::kTrue: return "true";
    case Kind::kCompare: return quote_name(column) + " " + std::string(to_string(comparison)) + " " + literal_sql(literals[0]);
    case Kind::kColumns: return quote_name(column) + " " + std::string(to_string(comparison)) + " " + quote_name(other_column);
    case Kind::kIn: {
      std::string out = quote_name(column) + " IN (";
      for (std::size_t i = 0; i < literals.size(); ++i) out += (i == 0 ? "" : ", ") + literal_sql(literals[i]);
      return out + ")";
    }
    case Kind::kLike: return quote_name(column) + " LIKE " + literal_sql(literals[0]);
    case Kind::kMatch: return "regexp_matches(" + quote_name(column) + ", " + literal_sql(literals[0]) + ")";
    case Kind::kIsNull: return quote_name(column) + " IS NULL";
    case Kind::kTruth: return quote_name(column);
    case Kind::kAnd: return in_parentheses(children[0]) + " AND " + in_parentheses(children[1]);
    case Kind::kOr: return in_parentheses(children[0]) + " OR " + in_parentheses(children[1]);
    case Kind::kNot: return "NOT " + in_parentheses(children[0]);
  }
  return "true";
}

bool Expression::is_condition() const {
  return kind == Kind::kAbsent || kind == Kind::kCompare || kind == Kind::kAnd || kind == Kind::kOr;
}

bool Expression::contains_absent() const {
  return kind == Kind::kAbsent || std::any_of(children.begin(), children.end(), [](const auto& c) { return c.contains_absent(); });
}

bool Expression::is_constant() const {
  if (kind == Kind::kCount || kind == Kind::kAbsent) return false;
  return std::all_of(children.begin(), children.end(), [](const auto& c) { return c.is_constant(); });
}

bool Expression::is_monotone() const {
  const auto both = [&] { return children[0].is_monotone() && children[1].is_monotone(); };
  switch (kind) {
    case Kind::kNumber: return true;
    case Kind::kCount: return true;
    case Kind::kAdd:
    case Kind::kAnd:
    case Kind::kOr: return both();
    case Kind::kSubtract: return children[0].is_monotone() && children[1].is_constant();
    case Kind::kMultiply: {
      const bool right = children[1].is_constant();
      const Expression& factor = children[right ? 1 : 0];
      return factor.is_constant() && constant_value(factor) >= 0 && children[right ? 0 : 1].is_monotone();
    }
    case Kind::kDivide: return children[1].is_constant() && constant_value(children[1]) > 0 && children[0].is_monotone();
    case Kind::kCompare: {
      const bool rising = comparison == Comparison::kGreater || comparison == Comparison::kGreaterEqual;
      const bool falling = comparison == Comparison::kLess || comparison == Comparison::kLessEqual;
      return (rising && children[0].is_monotone() && children[1].is_constant()) ||
             (falling && children[0].is_constant() && children[1].is_monotone());
    }
    case Kind::kAbsent: return false;
  }
  return false;
}

std::string Expression::text() const {
  const auto window_text = [&](std::string_view name) {
    const std::string inner = predicate.kind == Predicate::Kind::kTrue ? "" : predicate.sql();
    return std::string(name) + "(" + inner + ")[" + base::format_duration(window) + "]";
  };
  const auto child = [&](std::size_t i) { return children[i].children.empty() ? children[i].text() : "(" + children[i].text() + ")"; };
  switch (kind) {
    case Kind::kNumber: return number_text(number);
    case Kind::kCount: return window_text("count");
    case Kind::kAbsent: return window_text("absent");
    case Kind::kCompare: return child(0) + " " + std::string(to_string(comparison)) + " " + child(1);
    case Kind::kAnd: return child(0) + " and " + child(1);
    case Kind::kOr: return child(0) + " or " + child(1);
    default: return child(0) + std::string(arithmetic_sign(kind)) + child(1);
  }
}

}  // namespace headpond::rules
