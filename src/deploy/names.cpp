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
  if (in.contains("program")) names.program = in["program"].dump();
  return names;
}

// Of a program: each rule as it is written down, by name.
std::map<std::string, std::string> rules_of(const Json& program) {
  std::map<std::string, std::string> rules;
  for (const auto& fold : program.value("folds", Json::array()))
    for (const auto& rule : fold.value("rules", Json::array())) rules[rule.value("name", "")] = fold.value("id", "") + rule.dump();
  return rules;
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
  Json out{{"format", kFormat}, {"folds", folds}};
  if (!names.program.empty()) out["program"] = Json::parse(names.program);
  return lake.put(path_of(pages_root, generation), out.dump());
}

void number(rules::Program& program, Names& names, std::optional<base::Micros> sees_rows_from) {
  names.rules.clear();
  for (auto& fold : program.folds) {
    rules::assign_ids(fold, names.dictionaries[fold.id], sees_rows_from);
    for (const auto& rule : fold.rules) names.rules[fold.id].insert(rule.name);
  }
}

std::vector<std::string> edits(const std::string& before, const std::string& now) {
  const Json old_program = Json::parse(before), new_program = Json::parse(now);
  if (old_program == new_program) return {};
  const auto was = rules_of(old_program), is = rules_of(new_program);
  std::vector<std::string> lines;
  for (const auto& [name, text] : is) {
    const auto found = was.find(name);
    if (found == was.end()) lines.push_back("rule " + name + " was added");
    if (found != was.end() && found->second != text) lines.push_back("rule " + name + " was edited");
  }
  if (lines.empty()) lines.push_back("what the rules count was edited");
  return lines;
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
