#include "bronze/log_checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bronze/table_rules.h"
#include "delta/checkpoint.h"
#include "delta/json.h"

namespace headpond::bronze {
namespace {

using nlohmann::json;

constexpr int kCheckpointFormat = 1;
constexpr std::string_view kFolder = "_headpond/checkpoints/";
// A checkpoint of fewer commits, or of a log so much smaller than itself, costs more than it saves.
constexpr std::int64_t kCommitsMin = 100, kShare = 4;

LogCheckpoint checkpoint_of(const json& object, std::string_view name) {
  LogCheckpoint out;
  out.version = base::Version(object.at("version").get<std::int64_t>());
  out.committed_at = base::Micros(object.at("committed_at").get<std::int64_t>());
  out.files = object.at("files").get<std::int64_t>();
  out.rows = object.at("rows").get<std::int64_t>();
  const auto actions =
      delta::parse("{\"protocol\":" + object.at("protocol").dump() + "}\n{\"metaData\":" + object.at("metaData").dump() + "}\n", name);
  if (!actions) throw json::other_error::create(501, actions.error().message, &object);
  out.protocol = actions->protocol.value();
  out.metadata = actions->metadata.value();
  return out;
}

}  // namespace

std::string log_checkpoint_path(base::Version version) {
  const auto entry = delta::log_path(version);
  return std::string(kFolder) + entry.substr(entry.rfind('/') + 1);
}

std::string to_json(const LogCheckpoint& c) {
  nlohmann::ordered_json out = {{"format", kCheckpointFormat},
                                {"needs", kNeeds},
                                {"version", c.version.value()},
                                {"committed_at", c.committed_at.value()},
                                {"files", c.files},
                                {"rows", c.rows}};
  auto text = out.dump();
  text.pop_back();
  return text + ",\"table\":" + c.clock.to_json() + ",\"protocol\":" + delta::action_json(c.protocol) +
         ",\"metaData\":" + delta::action_json(c.metadata) + "}";
}

base::Result<LogCheckpoint> parse_log_checkpoint(std::string_view text, std::string_view name) {
  try {
    const auto object = delta::parse_json<json>(text);
    if (const int format = object.at("format").get<int>(); format > kCheckpointFormat)
      return base::fail(base::ErrorKind::kInvalid, std::string(name) + ": log checkpoint format " + std::to_string(format) +
                                                       " is newer than this Headpond reads (" + std::to_string(kCheckpointFormat) +
                                                       "); install Headpond " +
                                                       object.value("needs", std::string("the version that wrote it")) + " or later");
    auto out = checkpoint_of(object, name);
    TRY(out.clock, TableClock::parse(object.at("table").dump(), name));
    return out;
  } catch (const json::exception& e) {
    return base::fail(base::ErrorKind::kCorrupt, std::string(name) + ": not a checkpoint of the log (" + e.what() +
                                                     "); restore this object from a copy, or delete it while an older one is there");
  }
}

base::Result<LogCheckpoint> read_log_checkpoint(const delta::Table& table, base::Version version) {
  const auto name = table.path(log_checkpoint_path(version));
  TRY(const auto text, table.store().get(name));
  TRY(auto checkpoint, parse_log_checkpoint(text, name));
  TRY_VOID(check_protocol(table, checkpoint.protocol));
  return checkpoint;
}

base::Result<std::vector<base::Version>> log_checkpoints(const delta::Table& table) {
  const auto folder = table.path(kFolder);
  TRY(const auto objects, table.store().list(folder));
  std::vector<base::Version> out;
  for (const auto& object : objects)
    if (const auto version = delta::log_version(object.path)) out.push_back(*version);
  return out;
}

base::Result<std::optional<LogCheckpoint>> newest_log_checkpoint(const delta::Table& table, std::optional<base::Version> limit) {
  TRY(const auto last, delta::last_checkpoint(table));
  if (last && (!limit || last->version <= *limit)) {
    auto newest = read_log_checkpoint(table, last->version);
    if (newest || newest.error().kind != base::ErrorKind::kNotFound) return newest;
  }
  TRY(const auto versions, log_checkpoints(table));
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
    if (limit && *it > *limit) continue;
    auto found = read_log_checkpoint(table, *it);
    if (found || found.error().kind != base::ErrorKind::kNotFound) return found;
  }
  return std::nullopt;
}

base::Result<std::optional<LogCheckpoint>> behind_cleaned_log(const delta::Table& table, base::Version missing, base::Version after) {
  TRY(const auto oldest, table.oldest());
  if (oldest <= missing) return std::nullopt;
  TRY(const auto versions, log_checkpoints(table));
  const auto at = std::ranges::find_if(versions, [&](base::Version v) { return v > after && v.next() >= oldest; });
  if (at == versions.end()) return std::nullopt;
  auto found = read_log_checkpoint(table, *at);
  if (!found && found.error().kind == base::ErrorKind::kNotFound) found.error().kind = base::ErrorKind::kRetry;  // cleaned this very moment
  return found;
}

bool checkpoint_due(std::int64_t commits, std::int64_t log_bytes, std::int64_t checkpoint_bytes) {
  return commits >= kCommitsMin && log_bytes > checkpoint_bytes / kShare;
}

}  // namespace headpond::bronze
