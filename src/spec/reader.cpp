#include "spec/reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/time.h"

namespace headpond::spec {
namespace {

constexpr base::Duration kLongest = base::kDay * 36'500;  // sums of a few stay far from overflow

std::string trim_end(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// "512MiB", "1GiB": bytes.
std::optional<std::int64_t> parse_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, int>, 3> kUnits{{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}}};
  for (const auto& [unit, bits] : kUnits) {
    if (!text.ends_with(unit)) continue;
    text.remove_suffix(unit.size());
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0 || number >= 1ll << (60 - bits)) return std::nullopt;
    return number << bits;
  }
  return std::nullopt;
}

// What one `${name}` stands for; reports and returns nullopt when nothing does.
std::optional<std::string> look_up(Context& context, const Place& place, const std::string& name) {
  if (name.starts_with("file:")) {
    auto value = context.secrets.file(name.substr(5));
    if (!value) context.report(place, "${" + name + "}: that file cannot be read; create it, or allow this user to read it");
    return value ? std::optional(trim_end(std::move(*value))) : std::nullopt;
  }
  const bool good = !name.empty() &&
                    std::all_of(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
  if (!good) {
    context.report(place, "`${" + name + "}` is no name; expected ${NAME} of an environment variable, or ${file:path}");
    return std::nullopt;
  }
  auto value = context.secrets.environment(name);
  if (!value) context.report(place, "the environment variable " + name + " is not set; export it, or write ${file:path}");
  return value;
}

std::optional<std::string> expand(Context& context, const Node& node) {
  std::string out;
  std::string_view rest = node.text;
  bool good = true;
  for (;;) {
    const auto at = rest.find("${");
    out += rest.substr(0, at);
    if (at == std::string_view::npos) break;
    if (at > 0 && rest[at - 1] == '$') {  // "$${" is a literal "${"
      out += "{";
      rest.remove_prefix(at + 2);
      continue;
    }
    const auto end = rest.find('}', at);
    if (end == std::string_view::npos) {
      context.report(node.place, "`${` without its `}`; write $${ for the two characters themselves");
      return std::nullopt;
    }
    const std::string name(rest.substr(at + 2, end - at - 2));
    if (const auto value = look_up(context, node.place, name)) {
      context.expanded["${" + name + "}"] = *value;
      out += *value;
    } else {
      good = false;
    }
    rest.remove_prefix(end + 1);
  }
  return good ? std::optional(out) : std::nullopt;
}

// Numbers as YAML writes them: 50e9, 2.5, 1_000 is not one.
std::optional<double> parse_number(const Node& node) {
  if (node.kind != Node::Kind::kScalar || node.quoted) return std::nullopt;
  std::string_view text = node.text;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string plain(double value) {
  char buffer[40];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : "?";
}

}  // namespace

std::optional<std::string> read_text(Context& context, const Node& node, const std::string& what, Expand mode) {
  if (node.kind != Node::Kind::kScalar) {
    context.report(node.place, what + ": found " + describe(node, true) + "; expected a text");
    return std::nullopt;
  }
  if (mode != Expand::kNo) return expand(context, node);
  if (node.text.find("${") != std::string::npos) {
    context.report(node.place, what + ": ${…} is not replaced here, since this value is shown to people; write the value itself");
    return std::nullopt;
  }
  return node.text;
}

Fields::Fields(Context& context, const Node* node, const Place& place, std::string what, std::vector<std::string> keys)
    : context_(context), node_(node), place_(place), what_(std::move(what)) {
  if (node_ == nullptr) return;
  if (node_->kind != Node::Kind::kMap) {
    context_.report(node_->place, what_ + ": found " + describe(*node_, true) + "; expected a map with " + one_of(keys));
    node_ = nullptr;
    return;
  }
  for (const auto& entry : node_->entries) {
    if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) continue;
    const auto near = nearest(entry.key, keys);
    if (near) meant_.push_back(*near);
    context_.report(entry.place, "unknown key `" + entry.key + "` in " + what_ +
                                     (near ? "; did you mean `" + *near + "`?" : "; expected " + one_of(keys)));
  }
}

std::string Fields::path_of(std::string_view key) const {
  if (what_.find(' ') != std::string::npos) return std::string(key) + " of " + what_;
  return what_ + "." + std::string(key);
}

const Node* Fields::find(std::string_view key) const {
  const Node* node = node_ == nullptr ? nullptr : node_->find(key);
  return node == nullptr || node->kind == Node::Kind::kNull ? nullptr : node;
}

std::optional<Place> Fields::key_place(std::string_view key) const {
  if (node_ != nullptr)
    for (const auto& entry : node_->entries)
      if (entry.key == key) return entry.place;
  return std::nullopt;
}

std::map<std::string, Place> Fields::places() const {
  std::map<std::string, Place> places;
  if (node_ != nullptr)
    for (const auto& entry : node_->entries)
      places[entry.key] = entry.value->kind == Node::Kind::kScalar ? entry.value->place : entry.place;
  return places;
}

const Node* Fields::require(std::string_view key, std::string_view example) {
  const Node* node = find(key);
  const bool meant = std::find(meant_.begin(), meant_.end(), key) != meant_.end();
  if (node == nullptr && node_ != nullptr && !meant)
    context_.report(key_place(key).value_or(place_), what_ + " has no `" + std::string(key) + "`; expected " + std::string(example));
  return node;
}

void Fields::text(std::string_view key, std::string& out, Expand mode) {
  const Node* node = find(key);
  if (node == nullptr) return;
  if (auto value = read_text(context_, *node, path_of(key), mode)) out = std::move(*value);
}

void Fields::number(std::string_view key, double& out, double least, double most) {
  const Node* node = find(key);
  if (node == nullptr) return;
  const auto value = parse_number(*node);
  if (!value) {
    context_.report(node->place, path_of(key) + ": found " + describe(*node) + "; expected a number such as 2.5 or 50e9");
  } else if (*value < least || *value > most) {
    context_.report(node->place,
                    path_of(key) + ": found " + describe(*node) + "; expected a number from " + plain(least) + " to " + plain(most));
  } else {
    out = *value;
  }
}

void Fields::integer(std::string_view key, int& out, int least, int most) {
  const Node* node = find(key);
  if (node == nullptr) return;
  const auto value = parse_number(*node);
  if (!value || *value != std::floor(*value) || *value < least || *value > most) {
    context_.report(node->place, path_of(key) + ": found " + describe(*node) + "; expected a whole number from " + std::to_string(least) +
                                     " to " + std::to_string(most));
    return;
  }
  out = static_cast<int>(*value);
}

void Fields::duration(std::string_view key, base::Duration& out, base::Duration least) {
  const Node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->kind == Node::Kind::kScalar ? base::parse_duration(node->text) : std::nullopt;
  if (!value) {
    context_.report(node->place,
                    path_of(key) + ": found " + describe(*node) + "; expected a duration such as 250ms, 30s, 5m, 24h or 1h30m");
  } else if (*value > kLongest) {
    context_.report(node->place, path_of(key) + ": found " + describe(*node) + "; expected at most " + base::format_duration(kLongest));
  } else if (*value < least) {
    context_.report(node->place, path_of(key) + ": found " + describe(*node) + "; expected at least " + base::format_duration(least));
  } else {
    out = *value;
  }
}

void Fields::size(std::string_view key, std::int64_t& out, std::int64_t least) {
  const Node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->kind == Node::Kind::kScalar ? parse_size(node->text) : std::nullopt;
  if (!value) {
    context_.report(node->place, path_of(key) + ": found " + describe(*node) + "; expected a size such as 512MiB or 1GiB");
  } else if (*value < least) {
    context_.report(node->place,
                    path_of(key) + ": found " + describe(*node) + "; expected at least " + std::to_string(least >> 20) + "MiB");
  } else {
    out = *value;
  }
}

void Fields::texts(std::string_view key, std::vector<std::string>& out, Expand mode) {
  const Node* node = find(key);
  if (node == nullptr) return;
  out.clear();
  if (node->kind != Node::Kind::kList) {
    if (auto value = read_text(context_, *node, path_of(key), mode)) out.push_back(std::move(*value));
    return;
  }
  for (const auto& item : node->items)
    if (auto value = read_text(context_, *item, path_of(key), mode)) out.push_back(std::move(*value));
}

std::optional<std::size_t> Fields::word(std::string_view key, const std::vector<std::string>& words) {
  const Node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto at = std::find(words.begin(), words.end(), node->text);
  if (node->kind == Node::Kind::kScalar && at != words.end()) return static_cast<std::size_t>(at - words.begin());
  const std::string near = node->kind == Node::Kind::kScalar ? did_you_mean(node->text, words) : "";
  context_.report(node->place, path_of(key) + ": found " + describe(*node) + "; expected " + one_of(words) + near);
  return std::nullopt;
}

void Fields::name(std::string_view key, std::string& out) {
  text(key, out);
  const Node* node = find(key);
  if (node == nullptr || node->kind != Node::Kind::kScalar || out.empty()) return;
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.'; };
  if (out.size() > 63 || !std::isalnum(static_cast<unsigned char>(out.front())) || !std::all_of(out.begin(), out.end(), fits)) {
    context_.report(node->place,
                    path_of(key) + ": found " + describe(*node) +
                        "; expected a name that can be a folder: letters, digits, `-`, `_`, `.`, at most 63, a letter or digit first");
    out.clear();
  }
}

}  // namespace headpond::spec
