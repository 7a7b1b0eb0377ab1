// What a dashboard aggregates: rollups declared in the topology, resolved against bronze's columns, and the SQL that computes them.
// Definitions: docs/formats/gold.md. Values; no I/O; threads: any.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "delta/log.h"
#include "spec/topology.h"

namespace headpond::dashboard {

inline constexpr std::string_view kOtherKey = "other";  // what is beyond max_keys; a real key is a JSON object
inline constexpr int kBucketsPerOctave = 8;
inline constexpr int kZeroBucket = -32768;  // values that are zero or less; every other bucket of a double is above -8600
inline constexpr int kRollingMinutes = 5;

struct Rollup {
  std::string name;
  std::vector<std::string> by;        // columns of gold, in key order
  std::vector<std::string> measures;  // numeric columns of bronze
};

struct Rollups {
  std::vector<Rollup> all;
  int max_keys = 1000;
  base::Duration allowed_lateness = base::Duration::seconds(10);

  std::vector<std::string> dimensions() const;  // distinct `by` columns of all rollups, in order of appearance
  std::vector<std::string> measures() const;
};

// A branch's rollups, or the default: service × severity with duration_ms, as far as bronze declares them.
// Errors: kInvalid, with file:line:column: an unknown column, a measure that is no number, a `by` column named like one of gold's own.
base::Result<Rollups> resolve_rollups(const spec::Branch& branch, const spec::BronzeSpec& bronze);

// Columns of the gold table (`kind` included, last).
std::vector<delta::Field> gold_schema(const Rollups& rollups);
// The declaration of a rollup as text, kept in the table so that a change under the same name is noticed.
std::string declaration(const Rollup& rollup);

// The SQL of one batch. `scan` is a relation of bronze rows with columns as `schema` lists them. Tables made here are temporary and live in
// the dashboard's own DuckDB; each statement list may be run as one query.
//
// Given table `admitted(rollup, key)`, makes batch_rollup, batch_histogram, batch_key (newly admitted) and batch_total(n, late).
std::string aggregate_sql(const Rollups& rollups, const std::string& scan, const std::vector<delta::Field>& schema);
// Given the above and the gold files of kinds rollup and histogram that may hold touched windows, makes batch_rolling.
std::string rolling_sql(const Rollups& rollups, const std::vector<std::string>& rollup_files,
                        const std::vector<std::string>& histogram_files);
std::string create_admitted_sql();
std::string drop_batch_sql();
// What goes into the file of each kind.
std::string select_rows_sql(const Rollups& rollups, std::string_view kind, std::int64_t batch_id);

}  // namespace headpond::dashboard
