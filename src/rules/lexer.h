// Splits a rule expression into tokens. Pure; values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headpond::rules {

struct Token {
  enum class Kind { kWord, kNumber, kString, kSymbol, kDuration, kEnd, kBad };
  Kind kind = Kind::kEnd;
  std::string text;        // of a string: its value; of a duration: what stands between [ and ]; of kBad: what is wrong
  std::size_t offset = 0;  // in the source
};

// The last token is kEnd or kBad.
std::vector<Token> tokenize(std::string_view source);

// "`and`", "the text 'abc'", "the end": for messages.
std::string describe(const Token& token);

}  // namespace headpond::rules
