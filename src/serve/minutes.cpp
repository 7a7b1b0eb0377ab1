#include "serve/minutes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/time.h"
#include "env/scan_path.h"

namespace headpond::serve {
namespace {

constexpr int kFormat = 1;
constexpr int kZeroBucket = -32768;
constexpr base::Duration kKept = base::Duration::hours(24);

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

// "by service severity; measures duration_ms"
RollupShape parse_shape(const std::string& name, const std::string& declaration) {
  RollupShape shape{.name = name, .by = {}, .measures = {}};
  const auto middle = declaration.find(';');
  shape.by = words(declaration.substr(0, middle));
  if (middle != std::string::npos) shape.measures = words(declaration.substr(middle + 1));
  for (auto* list : {&shape.by, &shape.measures})
    if (!list->empty()) list->erase(list->begin());  // the word "by" or "measures"
  return shape;
}

std::string duckdb_type(const std::string& type) {
  if (type == "string") return "VARCHAR";
  if (type == "long") return "BIGINT";
  if (type == "integer") return "INTEGER";
  if (type == "double") return "DOUBLE";
  return "TIMESTAMP";
}

std::string kind_of(const delta::AddFile& add) {
  const auto found = add.partition_values.find("kind");
  return found == add.partition_values.end() ? "" : found->second.value_or("");
}

bool ends_before(const delta::AddFile& add, base::Micros from) {
  const auto found = add.tags.find("headpond.last_minute");
  std::int64_t last = 0;
  if (found == add.tags.end()) return false;
  const auto& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), last);
  return error == std::errc() && end == text.data() + text.size() && last < from.value();
}

std::string timestamp(base::Micros t) {
  return "make_timestamp(" + std::to_string(t.value()) + ")";
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

void Tally::add(const Tally& other) {
  n += other.n;
  bytes += other.bytes;
  errors += other.errors;
  for (const auto& [bucket, count] : other.buckets) buckets[bucket] += count;
}

std::optional<double> Tally::percentile(int percent) const {
  std::int64_t total = 0, below = 0;
  for (const auto& [bucket, count] : buckets) total += count;
  for (const auto& [bucket, count] : buckets) {
    below += count;
    if (below * 100 >= total * percent) return bucket == kZeroBucket ? 0.0 : std::pow(2.0, (bucket + 0.5) / 8);
  }
  return std::nullopt;
}

Minutes::Minutes(env::ObjectStore& store, std::string root, sql::Engine& sql, std::string prefix)
    : store_(store), gold_(store, std::move(root)), sql_(sql), prefix_(std::move(prefix)) {}

base::Result<bool> Minutes::refresh(base::Micros now) {
  TRY(bool changed, gold_.refresh(snapshot_));
  if (snapshot_.version.value() < 0) return false;
  if (changed || !whole_) TRY_VOID(describe());
  const auto from = base::floor_to(now, base::kMinute) - kKept;
  std::vector<const delta::AddFile*> fresh;
  for (const auto& [path, add] : snapshot_.files) {
    if (!changed && whole_) break;
    if (loaded_.contains(path)) continue;
    // A file that upkeep wrote holds rows that are here already.
    if (whole_ && !add.data_change) {
      loaded_.insert(path);
      continue;
    }
    fresh.push_back(&add);
  }
  if (auto loaded = load(fresh, from); !loaded) {
    schema_.clear();  // whatever got in half-way: begin again
    whole_ = false;
    return std::unexpected(loaded.error());
  }
  changed = changed || !whole_ || !fresh.empty();
  whole_ = true;
  if (pruned_at_ + base::kMinute <= now) {
    for (const char* kind : {"rollup", "histogram"})
      TRY_VOID(sql_.query("DELETE FROM " + table(kind) + " WHERE minute < " + timestamp(from)));
    pruned_at_ = now;
  }
  return changed;
}

base::Result<void> Minutes::describe() {
  const auto& configuration = snapshot_.metadata.configuration;
  const auto format = configuration.find("headpond.format");
  if (format == configuration.end())
    return base::fail(base::ErrorKind::kInvalid, "the table at " + store_.describe() + gold_.root() + " is no gold table of Headpond");
  if (format->second != std::to_string(kFormat))
    return base::fail(base::ErrorKind::kInvalid, "the gold table " + gold_.root() + " has format " + format->second +
                                                     ", this Headpond knows " + std::to_string(kFormat) + "; install a newer version");
  rollups_.clear();
  dimensions_.clear();
  constexpr std::string_view kPrefix = "headpond.rollup.";
  for (const auto& [name, value] : configuration) {
    if (!name.starts_with(kPrefix)) continue;
    rollups_.push_back(parse_shape(name.substr(kPrefix.size()), value));
    for (const auto& by : rollups_.back().by)
      if (std::ranges::find(dimensions_, by) == dimensions_.end()) dimensions_.push_back(by);
  }
  std::string schema;
  for (const auto& field : snapshot_.metadata.schema) schema += field.name + " " + field.type + ",";
  if (schema == schema_) return {};
  TRY_VOID(create_tables());
  schema_ = std::move(schema);
  loaded_.clear();
  whole_ = false;
  return {};
}

base::Result<void> Minutes::create_tables() {
  std::string columns;
  for (const auto& field : snapshot_.metadata.schema)
    if (field.name != "kind") columns += (columns.empty() ? "" : ", ") + sql::quote_identifier(field.name) + " " + duckdb_type(field.type);
  for (const char* kind : {"rollup", "histogram", "batch"})
    TRY_VOID(sql_.query("CREATE OR REPLACE TABLE " + table(kind) + " (" + columns + ")"));
  return {};
}

base::Result<void> Minutes::load(const std::vector<const delta::AddFile*>& files, base::Micros from) {
  std::map<std::string, std::vector<std::string>> by_kind;
  for (const auto* add : files) {
    const auto kind = kind_of(*add);
    const bool wanted = kind == "batch" || ((kind == "rollup" || kind == "histogram") && !ends_before(*add, from));
    if (!wanted) continue;
    by_kind[kind].push_back(env::scan_path(store_, gold_.path(add->path)));
  }
  if (!by_kind.empty()) {
    TRY_VOID(sql_.query("BEGIN TRANSACTION"));
    base::Result<void> inserted;
    for (const auto& [kind, paths] : by_kind)
      if (inserted) inserted = insert(kind, paths, from);
    auto ended = sql_.query(inserted ? "COMMIT" : "ROLLBACK");
    if (!inserted) return inserted;
    if (!ended) return std::unexpected(ended.error());
  }
  for (const auto* add : files) loaded_.insert(add->path);
  if (by_kind.contains("batch")) TRY_VOID(read_batches(from));
  return {};
}

base::Result<void> Minutes::insert(const std::string& kind, const std::vector<std::string>& files, base::Micros from) {
  const std::string time = kind == "batch" ? "committed_at" : "minute";
  // The log says a file's kind; Spark writes it into the file as well.
  TRY_VOID(sql_.query("INSERT INTO " + table(kind) + " BY NAME SELECT COLUMNS(lambda c: c NOT IN ('kind', '" + time + "')), " + time +
                      "::TIMESTAMP AS " + time + " FROM read_parquet(" + sql::list_literal(files) +
                      ", union_by_name = true, hive_partitioning = false)" +
                      (kind == "batch" ? "" : " WHERE minute >= " + timestamp(from) + "::TIMESTAMPTZ")));
  return {};
}

base::Result<void> Minutes::read_batches(base::Micros from) {
  TRY(const auto last,
      sql_.query("SELECT batch_id, \"rows\", late, last_version, committed_at FROM " + table("batch") + " ORDER BY batch_id DESC LIMIT 1"));
  if (last.rows.empty()) return {};
  const auto& row = last.rows[0];
  last_batch_ = LastBatch{.id = row[0].as_int(),
                          .rows = row[1].as_int(),
                          .late = row[2].as_int(),
                          .bronze_version = row[3].as_int(),
                          .committed_at = base::Micros(row[4].as_int())};
  TRY(const auto late,
      sql_.query("SELECT coalesce(sum(late), 0)::BIGINT FROM " + table("batch") + " WHERE committed_at >= " + timestamp(from)));
  late_rows_ = late.rows[0][0].as_int();
  return {};
}

base::Result<std::vector<Group>> Minutes::groups(const std::string& rollup, const std::string& dimension, const std::string& measure,
                                                 base::Micros first, int count) {
  const auto span = " WHERE rollup = " + sql::quote_literal(rollup) + " AND minute >= " + timestamp(first) + " AND minute < " +
                    timestamp(first + base::kMinute * count);
  const std::string index = "((epoch_us(minute) - " + std::to_string(first.value()) + ") // 60000000)::BIGINT";
  // Histogram rows know their key only; the rollup rows of the same minutes say what it stands for.
  const std::string label = "CASE WHEN key = 'other' THEN 'other' ELSE coalesce(" +
                            (dimension.empty() ? std::string("'all'") : sql::quote_identifier(dimension)) + ", '(no " + dimension +
                            ")') END";
  const std::string names = "(SELECT key, any_value(" + label + ") AS name FROM " + table("rollup") + span + " GROUP BY key)";
  TRY(const auto counts, sql_.query("SELECT name, " + index + ", sum(n)::BIGINT, sum(bytes)::BIGINT, sum(errors)::BIGINT FROM " +
                                    table("rollup") + " JOIN " + names + " USING (key)" + span + " GROUP BY ALL"));
  std::map<std::string, Group> found;
  const auto at = [&](const std::vector<sql::Value>& row) -> Tally& {
    auto& group = found[row[0].as_text()];
    if (group.minutes.empty()) {
      group.name = row[0].as_text();
      group.minutes.resize(static_cast<std::size_t>(count));
    }
    return group.minutes.at(static_cast<std::size_t>(row[1].as_int()));
  };
  for (const auto& row : counts.rows)
    at(row).add({.n = row[2].as_int(), .bytes = row[3].as_int(), .errors = row[4].as_int(), .buckets = {}});
  if (!measure.empty()) {
    TRY(const auto buckets, sql_.query("SELECT name, " + index + ", bucket, sum(n)::BIGINT FROM " + table("histogram") + " JOIN " + names +
                                       " USING (key)" + span + " AND measure = " + sql::quote_literal(measure) + " GROUP BY ALL"));
    for (const auto& row : buckets.rows) at(row).buckets[static_cast<int>(row[2].as_int())] += row[3].as_int();
  }
  std::vector<Group> groups;
  for (auto& [name, group] : found) groups.push_back(std::move(group));
  const auto total = [](const Group& group) {
    std::int64_t n = 0;
    for (const auto& minute : group.minutes) n += minute.n;
    return n;
  };
  std::ranges::stable_sort(groups, std::greater<>(), total);
  return groups;
}

base::Result<std::string> Minutes::csv(const std::string& rollup, base::Micros first, base::Micros end) {
  const auto shape = std::ranges::find(rollups_, rollup, &RollupShape::name);
  HP_ASSERT(shape != rollups_.end());
  std::string keys, sums;
  for (const auto& by : shape->by) keys += ", " + sql::quote_identifier(by);
  for (const auto& measure : shape->measures)
    sums += ", sum(" + sql::quote_identifier("sum_" + measure) + ") AS " + sql::quote_identifier("sum_" + measure) + ", sum(" +
            sql::quote_identifier("count_" + measure) + ")::BIGINT AS " + sql::quote_identifier("count_" + measure);
  TRY(const auto result,
      sql_.query("SELECT minute, key" + keys + ", sum(n)::BIGINT AS n, sum(bytes)::BIGINT AS bytes, sum(errors)::BIGINT AS errors" + sums +
                 " FROM " + table("rollup") + " WHERE rollup = " + sql::quote_literal(rollup) + " AND minute >= " + timestamp(first) +
                 " AND minute < " + timestamp(end) + " GROUP BY minute, key" + keys + " ORDER BY minute, key"));
  std::string text;
  for (std::size_t c = 0; c < result.names.size(); ++c) text += (c ? "," : "") + csv_cell(result.names[c]);
  text += "\r\n";
  for (const auto& row : result.rows) {
    for (std::size_t c = 0; c < row.size(); ++c)
      text += (c ? "," : "") + (row[c].is_null() ? std::string() : csv_cell(sql::to_display(row[c], result.types[c])));
    text += "\r\n";
  }
  return text;
}

}  // namespace headpond::serve
