// Event times from text. Most records of a topic fall into the minute of the one before: its date is read once.
//
// Gives what micros_of_text gives, always. Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace headpond::decode {

class TimeText {
 public:
  std::optional<std::int64_t> micros(std::string_view text) {
    if (const auto in_minute = micros_in_minute(text)) return minute_ + *in_minute;
    return read(text);
  }

 private:
  static constexpr std::size_t kPrefix = 17;  // "2026-11-25T12:34:"

  // µs behind the minute, if `text` is the minute remembered and "SSZ" or "SS.fZ" with 1 to 6 digits.
  std::optional<std::int64_t> micros_in_minute(std::string_view text) const {
    if (text.size() < kPrefix + 3 || text.size() > kPrefix + 10 || text.back() != 'Z' || text.substr(0, kPrefix) != prefix())
      return std::nullopt;
    const auto tens = digit(text[kPrefix]), ones = digit(text[kPrefix + 1]);
    if (tens > 5 || ones > 9) return std::nullopt;
    std::int64_t micros = 0;
    if (text.size() > kPrefix + 3) {
      if (text[kPrefix + 2] != '.' || text.size() == kPrefix + 4) return std::nullopt;
      for (std::size_t i = kPrefix + 3; i < kPrefix + 9; ++i) {
        const auto d = i + 1 < text.size() ? digit(text[i]) : 0;
        if (d > 9) return std::nullopt;
        micros = micros * 10 + d;
      }
    }
    return (tens * 10 + ones) * 1'000'000 + micros;
  }

  static unsigned digit(char c) { return static_cast<unsigned char>(c) - static_cast<unsigned>('0'); }
  std::string_view prefix() const { return {prefix_, prefix_size_}; }
  std::optional<std::int64_t> read(std::string_view text);

  char prefix_[kPrefix] = {};
  std::size_t prefix_size_ = 0;  // 0: none yet
  std::int64_t minute_ = 0;      // µs since the epoch
};

}  // namespace headpond::decode
