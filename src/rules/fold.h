// The fold plan: one SQL query that reduces the rows of a version to partials of every fold group. Pure; values.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rules/program.h"

namespace headpond::rules {

// Columns of the result, one row for each (fold group, key, slice): the fold's index, `keys` texts (null = the column is null), slice,
// then for each of `measures`: its value (bigint, may be null), then for each: late rows that matched. Columns behind a fold's own are
// null.
struct FoldQuery {
  std::string sql;
  std::size_t keys = 0, measures = 0;
};

// `source` is what stands behind FROM. Requires at least one fold. Dialect: DuckDB.
FoldQuery fold_query(std::span<const FoldGroup> folds, std::string_view source);

// Canonical JSON of a key: {"tenant":"t1","service":null}, in `by` order.
std::string key_json(const FoldGroup& fold, std::span<const std::optional<std::string>> values);
// Back again. Requires text made by key_json for this fold.
std::vector<std::optional<std::string>> key_values(std::string_view key);

// A WHERE condition that picks the rows of one key that a rule looks at (any of its predicates), in [first, last) of ts.
std::string rows_condition(const FoldGroup& fold, const Rule& rule, std::string_view key, base::Micros first, base::Micros last);

}  // namespace headpond::rules
