#include "decode/convert.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/time.h"
#include "base/xxh3.h"
#include "decode/decoder.h"

namespace headpond::decode {
namespace {

// 2^63 is exact as a double; every double below it and at or above -2^63 fits an int64.
constexpr double kInt64End = 9223372036854775808.0;

// Bounds between seconds, ms, µs and ns: each leaves the years 1970 to 5138 to the coarser unit.
constexpr std::int64_t kSecondsEnd = 100'000'000'000;
constexpr std::int64_t kMillisEnd = kSecondsEnd * 1'000;
constexpr std::int64_t kMicrosEnd = kMillisEnd * 1'000;

struct Word {
  std::string_view word;
  std::int32_t number;
};

constexpr std::array<Word, 27> kSeverities{
    {{"trace", 1},      {"debug", 5},   {"dbg", 5},       {"info", 9},    {"information", 9}, {"informational", 9}, {"inf", 9},
     {"notice", 10},    {"warn", 13},   {"warning", 13},  {"wrn", 13},    {"error", 17},      {"err", 17},          {"severe", 17},
     {"eror", 17},      {"crit", 18},   {"critical", 18}, {"alert", 19},  {"fatal", 21},      {"panic", 21},        {"emerg", 22},
     {"emergency", 22}, {"verbose", 1}, {"fine", 5},      {"default", 9}, {"failure", 17},    {"dpanic", 20}}};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// What a byte of a message is: part of a word, and there a digit.
constexpr std::uint8_t kWord = 1, kDigit = 2;
constexpr auto kByteKinds = [] {
  std::array<std::uint8_t, 256> kinds{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (digit || letter || c == '_' || c == '-' || c == '.' || c >= 0x80) kinds[c] = digit ? kWord | kDigit : kWord;
  }
  return kinds;
}();
std::uint8_t kind_of(char c) {
  return kByteKinds[static_cast<unsigned char>(c)];
}

}  // namespace

std::optional<std::int64_t> int_of_text(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size() && !text.empty()) return value;
  const auto real = double_of_text(text);
  if (!real || *real != std::floor(*real) || *real < -kInt64End || *real >= kInt64End) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  return static_cast<std::int64_t>(*real);
}

std::optional<double> double_of_text(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> micros_of_number(std::int64_t number) {
  if (number < 0) return std::nullopt;
  if (number < kSecondsEnd) return number * 1'000'000;
  if (number < kMillisEnd) return number * 1'000;
  if (number < kMicrosEnd) return number;
  return number / 1'000;
}

std::optional<std::int64_t> micros_of_number(double number) {
  if (!(number >= 0) || number >= kInt64End) return std::nullopt;
  if (number < static_cast<double>(kSecondsEnd)) return std::llround(number * 1e6);
  if (number < static_cast<double>(kMillisEnd)) return std::llround(number * 1e3);
  if (number < static_cast<double>(kMicrosEnd)) return std::llround(number);
  return std::llround(number / 1e3);
}

std::optional<std::int64_t> micros_of_text(std::string_view text) {
  if (const auto t = base::parse_rfc3339(text)) return t->value();
  if (const auto i = int_of_text(text)) return micros_of_number(*i);
  if (const auto d = double_of_text(text)) return micros_of_number(*d);
  return std::nullopt;
}

std::optional<std::int32_t> severity_of_word(std::string_view word) {
  for (const auto& [name, number] : kSeverities)
    if (name.size() == word.size() && std::equal(name.begin(), name.end(), word.begin(), [](char a, char b) { return a == lower(b); }))
      return number;
  return std::nullopt;
}

std::int64_t pattern_id(std::string_view message) {
  // Enough to tell templates apart; what lies beyond does not change the pattern.
  std::array<char, 512> kept;
  std::size_t n = 0;
  for (std::size_t i = 0; i < message.size() && n + 1 < kept.size();) {
    const char c = message[i];
    if (c == '"' || c == '\'') {
      const auto close = message.find(c, i + 1);
      if (close != std::string_view::npos) {
        kept[n++] = '*';
        i = close + 1;
        continue;
      }
    }
    std::uint8_t kinds = kind_of(c);
    if (kinds == 0) {
      kept[n++] = c;
      ++i;
      continue;
    }
    const std::size_t begin = i;
    for (++i; i < message.size(); ++i) {
      const auto kind = kind_of(message[i]);
      if (kind == 0) break;
      kinds |= kind;
    }
    if ((kinds & kDigit) != 0) {
      kept[n++] = '*';
    } else {
      const std::size_t length = std::min(i - begin, kept.size() - n);
      std::copy_n(message.data() + begin, length, kept.data() + n);
      n += length;
    }
  }
  return static_cast<std::int64_t>(base::xxh3({kept.data(), n}));
}

}  // namespace headpond::decode
