// In-process analytics: DuckDB with its own threads, memory and spill limits. The only user of DuckDB.
//
//   TRY(auto sql, sql::Engine::open({.threads = 1, .memory_bytes = 512 << 20, .spill_directory = dir}));
//   TRY(auto result, sql->query("SELECT count(*) FROM read_parquet(['…'])"));
//   result.rows[0][0].as_int();
//
// Session time zone is UTC. Threads: one query at a time per Engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::sql {

struct Limits {
  int threads = 1;
  std::int64_t memory_bytes = 512ll << 20;
  std::string spill_directory;  // empty: no spilling
};

// NULL, BOOLEAN, integers (also TIMESTAMP as µs and DATE as days since the epoch), UBIGINT/HUGEINT that fit, DOUBLE,
// and everything else as text or bytes (VARCHAR, BLOB, DECIMAL as its exact digits "12.30").
struct Value {
  std::variant<std::monostate, bool, std::int64_t, double, std::string> v;

  bool is_null() const { return v.index() == 0; }
  std::int64_t as_int() const;         // also of bool; aborts on another type: a bug in the query
  double as_double() const;            // also of an integer
  const std::string& as_text() const;
  std::string to_text() const;         // for people; NULL = "NULL"
};

struct ResultSet {
  std::vector<std::string> names;
  std::vector<std::string> types;  // DuckDB's names: "BIGINT", "TIMESTAMP", "DECIMAL(28,2)"…
  std::vector<std::vector<Value>> rows;
};

class Engine {
 public:
  static base::Result<std::unique_ptr<Engine>> open(const Limits& limits);
  virtual ~Engine() = default;

  // Runs one or several statements; returns the last one's rows.
  // Errors: kInvalid: the SQL, with DuckDB's own message. kRetry: out of memory or spill space, I/O.
  virtual base::Result<ResultSet> query(std::string_view text) = 0;
  // The running query ends with kRetry soon. Threads: any.
  virtual void interrupt() = 0;
};

std::string quote_literal(std::string_view text);     // 'it''s'
std::string quote_identifier(std::string_view name);  // "order"
// "['a.parquet', 'b.parquet']" for read_parquet.
std::string list_literal(const std::vector<std::string>& texts);

}  // namespace headpond::sql
