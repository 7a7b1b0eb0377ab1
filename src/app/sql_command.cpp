// `headpond sql`: one query over everything the lake holds.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "app/console.h"
#include "app/session.h"
#include "base/time.h"
#include "bronze/view.h"
#include "delta/log.h"
#include "env/scan_path.h"

namespace headpond::app {
namespace {

// DuckDB's name of a Delta primitive.
std::string duckdb_type(const std::string& delta) {
  static const std::map<std::string, std::string> kTypes{{"string", "VARCHAR"}, {"long", "BIGINT"},     {"integer", "INTEGER"},
                                                         {"double", "DOUBLE"},  {"boolean", "BOOLEAN"}, {"timestamp", "TIMESTAMPTZ"},
                                                         {"date", "DATE"},      {"binary", "BLOB"},     {"float", "FLOAT"}};
  const auto found = kTypes.find(delta);
  return found == kTypes.end() ? delta : found->second;  // decimal(p,s) reads the same
}

// SELECT over the live files of a Delta table, optionally those of one partition value; typed and empty when it has none.
std::string relation(const delta::Table& table, const delta::Snapshot& snapshot, const std::string& partition_column = "",
                     const std::string& value = "") {
  std::map<delta::PartitionValues, std::vector<std::string>> groups;
  for (const auto& [path, add] : snapshot.files) {
    if (!partition_column.empty()) {
      const auto found = add.partition_values.find(partition_column);
      if (found == add.partition_values.end() || found->second != value) continue;
    }
    groups[add.partition_values].push_back(env::scan_path(table.store(), table.path(path)));
  }
  std::string sql;
  for (const auto& [values, files] : groups) {
    if (!sql.empty()) sql += " UNION ALL BY NAME ";
    sql += "SELECT *";
    for (const auto& field : snapshot.metadata.schema) {
      const auto found = values.find(field.name);
      if (found == values.end()) continue;
      const auto literal = found->second ? sql::quote_literal(*found->second) : "NULL";
      sql += fmt::format(", CAST({} AS {}) AS {}", literal, duckdb_type(field.type), sql::quote_identifier(field.name));
    }
    sql += fmt::format(" FROM read_parquet({}, union_by_name = true, hive_partitioning = false)", sql::list_literal(files));
  }
  if (!sql.empty()) return sql;
  std::string columns;
  for (const auto& field : snapshot.metadata.schema)
    columns +=
        fmt::format("{}CAST(NULL AS {}) AS {}", columns.empty() ? "" : ", ", duckdb_type(field.type), sql::quote_identifier(field.name));
  return "SELECT " + columns + " WHERE false";
}

struct View {
  std::string name, root, kind;
};

base::Result<void> add_view(Session& session, sql::Engine& engine, const View& view) {
  const delta::Table table(*session.lake, view.root);
  TRY(const auto snapshot, table.snapshot());
  if (snapshot.version.value() < 0) return {};
  TRY_VOID(engine.query(fmt::format("CREATE OR REPLACE VIEW {} AS {}", sql::quote_identifier(view.name),
                                    relation(table, snapshot, view.kind.empty() ? "" : "kind", view.kind))));
  return {};
}

// Times and days as people and programs write them; everything else as it is.
std::optional<std::string> calendar_text(const std::string& type, const sql::Value& value) {
  const auto* number = std::get_if<std::int64_t>(&value.v);
  if (number == nullptr) return std::nullopt;
  if (type.starts_with("TIMESTAMP")) return base::format_rfc3339(base::Micros(*number));
  if (type == "DATE") return base::format_day(base::Micros(*number * base::kDay.value()));
  return std::nullopt;
}

std::string json_result(const sql::ResultSet& result) {
  auto rows = nlohmann::ordered_json::array();
  for (const auto& row : result.rows) {
    auto object = nlohmann::ordered_json::object();
    for (std::size_t c = 0; c < row.size(); ++c) {
      auto& cell = object[result.names[c]];
      const auto& v = row[c].v;
      if (const auto text = calendar_text(result.types[c], row[c])) {
        cell = *text;
        continue;
      }
      if (const auto* b = std::get_if<bool>(&v))
        cell = *b;
      else if (const auto* i = std::get_if<std::int64_t>(&v))
        cell = *i;
      else if (const auto* d = std::get_if<double>(&v))
        cell = *d;
      else if (const auto* s = std::get_if<std::string>(&v))
        cell = *s;
    }
    rows.push_back(std::move(object));
  }
  return rows.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

base::Result<std::unique_ptr<sql::Engine>> open_lake_views(Session& session) {
  TRY(auto engine, sql::Engine::open({.threads = 2, .memory_bytes = 2ll << 30, .spill_directory = session.data_directory + "/sql-spill"},
                                     session.lake.get()));
  if (const auto view = bronze::open_view(*session.lake, session.paths.bronze)) {
    TRY_VOID(engine->query("CREATE VIEW bronze AS SELECT * FROM " + view->relation));
  } else if (view.error().kind != base::ErrorKind::kNotFound) {
    return std::unexpected(view.error());
  }
  std::vector<View> views;
  for (const auto& branch : session.topology.branches) {
    if (branch.kind == spec::BranchKind::kDashboard)
      for (const char* kind : {"rollup", "histogram", "rolling_5m", "key", "batch"})
        views.push_back({kind, session.paths.gold(branch.name), kind});
    if (branch.kind == spec::BranchKind::kBilling)
      for (const char* name : {"usage_15m", "usage_peak", "invoice_lines"})
        views.push_back({name, session.paths.billing(branch.name) + "/" + name, ""});
    if (branch.kind == spec::BranchKind::kPager) views.push_back({"pages", session.paths.pages(branch.name), ""});
  }
  for (const auto& view : views) TRY_VOID(add_view(session, *engine, view));
  return engine;
}

int run_sql(const CommonOptions& options, const std::string& query) {
  int code = kOk;
  auto session = Session::open(options, code);
  if (!session) return code;
  auto engine = open_lake_views(*session);
  if (!engine) return complain(engine.error());
  const auto result = (*engine)->query(query);
  if (!result) {
    const auto bronze = bronze::open_view(*session->lake, session->paths.bronze);
    const bool missed = !bronze && result.error().message.find("Table with name bronze ") != std::string::npos;
    return complain(missed ? bronze.error() : result.error());
  }
  if (options.json) {
    fmt::print("{}\n", json_result(*result));
    return kOk;
  }
  TextTable table(result->names);
  for (const auto& row : result->rows) {
    std::vector<std::string> cells;
    for (std::size_t c = 0; c < row.size(); ++c) cells.push_back(calendar_text(result->types[c], row[c]).value_or(row[c].to_text()));
    table.add(std::move(cells));
  }
  fmt::print("{}", table.render());
  return kOk;
}

}  // namespace headpond::app
