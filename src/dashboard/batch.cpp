#include "dashboard/batch.h"

#include <algorithm>
#include <cstdio>

#include "bronze/view.h"

namespace headpond::dashboard {
namespace {

std::string positions_relation(const base::PositionVector& positions, const char* name) {
  std::string rows;
  for (const auto& [where, offset] : positions)
    rows += (rows.empty() ? "" : ", ") + ("(" + sql::quote_literal(where.source) + ", " + std::to_string(where.partition.value()) + ", " +
                                          std::to_string(offset.value()) + ")");
  const std::string columns = "(source, kafka_partition, " + std::string(name) + ")";
  if (rows.empty()) return std::string("(SELECT NULL::VARCHAR, NULL::INTEGER, NULL::BIGINT WHERE false) v") + columns;
  return "(VALUES " + rows + ") v" + columns;
}

base::Result<void> copy_to(sql::Engine& sql, const std::string& select, const std::string& file) {
  TRY_VOID(sql.query("COPY (" + select + ") TO " + sql::quote_literal(file) + " (FORMAT parquet, COMPRESSION zstd)"));
  return {};
}

std::string batch_row_sql(const BatchRange& range, const BatchFiles& files) {
  const auto number = [](std::int64_t n) { return std::to_string(n) + "::BIGINT AS "; };
  return "SELECT " + number(range.batch_id) + "batch_id, " + sql::quote_literal(positions_json(range.before)) + " AS positions_before, " +
         sql::quote_literal(positions_json(range.after)) + " AS positions_after, " + number(range.first_version.value()) +
         "first_version, " + number(range.last_version.value()) + "last_version, " + number(files.rows) + "\"rows\", " +
         number(files.late) + "late, " + "make_timestamp(" + std::to_string(range.started_at.value()) + ")::TIMESTAMPTZ AS committed_at";
}

class BatchWriter {
 public:
  BatchWriter(const BatchRange& range, const Rollups& rollups, Gold& gold, sql::Engine& sql, const std::string& scratch)
      : range_(range), rollups_(rollups), gold_(gold), sql_(sql), file_(scratch + "/gold-batch.parquet") {}
  ~BatchWriter() { std::remove(file_.c_str()); }

  base::Result<BatchFiles> run();

 private:
  base::Result<void> roll();
  base::Result<void> add_kind(std::string_view kind, const std::string& table, const std::string& minute_column);

  const BatchRange& range_;
  const Rollups& rollups_;
  Gold& gold_;
  sql::Engine& sql_;
  std::string file_;
  BatchFiles files_;
};

base::Result<BatchFiles> BatchWriter::run() {
  TRY_VOID(sql_.query(drop_batch_sql() + aggregate_sql(rollups_, range_scan(range_), range_.schema)));
  TRY(const auto total, sql_.query("SELECT n, late, (SELECT count(*) FROM batch_key) FROM batch_total"));
  files_.rows = total.rows.at(0)[0].as_int();
  files_.late = total.rows.at(0)[1].as_int();
  files_.new_keys = total.rows.at(0)[2].as_int();
  if (files_.rows == 0) return std::move(files_);
  TRY_VOID(roll());
  TRY_VOID(add_kind("rollup", "batch_rollup", "minute"));
  TRY_VOID(add_kind("histogram", "batch_histogram", "minute"));
  TRY_VOID(add_kind("rolling_5m", "batch_rolling", "window_end"));
  TRY_VOID(add_kind("key", "batch_key", ""));
  TRY_VOID(copy_to(sql_, batch_row_sql(range_, files_), file_));
  TRY(auto add, gold_.upload(file_, "batch", range_.batch_id, 1, std::nullopt, std::nullopt));
  files_.adds.push_back(std::move(add));
  TRY_VOID(sql_.query(drop_batch_sql()));
  return std::move(files_);
}

base::Result<void> BatchWriter::roll() {
  TRY(const auto result, sql_.query("SELECT DISTINCT minute FROM batch_rollup ORDER BY minute"));
  std::vector<std::int64_t> minutes;
  for (const auto& row : result.rows) minutes.push_back(row[0].as_int());
  // A window that a minute lies in reaches four minutes to either side of it.
  const auto reach = base::Duration::minutes(kRollingMinutes - 1).value();
  const auto touches = [&](base::Micros first, base::Micros last) {
    const auto next = std::ranges::lower_bound(minutes, first.value() - reach);
    return next != minutes.end() && *next <= last.value() + reach;
  };
  const auto rollup_files = gold_.files("rollup", touches);
  const auto histogram_files = gold_.files("histogram", touches);
  TRY_VOID(sql_.query(rolling_sql(rollups_, rollup_files, histogram_files)));
  return {};
}

base::Result<void> BatchWriter::add_kind(std::string_view kind, const std::string& table, const std::string& minute_column) {
  const auto span = minute_column.empty() ? std::string(", NULL, NULL") : ", min(" + minute_column + "), max(" + minute_column + ")";
  TRY(const auto shape, sql_.query("SELECT count(*)" + span + " FROM " + table));
  const auto& row = shape.rows.at(0);
  if (row[0].as_int() == 0) return {};
  TRY_VOID(copy_to(sql_, select_rows_sql(rollups_, kind, range_.batch_id), file_));
  std::optional<base::Micros> first, last;
  if (!row[1].is_null()) first = base::Micros(row[1].as_int()), last = base::Micros(row[2].as_int());
  TRY(auto add, gold_.upload(file_, kind, range_.batch_id, row[0].as_int(), first, last));
  files_.adds.push_back(std::move(add));
  return {};
}

}  // namespace

std::string range_scan(const BatchRange& range) {
  // Joined, not listed: a vector of thousands of partitions is one small hash table.
  return "(SELECT r.* FROM " + bronze::scan_expression(range.files, range.schema) + " r JOIN " + positions_relation(range.after, "upto") +
         " USING (source, kafka_partition) LEFT JOIN (SELECT * FROM " + positions_relation(range.before, "beyond") +
         ") USING (source, kafka_partition) WHERE kafka_offset <= upto AND kafka_offset > coalesce(beyond, -1))";
}

base::Result<BatchFiles> compute_batch(const BatchRange& range, const Rollups& rollups, Gold& gold, sql::Engine& sql,
                                       const std::string& scratch) {
  return BatchWriter(range, rollups, gold, sql, scratch).run();
}

}  // namespace headpond::dashboard
