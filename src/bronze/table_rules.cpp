#include "bronze/table_rules.h"

#include <algorithm>

namespace headpond::bronze {
namespace {

constexpr char kElsewhere[] = "point `bronze.location` at an empty place, or at the table that Headpond wrote";

}  // namespace

std::string place_of(const delta::Table& table) {
  return table.store().describe() + table.root();
}

delta::Protocol bronze_protocol() {
  delta::Protocol protocol;
  protocol.min_reader_version = 1;
  protocol.min_writer_version = 7;
  protocol.writer_features = {std::string(kWriterFeature)};
  return protocol;
}

base::Result<void> check_protocol(const delta::Table& table, const delta::Protocol& protocol) {
  const auto ours = bronze_protocol();
  if (protocol.min_reader_version == ours.min_reader_version && protocol.min_writer_version == ours.min_writer_version &&
      protocol.writer_features == ours.writer_features)
    return {};
  return base::fail(base::ErrorKind::kInvalid, "the table at " + place_of(table) + " has protocol reader " +
                                                   std::to_string(protocol.min_reader_version) + " / writer " +
                                                   std::to_string(protocol.min_writer_version) +
                                                   ", a bronze table has reader 1 / writer 7 with the feature headpond: it was not "
                                                   "written by Headpond; " +
                                                   kElsewhere);
}

base::Result<void> check_first_commit(const delta::Table& table, const delta::Commit& commit) {
  if (!commit.protocol || !commit.metadata)
    return base::fail(base::ErrorKind::kCorrupt,
                      table.path(delta::log_path(base::Version(0))) + ": no protocol or no metaData; restore this log entry from a copy");
  TRY_VOID(check_protocol(table, *commit.protocol));
  if (commit.headpond.empty())
    return base::fail(base::ErrorKind::kInvalid, "the table at " + place_of(table) +
                                                     " was not written by Headpond (version 0 has no commitInfo.headpond); " + kElsewhere);
  return {};
}

base::Result<CommitFacts> facts_of(const delta::Commit& commit, const std::string& name) {
  if (commit.headpond.empty())
    return base::fail(base::ErrorKind::kCorrupt,
                      name +
                          ": another program committed to this table (no commitInfo.headpond); only `headpond "
                          "ingest` may write it; run `headpond audit` and restore the table to the version before");
  return parse_facts(commit.headpond, name);
}

std::unexpected<base::Error> missing_version(const delta::Table& table, base::Version missing, base::Version newest) {
  return base::fail(base::ErrorKind::kCorrupt, table.path(delta::log_path(missing)) + " is missing, though version " +
                                                   std::to_string(newest.value()) + " exists; restore it from a copy");
}

base::Result<std::vector<delta::Field>> merged_schema(const delta::Table& table, const std::vector<delta::Field>& existing,
                                                      const std::vector<delta::Field>& wanted) {
  auto merged = existing;
  const auto named = [](const std::string& name) { return [&name](const delta::Field& f) { return f.name == name; }; };
  for (const auto& field : wanted) {
    const auto it = std::ranges::find_if(merged, named(field.name));
    if (it == merged.end()) {
      merged.insert(std::ranges::find_if(merged, named("ingest_date")), field);
    } else if (it->type != field.type) {
      return base::fail(base::ErrorKind::kInvalid, "column '" + field.name + "' is " + it->type + " in the table at " + place_of(table) +
                                                       " and " + field.type +
                                                       " in the topology; a column keeps its type for the table's life: restore the type, "
                                                       "or give the new one another name");
    }
  }
  return merged;
}

}  // namespace headpond::bronze
