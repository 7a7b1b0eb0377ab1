#include "spec/rules_file.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/time.h"
#include "spec/yaml.h"

namespace headpond::spec {
namespace {

rules::Place rule_place(const Place& p) {
  return {p.file, p.line, p.column};
}

class RulesReader {
 public:
  RulesReader(const std::string& text, const std::string& path) : path_(path) {
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines_.push_back(line);
  }

  LoadedRules read(const std::string& text) {
    const auto root = parse_yaml(text, path_, out_.issues);
    if (root == nullptr) return std::move(out_);
    const Node* groups = nullptr;
    if (root->kind != Node::Kind::kMap) {
      issue(root->place, "found " + describe(*root) + "; expected a map with `groups`");
    } else {
      known_keys(*root, {"groups"});
      groups = root->find("groups");
      if (groups == nullptr) issue(root->place, "`groups` is missing; expected a list of rule groups");
    }
    for (const auto* group : list(groups, "groups")) read_group(*group);
    return std::move(out_);
  }

 private:
  void issue(const Place& place, std::string message) { out_.issues.push_back({place, std::move(message)}); }

  void known_keys(const Node& map, const std::vector<std::string>& known) {
    for (const auto& entry : map.entries) {
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      std::string list;
      for (const auto& k : known) list += (list.empty() ? "" : ", ") + k;
      const auto near = rules::nearest_word(entry.key, known);
      issue(entry.place, "found `" + entry.key + "`; expected one of " + list + (near ? "; did you mean " + *near + "?" : ""));
    }
  }

  std::vector<const Node*> list(const Node* node, const std::string& what) {
    std::vector<const Node*> out;
    if (node == nullptr) return out;
    if (node->kind != Node::Kind::kList) {
      issue(node->place, "found " + describe(*node) + "; expected a list of " + what);
      return out;
    }
    for (const auto& item : node->items) out.push_back(item.get());
    return out;
  }

  static std::map<std::string, rules::Place> places(const Node& map) {
    std::map<std::string, rules::Place> out;
    for (const auto& entry : map.entries) out[entry.key] = rule_place(entry.place);
    return out;
  }

  // Where the characters of a scalar stand: behind a quote, or on the lines below `|` and `>`.
  rules::SourceText source(const Node& node) {
    rules::SourceText out{node.text, rule_place(node.place), false};
    const auto line = static_cast<std::size_t>(node.place.line) - 1, column = static_cast<std::size_t>(node.place.column) - 1;
    if (line >= lines_.size()) return out;
    const auto is_block = [&](std::size_t at) { return at < lines_.size() && lines_[at].find_last_of("|>") != std::string::npos; };
    const char first = column < lines_[line].size() ? lines_[line][column] : ' ';
    if (first == '"' || first == '\'') {
      ++out.place.column;
    } else if ((first == '|' || first == '>') && is_block(line) && line + 1 < lines_.size()) {
      const auto indent = lines_[line + 1].find_first_not_of(' ');
      out.place.line += 1;
      out.place.column = static_cast<int>(indent == std::string::npos ? 0 : indent) + 1;
      out.newlines_kept = first == '|';
    }
    return out;
  }

  rules::SourceText text(const Node& map, const std::string& key, bool required) {
    const Node* node = map.find(key);
    if (node == nullptr) {
      if (required) issue(map.place, "`" + key + "` is missing");
      return {};
    }
    if (node->kind != Node::Kind::kScalar || (required && node->text.empty())) {
      issue(node->place, "found " + describe(*node) + "; expected a text");
      return {};
    }
    return source(*node);
  }

  void duration(const Node& map, const std::string& key, base::Duration& into) {
    const Node* node = map.find(key);
    if (node == nullptr) return;
    const auto parsed = node->kind == Node::Kind::kScalar ? base::parse_duration(node->text) : std::nullopt;
    if (parsed) {
      into = *parsed;
    } else {
      issue(node->place, "found " + describe(*node) + "; expected a duration such as 30s, 5m or 1h30m");
    }
  }

  std::optional<std::int64_t> integer(const Node& map, const std::string& key, std::int64_t smallest) {
    const Node* node = map.find(key);
    if (node == nullptr) return std::nullopt;
    std::int64_t value = 0;
    const auto end = std::from_chars(node->text.data(), node->text.data() + node->text.size(), value);
    if (node->kind == Node::Kind::kScalar && end.ec == std::errc() && end.ptr == node->text.data() + node->text.size() && value >= smallest)
      return value;
    issue(node->place, "found " + describe(*node) + "; expected a whole number from " + std::to_string(smallest) + " on");
    return std::nullopt;
  }

  std::vector<rules::NamedText> texts(const Node& map, const std::string& key) {
    std::vector<rules::NamedText> out;
    const Node* node = map.find(key);
    if (node == nullptr) return out;
    if (node->kind != Node::Kind::kMap) {
      issue(node->place, "found " + describe(*node) + "; expected a map of names to texts");
      return out;
    }
    for (const auto& entry : node->entries) {
      if (entry.value->kind != Node::Kind::kScalar) {
        issue(entry.value->place, "found " + describe(*entry.value) + "; expected a text");
        continue;
      }
      out.push_back({entry.key, source(*entry.value), rule_place(entry.place)});
    }
    return out;
  }

  void read_group(const Node& node) {
    if (node.kind != Node::Kind::kMap) {
      issue(node.place, "found " + describe(node) + "; expected a map with `name` and `rules`");
      return;
    }
    known_keys(node, {"name", "interval", "lateness", "limit", "rules"});
    rules::GroupDraft group;
    group.place = rule_place(node.place);
    group.places = places(node);
    group.name = text(node, "name", true).text;
    duration(node, "interval", group.interval);
    duration(node, "lateness", group.lateness);
    if (const auto limit = integer(node, "limit", 0)) group.limit = static_cast<int>(std::min<std::int64_t>(*limit, 1'000'000));
    if (node.find("rules") == nullptr) issue(node.place, "`rules` is missing; expected a list of rules");
    for (const auto* rule : list(node.find("rules"), "rules")) read_rule(*rule, group);
    out_.groups.push_back(std::move(group));
  }

  void read_rule(const Node& node, rules::GroupDraft& group) {
    if (node.kind != Node::Kind::kMap) {
      issue(node.place, "found " + describe(node) + "; expected a map with `alert` and `expr`");
      return;
    }
    if (node.find("learn") != nullptr)
      issue(node.place, "not supported yet: learn (it belongs to first_seen); supported are count and absent");
    known_keys(node, {"alert", "expr", "by", "for", "keep_firing_for", "labels", "annotations", "expect", "learn"});
    rules::RuleDraft rule;
    rule.place = rule_place(node.place);
    rule.places = places(node);
    rule.alert = text(node, "alert", true).text;
    rule.expr = text(node, "expr", true);
    for (const auto* name : list(node.find("by"), "column names")) {
      if (name->kind == Node::Kind::kScalar) {
        rule.by.push_back(source(*name));
      } else {
        issue(name->place, "found " + describe(*name) + "; expected a column name");
      }
    }
    duration(node, "for", rule.hold);
    duration(node, "keep_firing_for", rule.keep_firing);
    rule.labels = texts(node, "labels");
    rule.annotations = texts(node, "annotations");
    read_expect(node, rule);
    if (!rule.expr.text.empty()) group.rules.push_back(std::move(rule));
  }

  void read_expect(const Node& node, rules::RuleDraft& rule) {
    const Node* expect = node.find("expect");
    if (expect == nullptr) return;
    if (expect->kind != Node::Kind::kMap) {
      issue(expect->place, "found " + describe(*expect) + "; expected {seen_within: 24h} or {keys: 1000}");
      return;
    }
    known_keys(*expect, {"seen_within", "keys"});
    if (expect->find("seen_within") != nullptr) {
      base::Duration seen;
      duration(*expect, "seen_within", seen);
      rule.seen_within = seen;
    }
    rule.keys = integer(*expect, "keys", 1);
  }

  std::string path_;
  std::vector<std::string> lines_;
  LoadedRules out_;
};

rules::ColumnType column_type(const std::string& type) {
  if (type == "int32") return rules::ColumnType::kInt32;
  if (type == "int64") return rules::ColumnType::kInt64;
  if (type == "double") return rules::ColumnType::kDouble;
  if (type == "bool") return rules::ColumnType::kBool;
  if (type == "timestamp") return rules::ColumnType::kTimestamp;
  return rules::ColumnType::kString;
}

}  // namespace

LoadedRules load_rules(const std::string& text, const std::string& path) {
  return RulesReader(text, path).read(text);
}

std::vector<rules::Column> rule_columns(const BronzeSpec& bronze) {
  auto columns = rules::builtin_columns();
  for (const auto& column : bronze.columns) columns.push_back({column.name, column_type(column.type)});
  return columns;
}

}  // namespace headpond::spec
