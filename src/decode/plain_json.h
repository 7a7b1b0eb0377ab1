// A parser for what most log records are: one JSON object of ASCII without escapes, whose keys come as they came before.
//
// parse() accepts only strictly valid JSON and hands the sink what simdjson would; anything out of the ordinary (an escape, a byte beyond
// ASCII, an exponent, more than 18 digits, deep nesting) and everything wrong is "not plain", and simdjson's to judge. A key that follows
// where it followed last time costs one compare of its whole text, without being scanned or looked up.
//
// The sink: void take(const KeyTrie::Node&, const Scalar&) for each value under a key of the trie, null left out; may be called for a
// document that turns out not to be plain. Threads: one at a time.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "decode/key_trie.h"
#include "decode/scalar.h"

namespace headpond::decode {

template <class Sink>
class PlainJson {
 public:
  // Requires columns::Batch::kPadding readable bytes behind `payload`. False: not plain.
  bool parse(std::string_view payload, const KeyTrie::Node& root, Sink& sink) {
    sink_ = &sink;
    end_ = payload.data() + payload.size();
    follow_ = &first_;
    const char* at = space(payload.data());
    if (at == end_ || *at != '{') return false;
    at = object(at, &root, 0);
    return at != nullptr && space(at) == end_;
  }

 private:
  using Node = KeyTrie::Node;
  static constexpr int kDepthMax = 16;
  static constexpr std::size_t kTokenMax = 48;  // less than Batch::kPadding: compared without looking for the end
  static constexpr std::size_t kStrangersMax = 256;
  static constexpr int kDigitsMax = 18;
  static constexpr std::int64_t kExactMax = std::int64_t{1} << 53;

  // A key seen before: its text with quotes and colon, and the key that came next.
  struct Member {
    std::array<char, kTokenMax> token{};
    std::size_t size = 0;
    const Node* parent = nullptr;
    const Node* child = nullptr;
    Member* next = nullptr;

    bool is_at(const char* at) const {
      if (size > 32) return std::memcmp(token.data(), at, size) == 0;
      const auto low = same(at, 0);
      if (size <= 16) return std::countr_one(low) >= static_cast<int>(size);
      return std::countr_one(low | same(at, 16) << 16) >= static_cast<int>(size);
    }
    std::uint32_t same(const char* at, std::size_t from) const {
      const auto a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + from));
      const auto b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(token.data() + from));
      return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)));
    }
  };

  // Each of these takes the place where its thing begins, and returns the place behind it; null: not plain.
  const char* space(const char* at) const {
    while (at < end_ && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
    return at;
  }

  // `at`: behind the opening quote. Returns the closing one.
  const char* text(const char* at) const {
    for (; at < end_; at += 32) {
      const auto bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
      const auto quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"'));
      const auto escape = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'));
      const auto strange = _mm256_cmpgt_epi8(_mm256_set1_epi8(' '), bytes);  // controls, and as signed bytes all beyond ASCII
      const auto found = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, escape), strange)));
      if (found == 0) continue;
      at += std::countr_zero(found);
      return *at == '"' ? at : nullptr;
    }
    return nullptr;
  }

  const char* object(const char* at, const Node* node, int depth) {
    if (depth == kDepthMax) return nullptr;
    at = space(at + 1);
    if (at < end_ && *at == '}') return at + 1;
    while (true) {
      const Node* child = nullptr;
      at = key(at, node, child);
      if (at == nullptr) return nullptr;
      at = value(space(at), child, depth);
      if (at == nullptr) return nullptr;
      at = space(at);
      if (at >= end_) return nullptr;
      if (*at == '}') return at + 1;
      if (*at != ',') return nullptr;
      at = space(at + 1);
    }
  }

  const char* array(const char* at, int depth) {
    if (depth == kDepthMax) return nullptr;
    at = space(at + 1);
    if (at < end_ && *at == ']') return at + 1;
    while (true) {
      at = value(at, nullptr, depth);
      if (at == nullptr) return nullptr;
      at = space(at);
      if (at >= end_) return nullptr;
      if (*at == ']') return at + 1;
      if (*at != ',') return nullptr;
      at = space(at + 1);
    }
  }

  // Behind the colon.
  const char* key(const char* at, const Node* parent, const Node*& child) {
    if (Member* const member = *follow_; member != nullptr && member->parent == parent && member->is_at(at)) {
      child = member->child;
      follow_ = &member->next;
      return at + member->size;
    }
    if (at >= end_ || *at != '"') return nullptr;
    const char* const close = text(at + 1);
    if (close == nullptr) return nullptr;
    if (parent != nullptr) child = parent->find({at + 1, static_cast<std::size_t>(close - at - 1)});
    const char* const colon = space(close + 1);
    if (colon >= end_ || *colon != ':') return nullptr;
    learn({at, static_cast<std::size_t>(colon + 1 - at)}, parent, child);
    return colon + 1;
  }

  // The next document is expected to have this key here.
  void learn(std::string_view token, const Node* parent, const Node* child) {
    Member* const member = token.size() <= kTokenMax ? find_or_add(token, parent, child) : nullptr;
    if (member == nullptr) {
      nowhere_ = nullptr;
      follow_ = &nowhere_;
      return;
    }
    *follow_ = member;
    follow_ = &member->next;
  }

  Member* find_or_add(std::string_view token, const Node* parent, const Node* child) {
    auto& bucket = members_[Node::hash(token.substr(1))];
    for (const auto& member : bucket)
      if (member->parent == parent && std::string_view(member->token.data(), member->size) == token) return member.get();
    if (child == nullptr && ++strangers_ > kStrangersMax) return nullptr;
    auto& member = *bucket.emplace_back(std::make_unique<Member>());
    std::memcpy(member.token.data(), token.data(), token.size());
    member.size = token.size();
    member.parent = parent;
    member.child = child;
    return &member;
  }

  // `node`: what is wanted of it, or null.
  const char* value(const char* at, const Node* node, int depth) {
    if (at >= end_) return nullptr;
    Scalar scalar;
    switch (*at) {
      case '"': {
        const char* const close = text(at + 1);
        if (close == nullptr) return nullptr;
        scalar.text = {at + 1, static_cast<std::size_t>(close - at - 1)};
        if (node != nullptr) sink_->take(*node, scalar);
        return close + 1;
      }
      case '{': return structure(at, node, depth, true);
      case '[': return structure(at, node, depth, false);
      case 't': return word(at, node, "true", 1);
      case 'f': return word(at, node, "false", 0);
      case 'n': return std::memcmp(at, "null", 4) == 0 ? at + 4 : nullptr;
      default: {
        const char* const behind = number(at, scalar);
        if (behind != nullptr && node != nullptr) sink_->take(*node, scalar);
        return behind;
      }
    }
  }

  const char* structure(const char* at, const Node* node, int depth, bool is_object) {
    const bool inside = node != nullptr && !node->children.empty();
    if (inside && !is_object) return nullptr;  // elements by number are rare
    const char* const behind = is_object ? object(at, inside ? node : nullptr, depth + 1) : array(at, depth + 1);
    if (behind == nullptr || node == nullptr || inside) return behind;
    Scalar scalar;
    scalar.kind = Scalar::Kind::kStructure;
    scalar.text = {at, static_cast<std::size_t>(behind - at)};
    sink_->take(*node, scalar);
    return behind;
  }

  const char* word(const char* at, const Node* node, std::string_view word, std::int64_t value) {
    if (std::memcmp(at, word.data(), word.size()) != 0) return nullptr;
    Scalar scalar;
    scalar.kind = Scalar::Kind::kBool;
    scalar.text = {at, word.size()};
    scalar.integer = value;
    if (node != nullptr) sink_->take(*node, scalar);
    return at + word.size();
  }

  static bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

  // Exact: an integer of at most 18 digits, or a quotient of two integers that a double holds (and so correctly rounded). Of more digits,
  // or an exponent, it stops short, where nothing that may follow a value is.
  static const char* number(const char* at, Scalar& out) {
    static constexpr std::array<double, kDigitsMax + 1> kPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                                                   1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    const char* const start = at;
    const bool negative = *at == '-';
    at += negative ? 1 : 0;
    const char* const digits = at;
    std::int64_t value = 0;
    for (; is_digit(*at) && at - digits < kDigitsMax; ++at) value = value * 10 + (*at - '0');
    const auto whole = at - digits;
    if (whole == 0 || (whole > 1 && *digits == '0')) return nullptr;
    std::ptrdiff_t decimals = 0;
    if (*at == '.') {
      const char* const fraction = ++at;
      for (; is_digit(*at) && whole + (at - fraction) < kDigitsMax; ++at) value = value * 10 + (*at - '0');
      decimals = at - fraction;
      if (decimals == 0 || value > kExactMax) return nullptr;
    }
    out.text = {start, static_cast<std::size_t>(at - start)};
    if (decimals == 0) {
      out.kind = Scalar::Kind::kInt;
      out.integer = negative ? -value : value;
    } else {
      out.kind = Scalar::Kind::kDouble;
      const auto real = static_cast<double>(value) / kPowers[static_cast<std::size_t>(decimals)];
      out.real = negative ? -real : real;
    }
    return at;
  }

  std::array<std::vector<std::unique_ptr<Member>>, 64> members_;
  std::size_t strangers_ = 0;
  Member* first_ = nullptr;    // the key a document begins with
  Member* nowhere_ = nullptr;  // where an expectation goes that is not kept

  // Of the document being parsed.
  Sink* sink_ = nullptr;
  const char* end_ = nullptr;
  Member** follow_ = nullptr;  // where the expectation of the next key stands
};

}  // namespace headpond::decode
