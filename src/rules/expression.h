// The typed form of a rule's expression: `count(severity_number >= 17)[1m] > 500`. Language: docs/guides/rules.md.
//
//   auto parsed = parse_expression(source, columns);
//   if (!parsed.expression) …print parsed.issue…
//
// Pure; values; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace headpond::rules {

struct Place {  // 1-based
  std::string file;
  int line = 0, column = 0;
};

struct Issue {
  Place place;
  std::string message;  // found, expected, nearest word
};

// A text and where it stands in a file, so that an error inside it can be placed.
struct SourceText {
  std::string text;
  Place place;                 // of its first character
  bool newlines_kept = false;  // a literal block: each newline of `text` is one in the file, behind the same indentation
  Place at(std::size_t offset) const;
};

enum class ColumnType { kString, kInt32, kInt64, kDouble, kBool, kTimestamp };
std::string_view to_string(ColumnType type);

struct Column {
  std::string name;
  ColumnType type = ColumnType::kString;
};

// Bronze's own columns (docs/formats/bronze.md) that a predicate may use, without the declared ones.
std::vector<Column> builtin_columns();

// The word of `known` nearest to `word`, if one is near enough to be meant.
std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known);

using Literal = std::variant<bool, std::int64_t, double, std::string>;

enum class Comparison { kLess, kLessEqual, kEqual, kNotEqual, kGreaterEqual, kGreater };
std::string_view to_string(Comparison c);  // as in SQL: "<", "<=", "=", "<>", ">=", ">"

// Over one row. As in SQL: a null column makes a comparison unknown, and a row whose predicate is unknown is not counted.
struct Predicate {
  enum class Kind { kTrue, kCompare, kColumns, kIn, kLike, kMatch, kIsNull, kTruth, kAnd, kOr, kNot };
  Kind kind = Kind::kTrue;
  std::string column, other_column;  // kColumns compares two columns
  Comparison comparison = Comparison::kEqual;
  std::vector<Literal> literals;    // kCompare, kLike, kMatch: one; kIn: all
  std::vector<Predicate> children;  // kAnd, kOr: two; kNot: one

  // Portable, quoted SQL; parenthesised where it is not atomic. The canonical text: equal text, equal meaning.
  std::string sql() const;
};

// Over the aggregates of one key.
struct Expression {
  enum class Kind { kNumber, kCount, kAbsent, kAdd, kSubtract, kMultiply, kDivide, kCompare, kAnd, kOr };
  Kind kind = Kind::kNumber;
  double number = 0;
  Predicate predicate;     // kCount, kAbsent
  base::Duration window;   // kCount, kAbsent
  std::size_t offset = 0;  // in the source text, for messages
  int counter = -1;        // set by compile(): index into FoldGroup::counters
  Comparison comparison = Comparison::kGreater;
  std::vector<Expression> children;

  bool is_condition() const;  // true or false; otherwise a number
  bool contains_absent() const;
  bool is_constant() const;  // a number without aggregates
  // Can only become truer (a condition) or larger (a number) as further rows arrive.
  bool is_monotone() const;
  // As written, normalised: for the IR and for people.
  std::string text() const;
};

struct ParsedExpression {
  std::optional<Expression> expression;
  Issue issue;  // when there is none
};
ParsedExpression parse_expression(const SourceText& source, const std::vector<Column>& columns);

}  // namespace headpond::rules
