// Reads cells out of DuckDB's vectors. Private to sql.
#pragma once

#include <duckdb.h>

#include <memory>
#include <string>
#include <vector>

#include "sql/engine.h"

namespace headpond::sql {

// What is needed to read one column (or a child of a nested one): learnt once a result, used for every cell.
class ColumnReader {
 public:
  // Takes over `type`.
  explicit ColumnReader(duckdb_logical_type type);
  ~ColumnReader();
  ColumnReader(const ColumnReader&) = delete;
  ColumnReader& operator=(const ColumnReader&) = delete;

  const std::string& type_name() const { return type_name_; }
  // False: this type, or one inside it, has no text form here.
  bool readable() const { return readable_; }
  Value read(duckdb_vector vector, idx_t row) const;

 private:
  void describe();
  Value read_valid(duckdb_vector vector, idx_t row) const;
  Value read_decimal(const void* data, idx_t row) const;
  std::string read_nested(duckdb_vector vector, idx_t row) const;
  std::string list_text(duckdb_vector child, idx_t first, idx_t count, bool map) const;

  duckdb_logical_type type_;
  duckdb_type id_;
  duckdb_type internal_id_ = DUCKDB_TYPE_INVALID;  // of a DECIMAL or an ENUM
  int scale_ = 0;
  std::string type_name_;
  bool readable_ = true;
  std::vector<std::string> names_;  // of an ENUM's values or a STRUCT's fields
  std::vector<std::unique_ptr<ColumnReader>> children_;
};

}  // namespace headpond::sql
