#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kafka/client.h"

namespace headpond::kafka {
namespace {

// Length of the well-formed UTF-8 sequence at `text` (RFC 3629), or 0.
std::size_t sequence_length(std::string_view text) {
  const auto at = [&](std::size_t i) -> unsigned { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto continues = [&](std::size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return at(1) >= low && at(1) <= high && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return at(1) >= low && at(1) <= high && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

// ASCII that stands in JSON as it is, as nearly all headers do.
bool is_plain(std::string_view text) {
  const auto odd = [](const char* bytes) {
    const auto all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const auto quote = _mm256_cmpeq_epi8(all, _mm256_set1_epi8('"')), escape = _mm256_cmpeq_epi8(all, _mm256_set1_epi8('\\'));
    const auto strange = _mm256_cmpgt_epi8(_mm256_set1_epi8(' '), all);  // controls, and as signed bytes all beyond ASCII
    return _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, escape), strange)) != 0;
  };
  for (; text.size() >= 32; text.remove_prefix(32))
    if (odd(text.data())) return false;
  char rest[32];
  std::memset(rest, ' ', sizeof rest);
  if (!text.empty()) std::memcpy(rest, text.data(), text.size());
  return !odd(rest);
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_base64(std::string_view bytes, std::string& out) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) word = word << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? kDigits[word >> (18 - 6 * j) & 63] : '=';
  }
}

void append_text(std::string_view text, std::string& out) {
  if (is_plain(text)) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  if (!is_utf8(text)) {
    out += "{\"base64\":\"";
    append_base64(text, out);
    out += "\"}";
    return;
  }
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void headers_json(std::span<const HeaderView> headers, std::string& out) {
  out.clear();
  out += '[';
  for (std::size_t i = 0; i < headers.size(); ++i) {
    out += i == 0 ? "[" : ",[";
    append_text(headers[i].first, out);
    out += ',';
    if (headers[i].second.data() == nullptr) {
      out += "null";
    } else {
      append_text(headers[i].second, out);
    }
    out += ']';
  }
  out += ']';
}

}  // namespace headpond::kafka
