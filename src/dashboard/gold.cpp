#include "dashboard/gold.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "delta/upload.h"
#include "env/scan_path.h"

namespace headpond::dashboard {
namespace {

constexpr const char* kFormatKey = "headpond.format";
constexpr const char* kRollupKey = "headpond.rollup.";
constexpr const char* kBatchTag = "headpond.batch_id";
constexpr const char* kFirstTag = "headpond.first_minute";
constexpr const char* kLastTag = "headpond.last_minute";

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> tag(const delta::AddFile& add, const char* name) {
  const auto found = add.tags.find(name);
  return found == add.tags.end() ? std::nullopt : number(found->second);
}

bool is_kind(const delta::AddFile& add, std::string_view kind) {
  const auto found = add.partition_values.find("kind");
  return found != add.partition_values.end() && found->second == kind;
}

}  // namespace

std::string positions_json(const base::PositionVector& positions) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [where, offset] : positions) json[where.source][std::to_string(where.partition.value())] = offset.value();
  return json.dump();
}

base::Result<base::PositionVector> parse_positions(std::string_view text) {
  base::PositionVector positions;
  try {
    const auto json = nlohmann::json::parse(text);
    for (const auto& [source, partitions] : json.items())
      for (const auto& [partition, offset] : partitions.items()) {
        const auto id = number(partition);
        if (!id) return base::fail(base::ErrorKind::kCorrupt, "'" + partition + "' is no partition number");
        positions[{source, base::PartitionId(static_cast<std::int32_t>(*id))}] = base::Offset(offset.get<std::int64_t>());
      }
  } catch (const nlohmann::json::exception& error) {
    return base::fail(base::ErrorKind::kCorrupt, std::string("a position vector in gold does not parse: ") + error.what());
  }
  return positions;
}

Gold::Gold(env::ObjectStore& store, std::string root, env::Clock& clock, env::Random& random, sql::Engine& sql)
    : store_(&store), table_(store, std::move(root)), clock_(&clock), random_(&random), sql_(&sql) {}

std::string Gold::uuid() {
  const auto high = random_->next();
  return delta::make_uuid(high, random_->next());
}

base::Result<Gold> Gold::open(env::ObjectStore& store, const std::string& root, const std::string& name, const Rollups& rollups,
                              env::Clock& clock, env::Random& random, sql::Engine& sql) {
  Gold gold(store, root, clock, random, sql);
  TRY(gold.snapshot_, gold.table_.snapshot());
  if (gold.snapshot_.version.value() < 0) {
    TRY_VOID(gold.create(name, rollups));
    TRY(gold.snapshot_, gold.table_.snapshot());
  }
  TRY_VOID(gold.adopt(rollups));
  TRY_VOID(gold.read_last());
  return gold;
}

base::Result<void> Gold::create(const std::string& name, const Rollups& rollups) {
  delta::Metadata metadata{.id = uuid(),
                           .name = name,
                           .schema = gold_schema(rollups),
                           .partition_columns = {"kind"},
                           .configuration = {{kFormatKey, std::to_string(kGoldFormat)}},
                           .created_ms = clock_->now().value() / 1000};
  for (const auto& rollup : rollups.all) metadata.configuration[kRollupKey + rollup.name] = declaration(rollup);
  delta::Commit commit;
  commit.timestamp_ms = metadata.created_ms;
  commit.operation = "CREATE TABLE";
  commit.protocol = delta::Protocol{};
  commit.metadata = std::move(metadata);
  auto put = table_.put(base::Version(0), commit);
  // Whoever made it first, and even without an answer: the table is read next.
  if (put || put.error().kind == base::ErrorKind::kConflict || put.error().kind == base::ErrorKind::kUnknown) return {};
  return put;
}

base::Result<void> Gold::adopt(const Rollups& rollups) {
  const auto where = "gold table " + store_->describe() + table_.root();
  auto metadata = snapshot_.metadata;
  const auto format = metadata.configuration.find(kFormatKey);
  if (format == metadata.configuration.end())
    return base::fail(base::ErrorKind::kInvalid, where + " is not one of Headpond's; give the branch another name or move the table away");
  if (number(format->second).value_or(kGoldFormat + 1) > kGoldFormat)
    return base::fail(base::ErrorKind::kInvalid, where + " has format " + format->second + ", this Headpond knows " +
                                                     std::to_string(kGoldFormat) + "; install a newer version");
  bool changed = false;
  for (const auto& rollup : rollups.all) {
    const auto [entry, added] = metadata.configuration.emplace(kRollupKey + rollup.name, declaration(rollup));
    if (!added && entry->second != declaration(rollup))
      return base::fail(base::ErrorKind::kInvalid, where + " has rollup '" + rollup.name + "' as \"" + entry->second +
                                                       "\", the topology says \"" + declaration(rollup) +
                                                       "\"; give the changed rollup a new name");
    changed |= added;
  }
  for (const auto& field : gold_schema(rollups)) {
    if (std::ranges::find(metadata.schema, field.name, &delta::Field::name) != metadata.schema.end()) continue;
    metadata.schema.insert(metadata.schema.end() - 1, field);
    changed = true;
  }
  if (!changed) return {};
  delta::Commit commit;
  commit.timestamp_ms = clock_->now().value() / 1000;
  commit.operation = "CHANGE COLUMNS";
  commit.metadata = std::move(metadata);
  TRY_VOID(table_.put(snapshot_.version.next(), commit));
  TRY(snapshot_, table_.snapshot());
  return {};
}

base::Result<void> Gold::refresh() {
  TRY([[maybe_unused]] const bool changed, table_.refresh(snapshot_));
  return read_last();
}

base::Result<void> Gold::read_last() {
  // The newest batch is in the file tagged with the greatest id, or in one that another engine wrote without tags.
  std::vector<std::string> candidates;
  const delta::AddFile* newest = nullptr;
  for (const auto& [path, add] : snapshot_.files) {
    if (!is_kind(add, "batch")) continue;
    const auto id = tag(add, kBatchTag);
    if (!id) candidates.push_back(env::scan_path(*store_, table_.path(add.path)));
    if (id && (!newest || *id > *tag(*newest, kBatchTag))) newest = &add;
  }
  if (newest && tag(*newest, kBatchTag) == last_.batch_id && candidates.empty()) return {};
  if (newest) candidates.push_back(env::scan_path(*store_, table_.path(newest->path)));
  last_ = {};
  if (candidates.empty()) return {};
  TRY(const auto result, sql_->query("SELECT batch_id, positions_after, last_version FROM read_parquet(" + sql::list_literal(candidates) +
                                     ", hive_partitioning = false) ORDER BY batch_id DESC LIMIT 1"));
  if (result.rows.empty()) return {};
  const auto& row = result.rows[0];
  last_.batch_id = row[0].as_int();
  TRY(last_.positions, parse_positions(row[1].as_text()));
  last_.bronze_version = base::Version(row[2].as_int());
  return {};
}

std::vector<std::string> Gold::files(std::string_view kind, const std::function<bool(base::Micros, base::Micros)>& touches) const {
  std::vector<std::string> paths;
  for (const auto& [path, add] : snapshot_.files) {
    if (!is_kind(add, kind)) continue;
    const auto first = tag(add, kFirstTag), last = tag(add, kLastTag);
    if (touches && first && last && !touches(base::Micros(*first), base::Micros(*last))) continue;
    paths.push_back(env::scan_path(*store_, table_.path(path)));
  }
  return paths;
}

base::Result<delta::AddFile> Gold::upload(const std::string& local_file, std::string_view kind, std::int64_t batch_id, std::int64_t rows,
                                          std::optional<base::Micros> first, std::optional<base::Micros> last) {
  const std::string folder(kind);
  TRY(auto add, delta::upload_file(table_, local_file, "kind=" + folder + "/" + uuid() + ".parquet", {{"kind", folder}}, rows,
                                   clock_->now().value() / 1000));
  add.tags[kBatchTag] = std::to_string(batch_id);
  if (first && last) {
    add.tags[kFirstTag] = std::to_string(first->value());
    add.tags[kLastTag] = std::to_string(last->value());
    const char* column = kind == "rolling_5m" ? "window_end" : "minute";
    add.stats = nlohmann::ordered_json{{"numRecords", rows},
                                       {"minValues", {{column, base::format_rfc3339(*first)}}},
                                       {"maxValues", {{column, base::format_rfc3339(*last)}}}}
                    .dump();
  }
  return add;
}

base::Result<bool> Gold::is_ours(base::Version version, const std::string& txn_id) const {
  TRY(const auto commit, table_.read(version));
  const auto facts = nlohmann::json::parse(commit.headpond, nullptr, false);
  return facts.is_object() && facts.value("txn_id", std::string()) == txn_id;
}

base::Result<CommitOutcome> Gold::commit(std::vector<delta::AddFile> adds, std::int64_t batch_id, const std::string& txn_id) {
  HP_ASSERT(batch_id == last_.batch_id + 1);
  delta::Commit commit;
  commit.operation = "STREAMING UPDATE";
  commit.blind_append = false;
  commit.headpond = nlohmann::ordered_json{{"format", kGoldFormat}, {"batch_id", batch_id}, {"txn_id", txn_id}}.dump();
  commit.txns.push_back({snapshot_.metadata.id, batch_id});
  commit.adds = std::move(adds);
  while (true) {
    commit.timestamp_ms = clock_->now().value() / 1000;
    const auto version = snapshot_.version.next();
    auto put = table_.put(version, commit);
    if (put) {
      TRY_VOID(refresh());
      return CommitOutcome::kCommitted;
    }
    const auto kind = put.error().kind;
    if (kind != base::ErrorKind::kConflict && kind != base::ErrorKind::kUnknown) return std::unexpected(put.error());
    auto ours = is_ours(version, txn_id);
    if (!ours && ours.error().kind == base::ErrorKind::kNotFound) return base::fail(base::ErrorKind::kRetry, put.error().message);
    if (!ours) return std::unexpected(ours.error());
    TRY_VOID(refresh());
    if (*ours) return CommitOutcome::kCommitted;
    if (last_.batch_id >= batch_id) return CommitOutcome::kOvertaken;
    // The version went to upkeep or to a new column: our partials are still right, so only the commit is put again.
  }
}

}  // namespace headpond::dashboard
