// `headpond audit`: the verdict over bronze, from the log or (--deep) from the rows.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/console.h"
#include "app/session.h"
#include "bronze/audit.h"
#include "bronze/view.h"
#include "env/scan_path.h"

namespace headpond::app {
namespace {

// The columns a row's facts come from. The file itself says whether it has a tenant: the log may be what is damaged.
base::Result<std::vector<delta::Field>> fact_columns(sql::Engine& engine, const std::string& file) {
  std::vector<delta::Field> columns{
      {"source", "string"},     {"kafka_partition", "integer"}, {"kafka_offset", "long"}, {"record_index", "integer"},
      {"arrival", "timestamp"}, {"bytes", "integer"},           {"error", "string"},      {"raw", "binary"}};
  TRY(const auto head, engine.query(fmt::format("SELECT * FROM read_parquet({}) LIMIT 0", sql::quote_literal(file))));
  for (std::size_t i = 0; i < head.names.size(); ++i)
    if (head.names[i] == "tenant" && head.types[i] == "VARCHAR") columns.push_back({"tenant", "string"});
  return columns;
}

// Reads one bronze file through DuckDB, in file order.
bronze::RowReader row_reader(Session& session, sql::Engine& engine) {
  return [&session, &engine](const std::string& path, const std::function<void(const bronze::RowFact&)>& visit) -> base::Result<void> {
    const auto file = env::scan_path(*session.lake, session.paths.bronze + "/" + path);
    TRY(const auto columns, fact_columns(engine, file));
    TRY(const auto result, engine.query(bronze::row_facts_query(file, columns)));
    for (const auto& row : result.rows) {
      bronze::RowFact fact;
      fact.partition = {row[0].as_text(), base::PartitionId(static_cast<std::int32_t>(row[1].as_int()))};
      fact.offset = base::Offset(row[2].as_int());
      fact.record_index = static_cast<std::int32_t>(row[3].as_int());
      fact.arrival = base::Micros(row[4].as_int());
      if (!row[5].is_null()) fact.tenant = row[5].as_text();
      fact.bytes = static_cast<std::int32_t>(row[6].as_int());
      fact.error = row[7].as_int() != 0;
      if (!row[8].is_null()) fact.raw = row[8].as_text();
      visit(fact);
    }
    return {};
  };
}

std::string to_json(const bronze::AuditReport& report) {
  nlohmann::ordered_json out;
  out["clean"] = report.clean();
  out["deep"] = report.deep;
  out["version"] = report.version.value();
  out["files"] = report.files;
  out["rows"] = report.rows;
  out["bytes"] = report.bytes;
  for (const auto& [partition, totals] : report.partitions)
    out["partitions"].push_back({{"source", partition.source},
                                 {"partition", partition.partition.value()},
                                 {"first", totals.first.value()},
                                 {"last", totals.last.value()},
                                 {"rows", totals.rows},
                                 {"bytes", totals.bytes},
                                 {"errors", totals.errors},
                                 {"gaps", totals.gaps},
                                 {"fingerprint", fmt::format("{:016x}", totals.fingerprint)},
                                 {"payload_fingerprint", fmt::format("{:016x}", totals.payload_fingerprint)}});
  out["findings"] = nlohmann::ordered_json::array();
  for (const auto& finding : report.findings) out["findings"].push_back({{"what", finding.what}, {"where", finding.where}});
  for (const auto& loss : report.accepted) out["accepted"].push_back({{"what", loss.what}, {"where", loss.where}});
  return out.dump(2);
}

void print(const bronze::AuditReport& report) {
  TextTable table({"source", "partition", "offsets", "rows", "bytes", "errors", "gaps", "fingerprint"});
  for (const auto& [partition, t] : report.partitions)
    table.add({partition.source, std::to_string(partition.partition.value()), fmt::format("{}-{}", t.first.value(), t.last.value()),
               human_count(static_cast<double>(t.rows)), human_bytes(static_cast<double>(t.bytes)), std::to_string(t.errors),
               std::to_string(t.gaps), fmt::format("{:016x}", t.fingerprint)});
  fmt::print("{}", table.render());
  for (const auto& loss : report.accepted) fmt::print("{}: {}\n", loss.what, loss.where);
  for (const auto& finding : report.findings) fmt::print("damage: {}: {}\n", finding.what, finding.where);
  fmt::print("audit{}: version {}, {} files, {} rows, {}: {}\n", report.deep ? " --deep" : "", report.version.value(), report.files,
             human_count(static_cast<double>(report.rows)), human_bytes(static_cast<double>(report.bytes)),
             report.clean() ? "clean, every offset is there once or is a legal gap" : fmt::format("{} findings", report.findings.size()));
}

}  // namespace

int run_audit(const CommonOptions& options, bool deep) {
  int code = kOk;
  auto session = Session::open(options, code);
  if (!session) return code;
  auto engine = sql::Engine::open({.threads = 2, .memory_bytes = 2ll << 30, .spill_directory = ""}, session->lake.get());
  if (!engine) return complain(engine.error());
  const auto report = bronze::audit(*session->lake, session->paths.bronze, deep ? row_reader(*session, **engine) : bronze::RowReader{});
  if (!report) return complain(report.error());
  if (options.json)
    fmt::print("{}\n", to_json(*report));
  else
    print(*report);
  return report->clean() ? kOk : kProblem;
}

}  // namespace headpond::app
