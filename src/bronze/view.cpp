#include "bronze/view.h"

#include <algorithm>

#include "env/scan_path.h"

namespace headpond::bronze {
namespace {

std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out += quote;
}

// DuckDB's name of a Delta type, as the file holds it.
std::string stored_type(const std::string& delta_type) {
  if (delta_type == "string") return "VARCHAR";
  if (delta_type == "long") return "BIGINT";
  if (delta_type == "integer") return "INTEGER";
  if (delta_type == "double") return "DOUBLE";
  if (delta_type == "boolean") return "BOOLEAN";
  if (delta_type == "timestamp") return "TIMESTAMP WITH TIME ZONE";
  if (delta_type == "date") return "DATE";
  if (delta_type == "binary") return "BLOB";
  return delta_type;
}

std::string under(const std::string& root, const std::string& path) {
  return root.empty() ? path : root + "/" + path;
}

}  // namespace

std::string scan_expression(const std::vector<std::string>& paths, const std::vector<delta::Field>& schema) {
  std::string shown, empty;
  for (const auto& field : schema) {
    const auto name = quoted(field.name, '"');
    if (!shown.empty()) shown += ", ", empty += ", ";
    // A cast to TIMESTAMP would ask the time zone library about every row (420 ns); the epoch is in UTC already (20 ns).
    shown += field.type == "timestamp" ? "make_timestamp(epoch_us(" + name + ")) AS " + name : name;
    empty += "NULL::" + stored_type(field.type) + " AS " + name;
  }
  auto out = "(SELECT " + shown + " FROM (SELECT * FROM (SELECT " + empty + ") WHERE false";
  if (!paths.empty()) {
    // The empty relation in front fixes names and types; the optimizer drops it.
    out += " UNION ALL BY NAME SELECT * FROM read_parquet([";
    for (std::size_t i = 0; i < paths.size(); ++i) out += (i == 0 ? "" : ", ") + quoted(paths[i], '\'');
    out += "], hive_partitioning=true, hive_types={'ingest_date': DATE}, union_by_name=true)";
  }
  return out + "))";
}

std::string rows_beyond(const std::string& relation, const base::PositionVector& positions) {
  if (positions.empty()) return relation;
  // Joined, not listed: a vector of thousands of partitions is one small hash table.
  std::string rows;
  for (const auto& [where, offset] : positions)
    rows += (rows.empty() ? "(" : ", (") + quoted(where.source, '\'') + ", " + std::to_string(where.partition.value()) + ", " +
            std::to_string(offset.value()) + ")";
  return "(SELECT r.* FROM " + relation + " r LEFT JOIN (VALUES " + rows +
         ") v(source, kafka_partition, reached) USING (source, kafka_partition) WHERE kafka_offset > coalesce(reached, -1))";
}

std::string last_offsets_query(const std::string& relation) {
  return "SELECT source, kafka_partition, max(kafka_offset) FROM " + relation + " GROUP BY source, kafka_partition";
}

std::string raw_expression(std::string_view relation) {
  return relation.empty() ? "raw" : std::string(relation) + ".raw";
}

std::string row_facts_query(const std::string& path, const std::vector<delta::Field>& schema) {
  const bool has_tenant = std::ranges::any_of(schema, [](const auto& f) { return f.name == "tenant" && f.type == "string"; });
  return std::string("SELECT source, kafka_partition, kafka_offset, record_index, arrival, ") + (has_tenant ? "tenant" : "NULL::VARCHAR") +
         ", bytes, error IS NOT NULL, " + raw_expression() + " FROM " + scan_expression({path}, schema);
}

std::vector<std::string> scan_paths(const env::ObjectStore& store, const std::string& table_root, const std::vector<DataFile>& files) {
  std::vector<std::string> out;
  out.reserve(files.size());
  for (const auto& file : files) out.push_back(env::scan_path(store, under(table_root, file.path)));
  return out;
}

base::Result<View> open_view(env::ObjectStore& store, const std::string& table_root, std::optional<base::Version> version) {
  const delta::Table table(store, table_root);
  TRY(const auto snapshot, table.snapshot(version));
  if (snapshot.version < base::Version(0))
    return base::fail(base::ErrorKind::kNotFound, "no bronze table at " + store.describe() + table_root + " yet; start `headpond ingest`");
  View view;
  view.version = snapshot.version;
  view.schema = snapshot.metadata.schema;
  for (const auto& [path, add] : snapshot.files) {
    TRY(auto file, data_file(add));
    view.files.push_back(std::move(file));
  }
  std::ranges::stable_sort(view.files, {}, &DataFile::arrival_min);
  view.relation = scan_expression(scan_paths(store, table_root, view.files), view.schema);
  return view;
}

}  // namespace headpond::bronze
