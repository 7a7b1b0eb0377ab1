#include "decode/json_text.h"

#include <immintrin.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace headpond::decode {
namespace {

constexpr std::size_t kFirst = 4096;
constexpr std::size_t kNumberMax = 32;
constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

TextKind kind_of(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); i += 32) {
    const auto bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + i));
    const auto quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"'));
    const auto escape = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'));
    const auto strange = _mm256_cmpgt_epi8(_mm256_set1_epi8(' '), bytes);  // controls, and as signed bytes all beyond ASCII
    auto found = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, escape), strange)));
    if (text.size() - i < 32) found &= (1u << (text.size() - i)) - 1;
    if (found != 0) return simdjson::validate_utf8(text.data(), text.size()) ? TextKind::kUnicode : TextKind::kInvalid;
  }
  return TextKind::kPlain;
}

void JsonText::grow(std::size_t n) {
  const auto capacity = std::max({kFirst, capacity_ * 2, used_ + n});
  auto data = std::make_unique_for_overwrite<char[]>(capacity);
  if (used_ > 0) std::memcpy(data.get(), data_.get(), used_);
  data_ = std::move(data);
  capacity_ = capacity;
}

void JsonText::string(std::string_view text, TextKind kind) {
  put('"');
  if (kind == TextKind::kPlain) {
    put(text);
    return put('"');
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': put("\\\""); break;
      case '\\': put("\\\\"); break;
      case '\n': put("\\n"); break;
      case '\r': put("\\r"); break;
      case '\t': put("\\t"); break;
      default:
        if (byte >= 0x20) {
          put(c);
        } else {
          put("\\u00");
          put(kHex[byte >> 4]);
          put(kHex[byte & 15]);
        }
    }
  }
  put('"');
}

void JsonText::base64(std::string_view bytes) {
  put('"');
  const auto byte = [&](std::size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u; };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    const auto left = bytes.size() - i;
    put(kBase64[three >> 18]);
    put(kBase64[(three >> 12) & 63]);
    put(left > 1 ? kBase64[(three >> 6) & 63] : '=');
    put(left > 2 ? kBase64[three & 63] : '=');
  }
  put('"');
}

void JsonText::integer(std::int64_t value) {
  reserve(kNumberMax);
  used_ = static_cast<std::size_t>(std::to_chars(data_.get() + used_, data_.get() + capacity_, value).ptr - data_.get());
}

void JsonText::real(double value) {
  if (std::isnan(value)) return put("\"NaN\"");
  if (std::isinf(value)) return put(value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  reserve(kNumberMax);
  // From 2^53 on with an exponent: without one it would be taken for an integer, and for one that is out of range.
  constexpr double kIntegers = 9007199254740992.0;
  char *const begin = data_.get() + used_, *const end = data_.get() + capacity_;
  const auto written =
      std::abs(value) < kIntegers ? std::to_chars(begin, end, value) : std::to_chars(begin, end, value, std::chars_format::scientific);
  used_ = static_cast<std::size_t>(written.ptr - data_.get());
}

}  // namespace headpond::decode
