#include "pager/folder.h"

#include <algorithm>

#include "bronze/view.h"
#include "rules/fold.h"
#include "rules/key_state.h"

namespace headpond::pager {

base::Result<std::vector<Folded>> fold_rows(sql::Engine& sql, const std::vector<rules::FoldGroup>& folds,
                                            const std::vector<std::string>& paths, const std::vector<delta::Field>& schema,
                                            const base::PositionVector& beyond) {
  std::vector<Folded> out(folds.size());
  for (std::size_t i = 0; i < folds.size(); ++i) out[i].late.assign(folds[i].measures.size(), 0);
  if (paths.empty() || folds.empty()) return out;
  const rules::FoldQuery query = rules::fold_query(folds, bronze::rows_beyond(bronze::scan_expression(paths, schema), beyond));
  std::vector<std::optional<std::string>> values(query.keys);
  TRY_VOID(sql.for_each(query.sql, [&](const std::vector<sql::Value>& row) {
    const auto g = static_cast<std::size_t>(row[0].as_int());
    const rules::FoldGroup& fold = folds[g];
    for (std::size_t k = 0; k < query.keys; ++k) values[k] = row[1 + k].is_null() ? std::nullopt : std::optional(row[1 + k].as_text());
    rules::Partial partial{row[1 + query.keys].as_int(), {}};
    bool any = false;
    for (std::size_t m = 0; m < fold.measures.size(); ++m) {
      const auto& value = row[2 + query.keys + m];
      const std::int64_t nothing = fold.measures[m].kind == rules::Measure::Kind::kPresence ? rules::kNever : 0;
      partial.values.push_back(value.is_null() ? nothing : value.as_int());
      any = any || partial.values.back() != nothing;
      out[g].late[m] += row[2 + query.keys + query.measures + m].as_int();
    }
    if (any) out[g].keys[rules::key_json(fold, values)].push_back(std::move(partial));
    return true;
  }));
  // In order, a state takes them in without moving what it has.
  for (auto& fold : out)
    for (auto& [key, partials] : fold.keys) std::ranges::sort(partials, {}, &rules::Partial::slice);
  return out;
}

base::Result<base::PositionVector> last_offsets(sql::Engine& sql, const std::vector<std::string>& paths,
                                                const std::vector<delta::Field>& schema) {
  base::PositionVector out;
  TRY(const auto found, sql.query(bronze::last_offsets_query(bronze::scan_expression(paths, schema))));
  for (const auto& row : found.rows)
    out[{row[0].as_text(), base::PartitionId(static_cast<std::int32_t>(row[1].as_int()))}] = base::Offset(row[2].as_int());
  return out;
}

}  // namespace headpond::pager
