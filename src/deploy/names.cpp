#include "deploy/names.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace headpond::deploy {
namespace {

using Json = nlohmann::ordered_json;
using base::ErrorKind;

constexpr int kFormat = 1;

std::string path_of(const std::string& pages_root, std::int64_t generation) {
  return fmt::format("{}/_deployed/{:010}.json", pages_root, generation);
}

base::Result<Names> parse(const std::string& text, const std::string& path) {
  const Json in = Json::parse(text, nullptr, false);
  if (!in.is_object() || !in.contains("folds"))
    return base::fail(ErrorKind::kCorrupt, path + " is not what `headpond deploy` wrote; restore it, or deploy with --new-generation");
  if (in.value("format", 0) > kFormat) return base::fail(ErrorKind::kInvalid, path + ": written by a newer headpond; install that one");
  Names names;
  for (const auto& [fold, entry] : in["folds"].items()) {
    TRY(names.dictionaries[fold], rules::parse_dictionary(entry.value("dictionary", Json::object()).dump()));
    for (const auto& rule : entry.value("rules", Json::array())) names.rules[fold].insert(rule.get<std::string>());
  }
  return names;
}

}  // namespace

base::Result<std::optional<Names>> read_names(env::ObjectStore& lake, const std::string& pages_root, std::int64_t generation) {
  const std::string path = path_of(pages_root, generation);
  const auto text = lake.get(path);
  if (!text && text.error().kind == ErrorKind::kNotFound) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  TRY(auto names, parse(*text, path));
  return names;
}

base::Result<void> write_names(env::ObjectStore& lake, const std::string& pages_root, std::int64_t generation, const Names& names) {
  Json folds = Json::object();
  for (const auto& [fold, dictionary] : names.dictionaries) {
    const auto rules = names.rules.find(fold);
    folds[fold] = {{"dictionary", Json::parse(dictionary.to_json())},
                   {"rules", rules == names.rules.end() ? Json::array() : Json(rules->second)}};
  }
  return lake.put(path_of(pages_root, generation), Json{{"format", kFormat}, {"folds", folds}}.dump());
}

void number(rules::Program& program, Names& names, std::optional<base::Micros> sees_rows_from) {
  names.rules.clear();
  for (auto& fold : program.folds) {
    rules::assign_ids(fold, names.dictionaries[fold.id], sees_rows_from);
    for (const auto& rule : fold.rules) names.rules[fold.id].insert(rule.name);
  }
}

std::vector<std::string> lost_rules(const Names& names, const rules::Program& program) {
  std::set<std::pair<std::string, std::string>> now;
  for (const auto& fold : program.folds)
    for (const auto& rule : fold.rules) now.emplace(fold.id, rule.name);
  std::vector<std::string> lost;
  for (const auto& [fold, rules] : names.rules)
    for (const auto& rule : rules)
      if (!now.contains({fold, rule})) lost.push_back(rule);
  return lost;
}

}  // namespace headpond::deploy
