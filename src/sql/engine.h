// In-process analytics: DuckDB with its own threads, memory and spill limits. The only user of DuckDB.
//
//   TRY(auto sql, sql::Engine::open({.threads = 1, .memory_bytes = 512 << 20, .spill_directory = dir}));
//   TRY(auto result, sql->query("SELECT count(*) FROM read_parquet(['…'])"));
//   result.rows[0][0].as_int();
//
// Session time zone is UTC. Threads: one query at a time per Engine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::env {
class ObjectStore;
}

namespace headpond::sql {

struct Limits {
  int threads = 1;  // of computing; over a far lake there are more, which wait for it
  std::int64_t memory_bytes = 512ll << 20;
  std::string spill_directory;  // empty: no spilling
};

// NULL, BOOLEAN, integers (also TIMESTAMP of any precision as µs and DATE as days since the epoch; HUGEINT, UHUGEINT and UBIGINT where they
// fit an int64, else their digits as text), DOUBLE, and everything else as text or bytes (VARCHAR, BLOB, DECIMAL as its exact digits
// "12.30", lists and structs in DuckDB's own notation). A type without a text form here is refused: cast it to VARCHAR.
struct Value {
  std::variant<std::monostate, bool, std::int64_t, double, std::string> v;

  bool is_null() const { return v.index() == 0; }
  std::int64_t as_int() const;  // also of bool; aborts on another type: a bug in the query
  double as_double() const;     // also of an integer
  const std::string& as_text() const;
  std::string to_text() const;  // for people; NULL = "NULL"
};

struct ResultSet {
  std::vector<std::string> names;
  std::vector<std::string> types;  // DuckDB's names: "BIGINT", "TIMESTAMP", "DECIMAL(28,2)"…
  std::vector<std::vector<Value>> rows;
};

class Engine {
 public:
  // With `lake` (borrowed, outlives the engine) queries may read its objects as "lake://<path>": see env::scan_path().
  static base::Result<std::unique_ptr<Engine>> open(const Limits& limits, env::ObjectStore* lake = nullptr);
  virtual ~Engine() = default;

  // Runs one or several statements; returns the last one's rows.
  // Errors: kInvalid: the SQL or the data it reads, with DuckDB's own message. kRetry: out of memory or spill space, I/O, interrupted.
  // kCorrupt: DuckDB found a bug of its own; open a new Engine.
  virtual base::Result<ResultSet> query(std::string_view text) = 0;
  // The same, for results larger than memory: `row` sees the last statement's rows one by one, and returns false to stop early.
  virtual base::Result<void> for_each(std::string_view text, const std::function<bool(const std::vector<Value>& row)>& row) = 0;
  // The running query ends with kRetry soon. Threads: any.
  virtual void interrupt() = 0;
};

// A cell as people read it: `type` is the column's name in ResultSet::types, so a TIMESTAMP is RFC 3339 and a DATE a day. NULL = "NULL".
std::string to_display(const Value& value, std::string_view type);

std::string quote_literal(std::string_view text);     // 'it''s'
std::string quote_identifier(std::string_view name);  // "order"
// "['a.parquet', 'b.parquet']" for read_parquet.
std::string list_literal(const std::vector<std::string>& texts);

}  // namespace headpond::sql
