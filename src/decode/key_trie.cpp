#include "decode/key_trie.h"

#include <algorithm>

namespace headpond::decode {
namespace {

// One reference token of a pointer, "~1" and "~0" resolved (RFC 6901 section 4). Empty optional: a stray '~'.
base::Result<std::string> unescape(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      out += token[i];
      continue;
    }
    const char next = i + 1 < token.size() ? token[++i] : '\0';
    if (next != '0' && next != '1')
      return base::fail(base::ErrorKind::kInvalid, "'~' in a JSON pointer is written '~0', '/' inside a key '~1'");
    out += next == '0' ? '~' : '/';
  }
  return out;
}

}  // namespace

KeyTrie::Node* KeyTrie::Node::find_or_add(std::string_view name) {
  if (const Node* found = find(name)) return const_cast<Node*>(found);
  auto child = std::make_unique<Node>();
  child->key = name;
  const auto h = hash(name);
  next_by_hash.push_back(first_by_hash[h]);
  first_by_hash[h] = static_cast<std::int16_t>(children.size());
  children.push_back(std::move(child));
  return children.back().get();
}

base::Result<void> KeyTrie::add(std::string_view pointer, Want want) {
  if (pointer.empty() || pointer.front() != '/')
    return base::fail(base::ErrorKind::kInvalid,
                      "'" + std::string(pointer) + "' is not a JSON pointer: it starts with '/', as in /http/status");
  Node* node = &root_;
  for (std::string_view rest = pointer.substr(1);;) {
    const auto slash = rest.find('/');
    auto token = unescape(rest.substr(0, slash));
    if (!token) return std::unexpected(std::move(token).error().within(pointer));
    node = node->find_or_add(*token);
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (std::none_of(node->wants.begin(), node->wants.end(), [&](const Want& w) { return w.slot == want.slot; })) node->wants.push_back(want);
  return {};
}

}  // namespace headpond::decode
