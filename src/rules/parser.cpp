// Recursive descent over lexer.h's tokens; the grammar stands in docs/guides/rules.md.
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/result.h"
#include "base/time.h"
#include "rules/expression.h"
#include "rules/lexer.h"

namespace headpond::rules {
namespace {

constexpr int kDepthMax = 64;
constexpr std::size_t kTextBytesMax = 16u << 10;
constexpr std::array<std::string_view, 9> kLaterAggregates = {"sum",      "min",      "max",        "avg", "rate",
                                                              "quantile", "distinct", "first_seen", "burn"};

class Parser {
 public:
  Parser(const SourceText& source, const std::vector<Column>& columns)
      : source_(source), columns_(columns), tokens_(tokenize(source.text)) {}

  ParsedExpression run() {
    ParsedExpression result;
    auto parsed = whole();
    if (parsed) {
      result.expression = std::move(*parsed);
    } else {
      result.issue = {source_.at(failed_at_), std::move(parsed.error().message)};
    }
    return result;
  }

 private:
  template <class T>
  using Result = base::Result<T>;

  const Token& peek() const { return tokens_[next_]; }
  Token take() { return tokens_[next_ + 1 < tokens_.size() ? next_++ : next_]; }
  bool is_symbol(std::string_view s) const { return peek().kind == Token::Kind::kSymbol && peek().text == s; }
  bool is_word(std::string_view w) const { return peek().kind == Token::Kind::kWord && lower(peek().text) == w; }
  bool accept_symbol(std::string_view s) { return is_symbol(s) && (take(), true); }
  bool accept_word(std::string_view w) { return is_word(w) && (take(), true); }

  static std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
  }

  std::unexpected<base::Error> fail_at(std::size_t offset, std::string message) {
    failed_at_ = offset;
    return base::fail(base::ErrorKind::kInvalid, std::move(message));
  }
  std::unexpected<base::Error> expected(std::string_view what) {
    if (peek().kind == Token::Kind::kBad) return fail_at(peek().offset, peek().text);
    return fail_at(peek().offset, "found " + describe(peek()) + "; expected " + std::string(what));
  }

  Result<Expression> whole() {
    if (source_.text.size() > kTextBytesMax) return fail_at(0, "the expression is longer than 16 KiB; split it into several rules");
    TRY(Expression e, disjunction(0));
    if (peek().kind != Token::Kind::kEnd) return expected("an operator or the end of the expression");
    if (!e.is_condition()) return fail_at(tokens_.back().offset, "the expression is a number; expected a comparison, such as `… > 500`");
    if (e.is_constant()) return fail_at(0, "the expression counts nothing; expected count(…)[window] or absent(…)[window]");
    return e;
  }

  static Expression join(Expression::Kind kind, Expression left, Expression right) {
    Expression e;
    e.kind = kind;
    e.offset = left.offset;
    e.children.push_back(std::move(left));
    e.children.push_back(std::move(right));
    return e;
  }

  Result<void> need_condition(const Expression& e) {
    if (!e.is_condition()) return fail_at(e.offset, "this is a number; `and` and `or` join conditions: compare it with something first");
    return {};
  }
  Result<void> need_number(const Expression& e) {
    if (e.is_condition()) return fail_at(e.offset, "this is a condition (true or false); expected a number or a count here");
    return {};
  }

  Result<Expression> disjunction(int depth) {
    if (depth > kDepthMax) return fail_at(peek().offset, "the expression nests more than 64 deep; split it into several rules");
    TRY(Expression left, conjunction(depth));
    while (accept_word("or")) {
      TRY(Expression right, conjunction(depth));
      TRY_VOID(need_condition(left));
      TRY_VOID(need_condition(right));
      left = join(Expression::Kind::kOr, std::move(left), std::move(right));
    }
    return left;
  }

  Result<Expression> conjunction(int depth) {
    TRY(Expression left, comparison(depth));
    while (accept_word("and")) {
      TRY(Expression right, comparison(depth));
      TRY_VOID(need_condition(left));
      TRY_VOID(need_condition(right));
      left = join(Expression::Kind::kAnd, std::move(left), std::move(right));
    }
    return left;
  }

  std::optional<Comparison> accept_comparison() {
    static constexpr std::array<std::pair<std::string_view, Comparison>, 8> kSigns = {{{"<=", Comparison::kLessEqual},
                                                                                       {">=", Comparison::kGreaterEqual},
                                                                                       {"==", Comparison::kEqual},
                                                                                       {"=", Comparison::kEqual},
                                                                                       {"!=", Comparison::kNotEqual},
                                                                                       {"<>", Comparison::kNotEqual},
                                                                                       {"<", Comparison::kLess},
                                                                                       {">", Comparison::kGreater}}};
    for (const auto& [sign, c] : kSigns)
      if (accept_symbol(sign)) return c;
    return std::nullopt;
  }

  Result<Expression> comparison(int depth) {
    TRY(Expression left, sum(depth));
    const auto sign = accept_comparison();
    if (!sign) return left;
    TRY_VOID(need_number(left));
    TRY(Expression right, sum(depth));
    TRY_VOID(need_number(right));
    Expression e = join(Expression::Kind::kCompare, std::move(left), std::move(right));
    e.comparison = *sign;
    return e;
  }

  Result<Expression> sum(int depth) {
    TRY(Expression left, product(depth));
    while (is_symbol("+") || is_symbol("-")) {
      const auto kind = take().text == "+" ? Expression::Kind::kAdd : Expression::Kind::kSubtract;
      TRY(Expression right, product(depth));
      TRY_VOID(need_number(left));
      TRY_VOID(need_number(right));
      left = join(kind, std::move(left), std::move(right));
    }
    return left;
  }

  Result<Expression> product(int depth) {
    TRY(Expression left, primary(depth));
    while (is_symbol("*") || is_symbol("/")) {
      const auto kind = take().text == "*" ? Expression::Kind::kMultiply : Expression::Kind::kDivide;
      TRY(Expression right, primary(depth));
      TRY_VOID(need_number(left));
      TRY_VOID(need_number(right));
      left = join(kind, std::move(left), std::move(right));
    }
    return left;
  }

  Result<Expression> primary(int depth) {
    const std::size_t offset = peek().offset;
    if (accept_symbol("(")) {
      TRY(Expression inner, disjunction(depth + 1));
      if (!accept_symbol(")")) return expected("`)`");
      inner.offset = offset;
      return inner;
    }
    if (accept_symbol("-")) {
      if (peek().kind != Token::Kind::kNumber) return expected("a number behind `-`");
      TRY(Expression e, number());
      e.number = -e.number;
      e.offset = offset;
      return e;
    }
    if (peek().kind == Token::Kind::kNumber) return number();
    if (peek().kind == Token::Kind::kWord) return aggregate();
    return expected("count(…)[window], absent(…)[window], a number or `(`");
  }

  Result<Expression> number() {
    const Token token = take();
    Expression e;
    e.offset = token.offset;
    const auto end = std::from_chars(token.text.data(), token.text.data() + token.text.size(), e.number);
    if (end.ec != std::errc() || !std::isfinite(e.number)) return fail_at(token.offset, "`" + token.text + "` is too large for a number");
    return e;
  }

  Result<Expression> aggregate() {
    const Token name = take();
    const std::string word = lower(name.text);
    if (std::find(kLaterAggregates.begin(), kLaterAggregates.end(), word) != kLaterAggregates.end())
      return fail_at(name.offset, "not supported yet: " + word + "; supported are count and absent");
    if (word != "count" && word != "absent") return unknown_aggregate(name);
    Expression e;
    e.kind = word == "count" ? Expression::Kind::kCount : Expression::Kind::kAbsent;
    e.offset = name.offset;
    if (!accept_symbol("(")) return expected("`(` behind " + word);
    if (!is_symbol(")")) {
      TRY(e.predicate, predicate_or(0));
    }
    if (is_word("where")) return fail_at(peek().offset, word + " takes the predicate alone: " + word + "(status >= 500)[5m]");
    if (!accept_symbol(")")) return expected("`)`, `and` or `or`");
    TRY(e.window, window(word));
    if (is_word("offset")) return fail_at(peek().offset, "not supported yet: offset; compare with a fixed number instead");
    return e;
  }

  std::unexpected<base::Error> unknown_aggregate(const Token& name) {
    const auto is_column = std::any_of(columns_.begin(), columns_.end(), [&](const auto& c) { return c.name == name.text; });
    if (is_column)
      return fail_at(name.offset,
                     "the column `" + name.text + "` stands alone; expected an aggregate over rows: count(" + name.text + " …)[5m]");
    const auto near = nearest_word(name.text, {"count", "absent"});
    return fail_at(name.offset, "found `" + name.text + "`; expected count(…)[window] or absent(…)[window]" +
                                    (near ? "; did you mean " + *near + "?" : ""));
  }

  Result<base::Duration> window(const std::string& word) {
    if (peek().kind != Token::Kind::kDuration) return expected("a window behind " + word + "(…), such as [5m]");
    const Token token = take();
    const auto parsed = base::parse_duration(token.text);
    if (!parsed || parsed->value() <= 0)
      return fail_at(token.offset, "found `[" + token.text + "]`; expected a window such as [30s], [5m] or [1h30m]");
    return *parsed;
  }

  // --- predicates over one row ---

  static Predicate join(Predicate::Kind kind, Predicate left, Predicate right) {
    Predicate p;
    p.kind = kind;
    p.children.push_back(std::move(left));
    p.children.push_back(std::move(right));
    return p;
  }

  Result<Predicate> predicate_or(int depth) {
    if (depth > kDepthMax) return fail_at(peek().offset, "the predicate nests more than 64 deep; split it into several rules");
    TRY(Predicate left, predicate_and(depth));
    while (accept_word("or")) {
      TRY(Predicate right, predicate_and(depth));
      left = join(Predicate::Kind::kOr, std::move(left), std::move(right));
    }
    return left;
  }

  Result<Predicate> predicate_and(int depth) {
    TRY(Predicate left, predicate_not(depth));
    while (accept_word("and")) {
      TRY(Predicate right, predicate_not(depth));
      left = join(Predicate::Kind::kAnd, std::move(left), std::move(right));
    }
    return left;
  }

  static Predicate negate(Predicate inner) {
    Predicate p;
    p.kind = Predicate::Kind::kNot;
    p.children.push_back(std::move(inner));
    return p;
  }

  Result<Predicate> predicate_not(int depth) {
    if (depth > kDepthMax) return fail_at(peek().offset, "the predicate nests more than 64 deep; split it into several rules");
    if (accept_word("not")) {
      TRY(Predicate inner, predicate_not(depth + 1));
      return negate(std::move(inner));
    }
    if (accept_symbol("(")) {
      TRY(Predicate inner, predicate_or(depth + 1));
      if (!accept_symbol(")")) return expected("`)`, `and` or `or`");
      return inner;
    }
    return test();
  }

  Result<Column> column() {
    if (peek().kind != Token::Kind::kWord) return expected("a column name, `not` or `(`");
    const Token token = take();
    const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const auto& c) { return c.name == token.text; });
    if (found != columns_.end()) return *found;
    std::vector<std::string> names;
    for (const auto& c : columns_) names.push_back(c.name);
    const auto near = nearest_word(token.text, names);
    std::string message = "there is no column `" + token.text + "`; ";
    if (near) return fail_at(token.offset, message + "did you mean " + *near + "?");
    std::sort(names.begin(), names.end());
    std::string list;
    for (const auto& n : names) list += (list.empty() ? "" : ", ") + n;
    return fail_at(token.offset, message + "the columns are " + list);
  }

  Result<Predicate> test() {
    TRY(const Column left, column());
    Predicate p;
    p.column = left.name;
    if (accept_word("is")) {
      const bool negated = accept_word("not");
      if (!accept_word("null")) return expected("`null`");
      p.kind = Predicate::Kind::kIsNull;
      return negated ? negate(std::move(p)) : p;
    }
    const bool negated = accept_word("not");
    if (is_word("in") || is_word("like")) {
      TRY(p, membership(left));
      return negated ? negate(std::move(p)) : p;
    }
    if (negated) return expected("`in` or `like` behind `not`");
    if (is_symbol("~") || is_symbol("!~")) return pattern(left);
    if (const auto sign = accept_comparison()) return compare(left, *sign);
    if (left.type == ColumnType::kBool) {
      p.kind = Predicate::Kind::kTruth;
      return p;
    }
    return expected("an operator behind `" + left.name + "`: =, !=, <, <=, >, >=, in, like, ~ or is null");
  }

  Result<Predicate> compare(const Column& left, Comparison sign) {
    Predicate p;
    p.column = left.name;
    p.comparison = sign;
    const bool boolean = is_word("true") || is_word("false");
    if (peek().kind == Token::Kind::kWord && !boolean) {
      if (is_word("null")) return fail_at(peek().offset, "a comparison with null is never true; write `" + left.name + " is null`");
      const std::size_t offset = peek().offset;
      TRY(const Column right, column());
      const auto family = [](ColumnType t) { return t == ColumnType::kInt32 || t == ColumnType::kInt64 ? ColumnType::kDouble : t; };
      if (family(left.type) != family(right.type))
        return fail_at(offset, "`" + left.name + "` is " + std::string(to_string(left.type)) + " and `" + right.name + "` is " +
                                   std::string(to_string(right.type)) + "; they cannot be compared");
      p.kind = Predicate::Kind::kColumns;
      p.other_column = right.name;
      return p;
    }
    p.kind = Predicate::Kind::kCompare;
    TRY(Literal value, literal(left));
    p.literals.push_back(std::move(value));
    return p;
  }

  Result<Predicate> membership(const Column& left) {
    Predicate p;
    p.column = left.name;
    if (accept_word("like")) {
      p.kind = Predicate::Kind::kLike;
      if (left.type != ColumnType::kString)
        return fail_at(peek().offset, "`" + left.name + "` is " + std::string(to_string(left.type)) + "; like works on string columns");
      TRY(Literal value, literal(left));
      p.literals.push_back(std::move(value));
      return p;
    }
    take();  // in
    p.kind = Predicate::Kind::kIn;
    if (!accept_symbol("(")) return expected("`(` behind in");
    do {
      TRY(Literal value, literal(left));
      p.literals.push_back(std::move(value));
    } while (accept_symbol(","));
    if (!accept_symbol(")")) return expected("`,` or `)`");
    return p;
  }

  Result<Predicate> pattern(const Column& left) {
    const bool negated = take().text == "!~";
    if (left.type != ColumnType::kString)
      return fail_at(peek().offset, "`" + left.name + "` is " + std::string(to_string(left.type)) + "; ~ works on string columns");
    const std::size_t offset = peek().offset;
    if (peek().kind != Token::Kind::kString) return expected("a regular expression in quotes: '^api-'");
    Predicate p;
    p.column = left.name;
    p.kind = Predicate::Kind::kMatch;
    const std::string text = take().text;
    const RE2 checked(text, RE2::Quiet);
    if (!checked.ok()) return fail_at(offset, "not a regular expression (RE2): " + checked.error());
    p.literals.emplace_back(text);
    return negated ? negate(std::move(p)) : p;
  }

  std::unexpected<base::Error> wrong_literal(const Column& c) {
    switch (c.type) {
      case ColumnType::kString: return expected("a text in quotes, as `" + c.name + "` is string: 'abc'");
      case ColumnType::kBool: return expected("true or false, as `" + c.name + "` is bool");
      case ColumnType::kTimestamp:
        return fail_at(peek().offset,
                       "not supported yet: comparing the timestamp `" + c.name + "` with a fixed time; the window already bounds ts");
      default: return expected("a number, as `" + c.name + "` is " + std::string(to_string(c.type)));
    }
  }

  Result<Literal> literal(const Column& c) {
    const bool numeric = c.type == ColumnType::kInt32 || c.type == ColumnType::kInt64 || c.type == ColumnType::kDouble;
    if (c.type == ColumnType::kString && peek().kind == Token::Kind::kString) return Literal(take().text);
    if (c.type == ColumnType::kBool && is_word("true")) return take(), Literal(true);
    if (c.type == ColumnType::kBool && is_word("false")) return take(), Literal(false);
    if (!numeric) return wrong_literal(c);
    const bool negative = accept_symbol("-");
    if (peek().kind != Token::Kind::kNumber) return wrong_literal(c);
    const Token token = take();
    const std::string text = (negative ? "-" : "") + token.text;
    std::int64_t integer = 0;
    const auto whole = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (whole.ec == std::errc() && whole.ptr == text.data() + text.size()) return Literal(integer);
    double real = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), real);
    if (end.ec != std::errc() || !std::isfinite(real)) return fail_at(token.offset, "`" + text + "` is too large for a number");
    return Literal(real);
  }

  const SourceText& source_;
  const std::vector<Column>& columns_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  std::size_t failed_at_ = 0;
};

}  // namespace

ParsedExpression parse_expression(const SourceText& source, const std::vector<Column>& columns) {
  return Parser(source, columns).run();
}

}  // namespace headpond::rules
