#include "rules/lexer.h"

#include <array>
#include <cctype>

namespace headpond::rules {
namespace {

bool is_word_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_word(char c) {
  return is_word_start(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (true) {
      while (at_ < source_.size() && std::isspace(static_cast<unsigned char>(source_[at_])) != 0) ++at_;
      Token token = next();
      const bool last = token.kind == Token::Kind::kEnd || token.kind == Token::Kind::kBad;
      tokens_.push_back(std::move(token));
      if (last) return std::move(tokens_);
    }
  }

 private:
  Token next() {
    if (at_ >= source_.size()) return {Token::Kind::kEnd, "", source_.size()};
    const char c = source_[at_];
    if (is_word_start(c)) return take(Token::Kind::kWord, is_word);
    if (is_digit(c)) return number();
    if (c == '\'') return quoted('\'', Token::Kind::kString);
    if (c == '"') return quoted('"', Token::Kind::kWord);
    if (c == '[') return duration();
    return symbol();
  }

  Token take(Token::Kind kind, bool (*more)(char)) {
    const std::size_t start = at_;
    while (at_ < source_.size() && more(source_[at_])) ++at_;
    return {kind, std::string(source_.substr(start, at_ - start)), start};
  }

  Token number() {
    const std::size_t start = at_;
    const auto digits = [&] {
      while (at_ < source_.size() && is_digit(source_[at_])) ++at_;
    };
    digits();
    if (at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1])) {
      ++at_;
      digits();
    }
    if (at_ < source_.size() && (source_[at_] == 'e' || source_[at_] == 'E')) {
      std::size_t exponent = at_ + 1;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
      if (exponent < source_.size() && is_digit(source_[exponent])) {
        at_ = exponent;
        digits();
      }
    }
    if (at_ < source_.size() && is_word_start(source_[at_])) {
      return {Token::Kind::kBad, "a number runs into `" + std::string(1, source_[at_]) + "`; put a space or an operator between them", at_};
    }
    return {Token::Kind::kNumber, std::string(source_.substr(start, at_ - start)), start};
  }

  // SQL's quoting: a doubled quote stands for one. '…' is a text, "…" a column name.
  Token quoted(char quote, Token::Kind kind) {
    const std::size_t start = at_++;
    std::string value;
    while (at_ < source_.size()) {
      if (source_[at_] != quote) {
        value += source_[at_++];
      } else if (at_ + 1 < source_.size() && source_[at_ + 1] == quote) {
        value += quote;
        at_ += 2;
      } else {
        ++at_;
        return {kind, std::move(value), start};
      }
    }
    return {Token::Kind::kBad, std::string("the ") + quote + " here has no closing " + quote, start};
  }

  Token duration() {
    const std::size_t start = at_;
    const std::size_t close = source_.find(']', at_);
    if (close == std::string_view::npos) return {Token::Kind::kBad, "the [ here has no closing ]; a window is written [5m]", start};
    at_ = close + 1;
    return {Token::Kind::kDuration, std::string(source_.substr(start + 1, close - start - 1)), start};
  }

  Token symbol() {
    static constexpr std::array<std::string_view, 17> kSymbols = {"<=", ">=", "==", "!=", "<>", "!~", "<", ">", "=",
                                                                  "~",  "(",  ")",  ",",  "+",  "-",  "*", "/"};
    for (const auto s : kSymbols) {
      if (source_.substr(at_, s.size()) != s) continue;
      at_ += s.size();
      return {Token::Kind::kSymbol, std::string(s), at_ - s.size()};
    }
    return {Token::Kind::kBad, "`" + std::string(1, source_[at_]) + "` means nothing here", at_};
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kEnd: return "the end";
    case Token::Kind::kString: return "the text '" + token.text + "'";
    case Token::Kind::kDuration: return "`[" + token.text + "]`";
    default: return "`" + token.text + "`";
  }
}

}  // namespace headpond::rules
