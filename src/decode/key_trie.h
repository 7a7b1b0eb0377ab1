// The keys a decoder looks for, as a tree: one node per object (or array) on the way to a value.
//
// Built once; looking up a key costs a hash of its length and two characters and one compare. Threads: any, once built.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headpond::decode {

// A column that wants a value, and how good a source this one is (0 = best).
struct Want {
  std::uint16_t slot;
  std::uint8_t rank;
};

class KeyTrie {
 public:
  // Errors: kInvalid: not an RFC 6901 pointer, or the whole document.
  base::Result<void> add(std::string_view pointer, Want want);

  struct Node {
    std::string key;                              // unescaped
    std::vector<Want> wants;                      // of the value under this key
    std::vector<std::unique_ptr<Node>> children;  // inside the value
    std::array<std::int16_t, 64> first_by_hash;   // into children, -1 = none
    std::vector<std::int16_t> next_by_hash;       // chain
    Node() { first_by_hash.fill(-1); }

    const Node* find(std::string_view name) const {
      for (auto i = first_by_hash[hash(name)]; i >= 0; i = next_by_hash[static_cast<std::size_t>(i)]) {
        const auto& candidate = *children[static_cast<std::size_t>(i)];
        if (candidate.key.size() == name.size() && same(candidate.key.data(), name.data(), name.size())) return &candidate;
      }
      return nullptr;
    }
    Node* find_or_add(std::string_view name);
    static std::size_t hash(std::string_view name) {
      if (name.empty()) return 0;
      return (name.size() * 7 + static_cast<unsigned char>(name.front()) * 3u + static_cast<unsigned char>(name.back())) & 63u;
    }
  };

  // Without a call, for the short ones that keys are.
  static bool same(const char* a, const char* b, std::size_t size) {
    if (size < 8 || size > 32) return std::memcmp(a, b, size) == 0;
    const auto word = [](const char* at) {
      std::uint64_t value;
      std::memcpy(&value, at, sizeof value);
      return value;
    };
    auto differ = word(a + size - 8) ^ word(b + size - 8);
    for (std::size_t at = 0; at + 8 < size; at += 8) differ |= word(a + at) ^ word(b + at);
    return differ == 0;
  }

  const Node& root() const { return root_; }

 private:
  Node root_;
};

}  // namespace headpond::decode
