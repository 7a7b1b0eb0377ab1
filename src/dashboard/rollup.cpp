#include "dashboard/rollup.h"

#include <algorithm>
#include <set>

namespace headpond::dashboard {
namespace {

const std::set<std::string>& own_columns() {
  static const std::set<std::string> kNames{
      "kind",   "batch_id",         "rollup",          "minute",        "window_end",   "key",         "n",    "bytes",
      "errors", "bucket",           "measure",         "p50",           "p95",          "p99",         "rows", "late",
      "format", "positions_before", "positions_after", "first_version", "last_version", "committed_at"};
  return kNames;
}

// Columns of bronze that are there whatever the topology declares and that make sense to group by.
bool built_in(const std::string& name) {
  return name == "source" || name == "kafka_partition" || name == "pattern_id";
}

bool is_number(const std::string& type) {
  return type == "int32" || type == "int64" || type == "double";
}

const spec::ColumnDecl* find_column(const spec::BronzeSpec& bronze, const std::string& name) {
  const auto found = std::ranges::find(bronze.columns, name, &spec::ColumnDecl::name);
  return found == bronze.columns.end() ? nullptr : &*found;
}

bool can_group_by(const spec::BronzeSpec& bronze, const std::string& name) {
  return built_in(name) || find_column(bronze, name) || (name == "severity" && find_column(bronze, "severity_number"));
}

std::string known_names(const spec::BronzeSpec& bronze, bool numbers) {
  std::string names;
  for (const auto& column : bronze.columns)
    if (!numbers || is_number(column.type)) names += (names.empty() ? "" : ", ") + column.name;
  return names;
}

Rollup default_rollup(const spec::BronzeSpec& bronze) {
  Rollup rollup{.name = "default", .by = {}, .measures = {}};
  for (const char* name : {"service", "severity"})
    if (can_group_by(bronze, name)) rollup.by.emplace_back(name);
  const auto* duration = find_column(bronze, "duration_ms");
  if (duration && is_number(duration->type)) rollup.measures.emplace_back("duration_ms");
  return rollup;
}

base::Result<void> check(const Rollup& rollup, const spec::BronzeSpec& bronze, const spec::Place& place) {
  const auto refuse = [&](const std::string& what) {
    return base::fail(base::ErrorKind::kInvalid, spec::to_string(place) + ": rollup '" + rollup.name + "': " + what);
  };
  std::set<std::string> seen;
  for (const auto& name : rollup.by) {
    if (own_columns().contains(name) || name.starts_with("sum_") || name.starts_with("count_"))
      return refuse("cannot group by '" + name + "', which is a column of the gold table itself; declare it under another name");
    if (!can_group_by(bronze, name)) return refuse("no column '" + name + "' in bronze; it has " + known_names(bronze, false));
    if (!seen.insert(name).second) return refuse("'" + name + "' stands twice in `by`");
  }
  for (const auto& name : rollup.measures) {
    const auto* column = find_column(bronze, name);
    if (!column || !is_number(column->type))
      return refuse("measure '" + name + "' is not a number of bronze; numbers are " + known_names(bronze, true));
    if (!seen.insert(name).second) return refuse("'" + name + "' stands twice in `by` and `measures`");
  }
  return {};
}

}  // namespace

std::vector<std::string> Rollups::dimensions() const {
  std::vector<std::string> names;
  for (const auto& rollup : all)
    for (const auto& name : rollup.by)
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  return names;
}

std::vector<std::string> Rollups::measures() const {
  std::vector<std::string> names;
  for (const auto& rollup : all)
    for (const auto& name : rollup.measures)
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  return names;
}

base::Result<Rollups> resolve_rollups(const spec::Branch& branch, const spec::BronzeSpec& bronze) {
  Rollups rollups{.all = {}, .max_keys = branch.max_keys, .allowed_lateness = branch.allowed_lateness};
  for (const auto& declared : branch.rollups) rollups.all.push_back({declared.name, declared.by, declared.measures});
  if (rollups.all.empty()) rollups.all.push_back(default_rollup(bronze));
  std::set<std::string> names;
  for (const auto& rollup : rollups.all) {
    if (rollup.name.empty() || !names.insert(rollup.name).second)
      return base::fail(base::ErrorKind::kInvalid,
                        spec::to_string(branch.place) + ": each rollup needs a name of its own, '" + rollup.name + "' is none");
    TRY_VOID(check(rollup, bronze, branch.place));
  }
  return rollups;
}

std::string declaration(const Rollup& rollup) {
  std::string text = "by";
  for (const auto& name : rollup.by) text += " " + name;
  text += "; measures";
  for (const auto& name : rollup.measures) text += " " + name;
  return text;
}

std::vector<delta::Field> gold_schema(const Rollups& rollups) {
  std::vector<delta::Field> fields{
      {"batch_id", "long"}, {"rollup", "string"}, {"minute", "timestamp"}, {"window_end", "timestamp"}, {"key", "string"}};
  for (const auto& name : rollups.dimensions()) fields.push_back({name, "string"});
  for (const char* name : {"n", "bytes", "errors"}) fields.push_back({name, "long"});
  for (const auto& name : rollups.measures()) {
    fields.push_back({"sum_" + name, "double"});
    fields.push_back({"count_" + name, "long"});
  }
  fields.push_back({"measure", "string"});
  fields.push_back({"bucket", "integer"});
  for (const char* name : {"p50", "p95", "p99"}) fields.push_back({name, "double"});
  for (const char* name : {"positions_before", "positions_after"}) fields.push_back({name, "string"});
  for (const char* name : {"first_version", "last_version", "rows", "late"}) fields.push_back({name, "long"});
  fields.push_back({"committed_at", "timestamp"});
  fields.push_back({"kind", "string"});
  return fields;
}

}  // namespace headpond::dashboard
