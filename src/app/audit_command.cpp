// `headpond audit`: the verdict over bronze, from the log, (--deep) from the rows and (--kafka) against the broker.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/console.h"
#include "app/session.h"
#include "base/time.h"
#include "bronze/audit.h"
#include "bronze/view.h"
#include "env/read_ahead.h"
#include "env/scan_path.h"
#include "ingest/topic_audit.h"
#include "kafka/client.h"

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

nlohmann::ordered_json to_json(const std::vector<bronze::Finding>& findings) {
  auto out = nlohmann::ordered_json::array();
  for (const auto& finding : findings) out.push_back({{"what", finding.what}, {"where", finding.where}});
  return out;
}

nlohmann::ordered_json to_json(const ingest::TopicAudit& report) {
  nlohmann::ordered_json out{{"clean", report.clean()},   {"topic", report.topic}, {"topic_id", report.id},
                             {"records", report.records}, {"bytes", report.bytes}, {"behind", report.behind}};
  for (const auto& [id, partition] : report.partitions)
    out["partitions"].push_back({{"partition", id.value()},
                                 {"log_start", partition.log_start.value()},
                                 {"log_end", partition.log_end.value()},
                                 {"position", partition.position.value()},
                                 {"records", partition.records},
                                 {"not_compared", partition.expired}});
  out["findings"] = to_json(report.findings);
  return out;
}

nlohmann::ordered_json to_json(const bronze::AuditReport& report) {
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
  out["findings"] = to_json(report.findings);
  if (!report.accepted.empty()) out["accepted"] = to_json(report.accepted);
  return out;
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

void print(const ingest::TopicAudit& report) {
  TextTable table({"partition", "at the broker", "in bronze to", "behind", "read again", "not compared"});
  for (const auto& [id, p] : report.partitions)
    table.add({std::to_string(id.value()), fmt::format("{}-{}", p.log_start.value(), p.log_end.value() - 1),
               std::to_string(p.position.value()),
               std::to_string(std::max<std::int64_t>(0, p.log_end.value() - std::max(p.position.value() + 1, p.log_start.value()))),
               human_count(static_cast<double>(p.records)), human_count(static_cast<double>(p.expired))});
  fmt::print("{}", table.render());
  for (const auto& finding : report.findings) fmt::print("damage: {}: {}\n", finding.what, finding.where);
  fmt::print("audit --kafka: topic {}, {} records read again, {}, {} offsets not in bronze yet: {}\n", report.topic,
             human_count(static_cast<double>(report.records)), human_bytes(static_cast<double>(report.bytes)),
             human_count(static_cast<double>(report.behind)),
             report.clean() ? "bronze has what the broker has" : fmt::format("{} findings", report.findings.size()));
}

base::Result<ingest::TopicAudit> audit_broker(Session& session, bool json, std::optional<base::Duration> last) {
  ingest::TopicAuditOptions options;
  options.raw_kept = session.topology.bronze.raw == spec::RawOf::kAll;
  if (last) options.first_quarter = (session.clock->now() - *last).value() / base::kQuarterHour.value();
  if (!json)
    options.progress = [](std::int64_t read, std::int64_t of) {
      fmt::print(stderr, "audit --kafka: {} of {} offsets\n", human_count(static_cast<double>(read)), human_count(static_cast<double>(of)));
    };
  const kafka::ClientOptions client{.brokers = session.topology.source.brokers,
                                    .librdkafka_options = session.topology.source.librdkafka_options};
  // The name of a group that never exists: partitions are assigned, no offset is committed.
  TRY(const auto broker, kafka::open_source(client, session.topology.source.topic, "headpond-audit"));
  return ingest::audit_topic(*broker, *session.lake, session.paths.bronze, *session.clock, options);
}

}  // namespace

int run_audit(const AuditCommand& command) {
  const auto last = base::parse_duration(command.last);
  if (!command.last.empty() && !last) {
    complain(fmt::format("--last '{}' is not a duration; expected such as 90m or 2h", command.last));
    return kWrongUse;
  }
  int code = kOk;
  auto session = Session::open(command.common, code);
  if (!session) return code;
  env::ReadAhead lake(*session->lake);
  auto engine = sql::Engine::open({.threads = 2, .memory_bytes = 2ll << 30, .spill_directory = ""}, &lake);
  if (!engine) return complain(engine.error());
  bronze::Expect expect;
  if (lake.reads_at_once() > 1) expect = [&lake](const std::vector<std::string>& paths) { lake.expect(paths); };
  const auto report =
      bronze::audit(lake, session->paths.bronze, command.deep ? row_reader(*session, **engine) : bronze::RowReader{}, expect);
  if (!report) return complain(report.error());
  bool clean = report->clean();
  auto json = to_json(*report);
  if (!command.common.json) print(*report);
  if (command.kafka) {
    const auto broker = audit_broker(*session, command.common.json, last);
    if (!broker) return complain(broker.error());
    clean = clean && broker->clean();
    json["kafka"] = to_json(*broker);
    if (!command.common.json) print(*broker);
  }
  if (command.common.json) fmt::print("{}\n", json.dump(2));
  return clean ? kOk : kProblem;
}

}  // namespace headpond::app
