// A YAML document as a tree that remembers where each thing stands. The only file that knows yaml-cpp is yaml.cpp.
//
// Aliases are followed, `<<` merges are applied, a key written twice is an issue. Threads: values; any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "spec/topology.h"

namespace headpond::spec {

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  std::string text;     // of a scalar, as written, quotes removed
  bool quoted = false;  // "5" is text where 5 is a number
  Place place;
  std::vector<std::shared_ptr<const Node>> items;
  std::vector<Entry> entries;

  const Node* find(std::string_view key) const;
};

struct Node::Entry {
  std::string key;
  Place place;  // of the key
  std::shared_ptr<const Node> value;
};

// "nothing", "a list", "a map", "the text \"abc\"": for messages. Never shows the value where `secret`.
std::string describe(const Node& node, bool secret = false);

// Reads the one document of `text`. On a syntax error appends an issue and returns null.
std::shared_ptr<const Node> parse_yaml(const std::string& text, const std::string& path, std::vector<Issue>& issues);

}  // namespace headpond::spec
