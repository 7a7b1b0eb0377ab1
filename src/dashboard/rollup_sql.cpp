#include <algorithm>

#include "dashboard/rollup.h"
#include "sql/engine.h"

namespace headpond::dashboard {
namespace {

using sql::quote_identifier;
using sql::quote_literal;

bool has(const std::vector<delta::Field>& schema, std::string_view name) {
  return std::ranges::any_of(schema, [&](const delta::Field& field) { return field.name == name; });
}

// OpenTelemetry's short names of severity_number.
constexpr const char* kSeveritySql =
    "CASE WHEN severity_number BETWEEN 1 AND 4 THEN 'TRACE' WHEN severity_number BETWEEN 5 AND 8 THEN 'DEBUG'"
    " WHEN severity_number BETWEEN 9 AND 12 THEN 'INFO' WHEN severity_number BETWEEN 13 AND 16 THEN 'WARN'"
    " WHEN severity_number BETWEEN 17 AND 20 THEN 'ERROR' WHEN severity_number BETWEEN 21 AND 24 THEN 'FATAL' END";

std::string dimension_sql(const std::string& name, const std::vector<delta::Field>& schema) {
  if (has(schema, name)) return quote_identifier(name);
  if (name == "severity" && has(schema, "severity_number")) return kSeveritySql;
  return "NULL";
}

std::string error_sql(const std::vector<delta::Field>& schema) {
  std::string condition = "error IS NOT NULL";
  if (has(schema, "severity_number")) condition += " OR severity_number >= 17";
  if (has(schema, "status")) condition += " OR status >= 500";
  return "coalesce(" + condition + ", false)";
}

std::string measure_sql(const std::string& name, const std::vector<delta::Field>& schema) {
  if (!has(schema, name)) return "NULL::DOUBLE";
  const auto column = quote_identifier(name) + "::DOUBLE";
  return "CASE WHEN isfinite(" + column + ") THEN " + column + " END";
}

std::string numbered(const char* letter, std::size_t i) {
  return letter + std::to_string(i);
}

std::string joined(const std::vector<std::string>& parts, const char* separator = ", ") {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : separator) + part;
  return text;
}

// fine: the one pass over bronze. A row a (minute, dimensions, bucket of one measure): grouping set j has g_j = 0 and holds bucket b_j.
std::string fine_sql(const Rollup& rollup, const Rollups& rollups, const std::string& scan, const std::vector<delta::Field>& schema) {
  std::vector<std::string> inner{"date_trunc('minute', ts) AS minute", "bytes", error_sql(schema) + " AS failed",
                                 "epoch_us(arrival) - epoch_us(ts) > " + std::to_string(rollups.allowed_lateness.value()) + " AS tardy"};
  std::vector<std::string> outer{"minute", "count(*) AS n", "sum(bytes)::BIGINT AS bytes", "count_if(failed)::BIGINT AS errors",
                                 "count_if(tardy)::BIGINT AS late"};
  std::vector<std::string> group{"minute"}, sets;
  for (std::size_t i = 0; i < rollup.by.size(); ++i) {
    inner.push_back(dimension_sql(rollup.by[i], schema) + " AS " + numbered("d", i));
    outer.push_back(numbered("d", i));
    group.push_back(numbered("d", i));
  }
  for (std::size_t j = 0; j < rollup.measures.size(); ++j) {
    inner.push_back(measure_sql(rollup.measures[j], schema) + " AS " + numbered("x", j));
    const auto bucket = numbered("b", j);
    for (const auto& column :
         {bucket, "grouping(" + bucket + ") AS " + numbered("g", j), "sum(" + numbered("x", j) + ") AS " + numbered("s", j),
          "count(" + numbered("x", j) + ") AS " + numbered("c", j)})
      outer.push_back(column);
    sets.push_back("(" + joined(group) + ", " + bucket + ")");
  }
  if (sets.empty()) sets.push_back("(" + joined(group) + ")");
  std::string buckets;
  for (std::size_t j = 0; j < rollup.measures.size(); ++j) {
    const auto x = numbered("x", j);
    buckets += ", CASE WHEN " + x + " <= 0 THEN " + std::to_string(kZeroBucket) + " ELSE floor(log2(CASE WHEN " + x + " > 0 THEN " + x +
               " END) * " + std::to_string(kBucketsPerOctave) + " + 1e-9)::INTEGER END AS " + numbered("b", j);
  }
  return "CREATE OR REPLACE TEMP TABLE fine AS SELECT " + joined(outer) + " FROM (SELECT *" + buckets + " FROM (SELECT " + joined(inner) +
         " FROM " + scan + ")) GROUP BY GROUPING SETS (" + joined(sets) + ");\n";
}

// keyed: fine with its key as JSON and its dimensions as text; batch_key: keys admitted by this batch, the most frequent first.
std::string admit_sql(const Rollup& rollup, const Rollups& rollups) {
  std::vector<std::string> members, texts;
  for (std::size_t i = 0; i < rollup.by.size(); ++i) {
    members.push_back(quote_literal(rollup.by[i]) + ", " + numbered("d", i));
    texts.push_back(numbered("d", i) + "::VARCHAR AS " + quote_identifier(rollup.by[i]));
  }
  const auto dims = texts.empty() ? std::string() : ", " + joined(texts);
  std::vector<std::string> any;
  for (const auto& name : rollup.by) any.push_back("any_value(" + quote_identifier(name) + ") AS " + quote_identifier(name));
  const auto name = quote_literal(rollup.name);
  const auto first = rollup.measures.empty() ? std::string("true") : std::string("g0 = 0");
  return "CREATE OR REPLACE TEMP TABLE keyed AS SELECT fine.*, json_object(" + joined(members) + ")::VARCHAR AS key" + dims +
         " FROM fine;\n" + "INSERT INTO batch_key BY NAME SELECT " + name + " AS rollup, key, sum(n)::BIGINT AS n" +
         (any.empty() ? "" : ", " + joined(any)) + " FROM keyed WHERE " + first +
         " AND key NOT IN (SELECT key FROM admitted WHERE rollup = " + name +
         ") GROUP BY key ORDER BY n DESC, key LIMIT (SELECT greatest(0, " + std::to_string(rollups.max_keys) +
         " - count(*)) FROM admitted WHERE rollup = " + name + ");\n" +
         "CREATE OR REPLACE TEMP TABLE known AS SELECT key FROM admitted WHERE rollup = " + name +
         " UNION ALL SELECT key FROM batch_key WHERE rollup = " + name + ";\n" + "UPDATE keyed SET key = " + quote_literal(kOtherKey) +
         joined(
             [&] {
               std::vector<std::string> cleared{""};
               for (const auto& column : rollup.by) cleared.push_back(", " + quote_identifier(column) + " = NULL");
               return cleared;
             }(),
             "") +
         " WHERE key NOT IN (SELECT key FROM known);\n";
}

std::string collect_sql(const Rollup& rollup) {
  const auto name = quote_literal(rollup.name);
  const bool measured = !rollup.measures.empty();
  const auto filter = [&](std::size_t j) { return measured ? " FILTER (WHERE " + numbered("g", j) + " = 0)" : std::string(); };
  std::vector<std::string> columns{name + " AS rollup", "minute", "key"};
  for (const auto& by : rollup.by) columns.push_back("any_value(" + quote_identifier(by) + ") AS " + quote_identifier(by));
  for (const char* sum : {"n", "bytes", "errors"}) columns.push_back("(sum(" + std::string(sum) + ")" + filter(0) + ")::BIGINT AS " + sum);
  std::string histogram;
  for (std::size_t j = 0; j < rollup.measures.size(); ++j) {
    const auto& measure = rollup.measures[j];
    columns.push_back("(sum(" + numbered("s", j) + ")" + filter(j) + ") AS " + quote_identifier("sum_" + measure));
    columns.push_back("(sum(" + numbered("c", j) + ")" + filter(j) + ")::BIGINT AS " + quote_identifier("count_" + measure));
    histogram += "INSERT INTO batch_histogram BY NAME SELECT " + name + " AS rollup, minute, key, " + quote_literal(measure) +
                 " AS measure, " + numbered("b", j) + " AS bucket, sum(n)::BIGINT AS n FROM keyed WHERE " + numbered("g", j) + " = 0 AND " +
                 numbered("b", j) + " IS NOT NULL GROUP BY minute, key, " + numbered("b", j) + ";\n";
  }
  return "INSERT INTO batch_rollup BY NAME SELECT " + joined(columns) + " FROM keyed GROUP BY minute, key;\n" + histogram;
}

std::string create_batch_sql(const Rollups& rollups) {
  std::string dims, sums;
  for (const auto& name : rollups.dimensions()) dims += ", " + quote_identifier(name) + " VARCHAR";
  for (const auto& name : rollups.measures())
    sums += ", " + quote_identifier("sum_" + name) + " DOUBLE, " + quote_identifier("count_" + name) + " BIGINT";
  return "CREATE OR REPLACE TEMP TABLE batch_rollup (rollup VARCHAR, minute TIMESTAMP, key VARCHAR" + dims +
         ", n BIGINT, bytes BIGINT, errors BIGINT" + sums +
         ");\nCREATE OR REPLACE TEMP TABLE batch_histogram (rollup VARCHAR, minute TIMESTAMP, key VARCHAR, measure VARCHAR, bucket "
         "INTEGER, n BIGINT);\n"
         "CREATE OR REPLACE TEMP TABLE batch_key (rollup VARCHAR, key VARCHAR" +
         dims + ", n BIGINT);\n";
}

// Gold's partials of one kind with those of this batch, each counted in the five windows it lies in, as far as the batch touched them.
std::string windowed_sql(const std::string& files, const std::string& own, const std::string& columns) {
  const auto gold = files == "[]" ? std::string()
                                  : "SELECT rollup, minute::TIMESTAMP AS minute, key, " + columns + " FROM read_parquet(" + files +
                                        ", union_by_name = true, hive_partitioning = false) UNION ALL ";
  return "(SELECT p.*, minute + to_minutes(k) AS window_end FROM (" + gold + "SELECT rollup, minute, key, " + columns + " FROM " + own +
         ") p, range(1, " + std::to_string(kRollingMinutes + 1) + ") r(k)) JOIN touched USING (rollup, key, window_end)";
}

std::string percentile_sql(int percent) {
  const auto text = std::to_string(percent);
  return "min(bucket) FILTER (WHERE below * 100 >= total * " + text + ") AS b" + text;
}

// A bucket's middle on the logarithmic scale: at most 4.4 % from any value in it.
std::string bucket_value_sql(int percent) {
  const auto bucket = "b" + std::to_string(percent);
  return "CASE WHEN " + bucket + " = " + std::to_string(kZeroBucket) + " THEN 0.0 ELSE pow(2.0, (" + bucket + " + 0.5) / " +
         std::to_string(kBucketsPerOctave) + ") END AS p" + std::to_string(percent);
}

}  // namespace

std::string create_admitted_sql() {
  return "CREATE OR REPLACE TEMP TABLE admitted (rollup VARCHAR, key VARCHAR)";
}

std::string drop_batch_sql() {
  std::string text;
  for (const char* name : {"fine", "keyed", "known", "batch_rollup", "batch_histogram", "batch_key", "batch_total", "batch_rolling",
                           "touched", "first_measure"})
    text += std::string("DROP TABLE IF EXISTS ") + name + ";\n";
  return text;
}

std::string aggregate_sql(const Rollups& rollups, const std::string& scan, const std::vector<delta::Field>& schema) {
  std::string text = create_batch_sql(rollups);
  for (std::size_t i = 0; i < rollups.all.size(); ++i) {
    const auto& rollup = rollups.all[i];
    text += fine_sql(rollup, rollups, scan, schema);
    if (i == 0) {
      const auto first = rollup.measures.empty() ? "" : " WHERE g0 = 0";
      text += std::string(
                  "CREATE OR REPLACE TEMP TABLE batch_total AS SELECT coalesce(sum(n), 0)::BIGINT AS n, "
                  "coalesce(sum(late), 0)::BIGINT AS late FROM fine") +
              first + ";\n";
    }
    text += admit_sql(rollup, rollups) + collect_sql(rollup);
  }
  return text;
}

std::string rolling_sql(const Rollups& rollups, const std::vector<std::string>& rollup_files,
                        const std::vector<std::string>& histogram_files) {
  std::string first = "CREATE OR REPLACE TEMP TABLE first_measure (rollup VARCHAR, measure VARCHAR);\n";
  for (const auto& rollup : rollups.all)
    if (!rollup.measures.empty())
      first += "INSERT INTO first_measure VALUES (" + quote_literal(rollup.name) + ", " + quote_literal(rollup.measures[0]) + ");\n";
  std::string dims;
  for (const auto& name : rollups.dimensions()) dims += ", t." + quote_identifier(name);
  std::string any;
  for (const auto& name : rollups.dimensions()) any += ", any_value(" + quote_identifier(name) + ") AS " + quote_identifier(name);
  return first + "CREATE OR REPLACE TEMP TABLE touched AS SELECT rollup, key, minute + to_minutes(k) AS window_end" + any +
         " FROM batch_rollup, range(1, " + std::to_string(kRollingMinutes + 1) + ") r(k) GROUP BY ALL;\n" +
         "CREATE OR REPLACE TEMP TABLE batch_rolling AS WITH counts AS (SELECT rollup, key, window_end, sum(n)::BIGINT AS n, "
         "sum(bytes)::BIGINT AS bytes,"
         " sum(errors)::BIGINT AS errors FROM " +
         windowed_sql(sql::list_literal(rollup_files), "batch_rollup", "n, bytes, errors") +
         " GROUP BY ALL),\nbuckets AS (SELECT rollup, key, window_end, bucket, sum(n) AS n FROM " +
         windowed_sql(sql::list_literal(histogram_files), "batch_histogram", "measure, bucket, n") +
         " JOIN first_measure USING (rollup, measure) GROUP BY ALL),\n"
         "ranked AS (SELECT rollup, key, window_end, bucket, sum(n) OVER (PARTITION BY rollup, key, window_end ORDER BY bucket) AS below,"
         " sum(n) OVER (PARTITION BY rollup, key, window_end) AS total FROM buckets),\n"
         "marks AS (SELECT rollup, key, window_end, " +
         percentile_sql(50) + ", " + percentile_sql(95) + ", " + percentile_sql(99) +
         " FROM ranked GROUP BY ALL)\n"
         "SELECT c.rollup, c.window_end, c.key" +
         dims + ", c.n, c.bytes, c.errors, " + bucket_value_sql(50) + ", " + bucket_value_sql(95) + ", " + bucket_value_sql(99) +
         " FROM counts c JOIN touched t USING (rollup, key, window_end) LEFT JOIN marks USING (rollup, key, window_end);\n";
}

std::string select_rows_sql(const Rollups& rollups, std::string_view kind, std::int64_t batch_id) {
  std::string dims, sums;
  for (const auto& name : rollups.dimensions()) dims += ", " + quote_identifier(name);
  for (const auto& name : rollups.measures()) sums += ", " + quote_identifier("sum_" + name) + ", " + quote_identifier("count_" + name);
  const auto head = "SELECT " + std::to_string(batch_id) + "::BIGINT AS batch_id, rollup, ";
  if (kind == "rollup")
    return head + "minute::TIMESTAMPTZ AS minute, key" + dims + ", n, bytes, errors" + sums +
           " FROM batch_rollup ORDER BY rollup, minute, key";
  if (kind == "histogram")
    return head +
           "minute::TIMESTAMPTZ AS minute, key, measure, bucket, n FROM batch_histogram ORDER BY rollup, minute, key, measure, bucket";
  if (kind == "rolling_5m")
    return head + "window_end::TIMESTAMPTZ AS window_end, key" + dims +
           ", n, bytes, errors, p50, p95, p99 FROM batch_rolling ORDER BY rollup, "
           "window_end, key";
  HP_ASSERT(kind == "key");
  return head + "key" + dims + ", n FROM batch_key ORDER BY rollup, n DESC, key";
}

}  // namespace headpond::dashboard
