#include "sim/check_rows.h"

#include <fmt/format.h>

#include "env/scan_path.h"
#include "sql/engine.h"

namespace headpond::sim {
namespace {

struct Cursor {
  std::int64_t offset = -1, arrival = INT64_MIN, rows = 0;
};

class Rows {
 public:
  Rows(const Broker& broker, const LogChecker& log) : broker_(broker), log_(log) {}

  // source, partition, offset, arrival, arrival's day = ingest_date, tenant, bytes, error is set, raw; by source, partition, offset.
  bool row(const std::vector<sql::Value>& cells) {
    const std::pair key{cells[0].as_text(), static_cast<int>(cells[1].as_int())};
    const auto offset = cells[2].as_int(), arrival = cells[3].as_int();
    const auto where = fmt::format("{} partition {} offset {}", key.first, key.second, offset);
    auto& before = cursors_[key];
    const auto state = log_.partitions().find(key);
    if (state == log_.partitions().end()) return wrong(where + " is a row of a partition without a name");
    const auto expected = state->second.rows.find(offset);
    if (expected == state->second.rows.end()) return wrong(where + " is a row, the log has a gap there");
    if (offset == before.offset) return wrong(where + " is there twice");
    if (arrival < before.arrival) return wrong(where + ": arrival falls");
    const auto floor = state->second.floors.lower_bound(offset);  // the clock before the range it is in
    if (floor != state->second.floors.end() && arrival < floor->second) return wrong(where + " is below a published clock");
    if (cells[4].as_int() == 0) return wrong(where + " is in another day's folder");
    const auto& record = broker_.record(expected->second);
    if (cells[5].is_null() != !record.tenant || (record.tenant && cells[5].as_text() != *record.tenant))
      return wrong(where + ": another tenant");
    if (cells[8].is_null() != record.tombstone || (!record.tombstone && cells[8].as_text() != record.payload))
      return wrong(where + ": other bytes");
    if (cells[6].as_int() != static_cast<std::int64_t>(record.payload.size())) return wrong(where + ": another size");
    if ((cells[7].as_int() != 0) != record.error) return wrong(where + (record.error ? ": no error" : ": an error"));
    before = {offset, arrival, before.rows + 1};
    return true;
  }
  void finish() {
    for (const auto& [key, state] : log_.partitions())
      if (const auto rows = static_cast<std::int64_t>(state.rows.size()); cursors_[key].rows != rows && !found_)
        wrong(fmt::format("{} partition {} has {} rows, the log says {}", key.first, key.second, cursors_[key].rows, rows));
  }
  const std::optional<std::string>& found() const { return found_; }

 private:
  bool wrong(std::string what) {
    found_ = std::move(what);
    return false;
  }

  const Broker& broker_;
  const LogChecker& log_;
  std::map<std::pair<std::string, int>, Cursor> cursors_;
  std::optional<std::string> found_;
};

}  // namespace

std::optional<std::string> check_rows(Lake& lake, const Broker& broker, const LogChecker& log, const std::string& table) {
  std::vector<std::string> files;
  for (const auto& path : log.files()) files.push_back(env::scan_path(lake.store(), table + "/" + path));
  Rows rows(broker, log);
  if (!files.empty()) {
    auto sql = sql::Engine::open({}, &lake.store());
    if (!sql) return "DuckDB does not open: " + sql.error().message;
    const auto done = (*sql)->for_each(
        "SELECT source, kafka_partition, kafka_offset, epoch_us(arrival), (CAST(arrival AT TIME ZONE 'UTC' AS DATE) = CAST(ingest_date AS "
        "DATE))::INT, tenant, bytes, (error IS NOT NULL)::INT, raw FROM read_parquet(" +
            sql::list_literal(files) + ", hive_partitioning = true) ORDER BY 1, 2, 3",
        [&](const std::vector<sql::Value>& cells) { return rows.row(cells); });
    if (!done) return "the files cannot be read: " + done.error().message;
  }
  if (!rows.found()) rows.finish();
  return rows.found();
}

}  // namespace headpond::sim
