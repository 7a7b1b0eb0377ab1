// Step 1 of evaluation: the rows of one version → partials per (fold group, key, slice), by one query over its files.
// Threads: one at a time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "delta/log.h"
#include "rules/advance.h"
#include "rules/program.h"
#include "sql/engine.h"

namespace headpond::pager {

struct Folded {
  std::map<std::string, std::vector<rules::Partial>> keys;  // by key JSON
  std::vector<std::int64_t> late;                           // by measure: late rows that matched
};

// One Folded per fold group of `folds`. `paths` are Parquet files of bronze, as bronze::scan_paths() names them; of their rows, those
// beyond `beyond` count. Errors: kInvalid: a rule names what the rows cannot answer. kRetry: memory, I/O.
base::Result<std::vector<Folded>> fold_rows(sql::Engine& sql, const std::vector<rules::FoldGroup>& folds,
                                            const std::vector<std::string>& paths, const std::vector<delta::Field>& schema,
                                            const base::PositionVector& beyond = {});

// The last offset of each partition in these files. Errors: as fold_rows.
base::Result<base::PositionVector> last_offsets(sql::Engine& sql, const std::vector<std::string>& paths,
                                                const std::vector<delta::Field>& schema);

}  // namespace headpond::pager
