#include "pager/rule_set.h"

#include <nlohmann/json.hpp>

#include "spec/rules_file.h"

namespace headpond::pager {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kDictionaryRow = "p/dictionary/";

std::string line(const std::string& file, int at_line, int column, const std::string& message) {
  return file + ":" + std::to_string(at_line) + ":" + std::to_string(column) + ": " + message;
}

std::optional<rules::ColumnType> type_named(const std::string& name) {
  using enum rules::ColumnType;
  for (const auto type : {kString, kInt32, kInt64, kDouble, kBool, kTimestamp})
    if (rules::to_string(type) == name) return type;
  return std::nullopt;
}

}  // namespace

base::Result<rules::Program> compile_files(const std::vector<RuleFile>& files, const std::vector<rules::Column>& columns) {
  std::vector<rules::GroupDraft> drafts;
  std::string problems;
  const auto add = [&](const std::string& text) { problems += (problems.empty() ? "" : "\n") + text; };
  for (const auto& file : files) {
    auto loaded = spec::load_rules(file.text, file.path);
    for (const auto& issue : loaded.issues) add(line(issue.place.file, issue.place.line, issue.place.column, issue.message));
    drafts.insert(drafts.end(), std::make_move_iterator(loaded.groups.begin()), std::make_move_iterator(loaded.groups.end()));
  }
  auto compiled = rules::compile(drafts, columns);
  for (const auto& issue : compiled.issues) add(line(issue.place.file, issue.place.line, issue.place.column, issue.message));
  if (!problems.empty()) return base::fail(base::ErrorKind::kInvalid, problems);
  return std::move(*compiled.program);
}

std::string RuleSource::to_json() const {
  Json out = {{"format", rules::kFormat}, {"files", Json::array()}, {"columns", Json::array()}};
  for (const auto& file : files) out["files"].push_back({{"path", file.path}, {"text", file.text}});
  for (const auto& column : columns) out["columns"].push_back({{"name", column.name}, {"type", rules::to_string(column.type)}});
  return out.dump();
}

base::Result<RuleSource> parse_rule_source(std::string_view json) {
  const auto corrupt = [] {
    return base::fail(base::ErrorKind::kCorrupt,
                      "the rules in the pager's state are not readable; remove its local state so that it restores a checkpoint");
  };
  try {
    const Json in = Json::parse(json);
    if (in.at("format").get<int>() > rules::kFormat)
      return base::fail(base::ErrorKind::kInvalid,
                        "the pager's state has format " + in["format"].dump() + "; install the Headpond that wrote it");
    RuleSource source;
    for (const auto& file : in.at("files"))
      source.files.push_back({file.at("path").get<std::string>(), file.at("text").get<std::string>()});
    for (const auto& column : in.at("columns")) {
      const auto type = type_named(column.at("type").get<std::string>());
      if (!type) return corrupt();
      source.columns.push_back({column.at("name").get<std::string>(), *type});
    }
    return source;
  } catch (const Json::exception&) {
    return corrupt();
  }
}

base::Result<RuleSet> RuleSet::make(const RuleSource& source, std::map<std::string, rules::Dictionary> dictionaries,
                                    std::optional<base::Micros> valid_from) {
  RuleSet set;
  set.source_ = source;
  TRY(set.program_, compile_files(source.files, source.columns));
  set.dictionaries_ = std::move(dictionaries);
  for (auto& fold : set.program_.folds) rules::assign_ids(fold, set.dictionaries_[fold.id], valid_from);
  return set;
}

const rules::FoldGroup* RuleSet::fold(const std::string& id) const {
  for (const auto& fold : program_.folds)
    if (fold.id == id) return &fold;
  return nullptr;
}

void RuleSet::stage(state::WriteBatch& batch) const {
  batch.put("p/rules", source_.to_json());
  for (const auto& [fold, dictionary] : dictionaries_) batch.put(std::string(kDictionaryRow) + fold, dictionary.to_json());
}

base::Result<std::optional<RuleSource>> stored_rules(state::Store& store) {
  TRY(const auto text, store.get("p/rules"));
  if (!text) return std::nullopt;
  TRY(auto source, parse_rule_source(*text));
  return source;
}

base::Result<std::map<std::string, rules::Dictionary>> stored_dictionaries(state::Store& store) {
  std::map<std::string, rules::Dictionary> out;
  base::Result<void> good;
  TRY_VOID(store.scan(kDictionaryRow, [&](std::string_view row, std::string_view json) {
    auto parsed = rules::parse_dictionary(json);
    if (!parsed) return good = std::unexpected(std::move(parsed).error()), false;
    out[std::string(row.substr(kDictionaryRow.size()))] = std::move(*parsed);
    return true;
  }));
  TRY_VOID(std::move(good));
  return out;
}

}  // namespace headpond::pager
