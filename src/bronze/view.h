// The rows of bronze as a relation in DuckDB's SQL, for `headpond sql`, dashboards, billing and the audit: the one place that knows how
// bronze's files are read.
//
//   TRY(auto view, bronze::open_view(store, paths.bronze));
//   sql->query("CREATE VIEW bronze AS SELECT * FROM " + view.relation);
//   sql->query("SELECT count(*) FROM " + bronze::scan_expression(paths_of_a_step, tail.metadata().schema));
//
// Values; threads: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/tail.h"
#include "delta/log.h"
#include "env/object_store.h"

namespace headpond::bronze {

// A parenthesised relation over these Parquet files: all columns of `schema` in its order (tail.metadata().schema, or schema_fields(…) of
// the topology's columns), NULL where a file is older than a column, times as TIMESTAMP (µs, UTC), `ingest_date` as DATE. Without files:
// the same columns and no rows. Requires: each path lies in a folder `ingest_date=<day>`, as a bronze table lays them out.
std::string scan_expression(const std::vector<std::string>& paths, const std::vector<delta::Field>& schema);

// Of a bronze relation the rows beyond these positions, by source, partition and offset; all of a partition that has none.
std::string rows_beyond(const std::string& relation, const base::PositionVector& positions);

// Of a bronze relation the last offset of each partition: source, kafka_partition, kafka_offset.
std::string last_offsets_query(const std::string& relation);

// The payload of a row as the producer sent it, NULL where it is not kept: every query obtains it through this expression only, so that a
// packed form can take its place. `relation` is the alias of the bronze relation, empty if there is only one.
std::string raw_expression(std::string_view relation = "");

// A query over one file whose rows are RowFacts (bronze/audit.h), in file order: source, kafka_partition, kafka_offset, record_index,
// arrival (µs), tenant (text, NULL), bytes, error (boolean), raw (bytes, NULL).
std::string row_facts_query(const std::string& path, const std::vector<delta::Field>& schema);

// What an sql::Engine over this lake reads these data files as, in their order.
std::vector<std::string> scan_paths(const env::ObjectStore& store, const std::string& table_root, const std::vector<DataFile>& files);

struct View {
  base::Version version;        // it shows the table as of this version
  std::vector<DataFile> files;  // in rising arrival
  std::vector<delta::Field> schema;
  std::string relation;  // scan_expression over all of them
};

// All live rows as of `version` (default: newest).
// Errors: kNotFound: no such table (yet). kInvalid: not a bronze table, a newer format. kRetry. kCorrupt.
base::Result<View> open_view(env::ObjectStore& store, const std::string& table_root, std::optional<base::Version> version = std::nullopt);

}  // namespace headpond::bronze
