// Every range of offsets that a table covers, from its ledger and its log, by version; a partition's in rising order. Threads: any; reads
// only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/facts.h"
#include "env/object_store.h"

namespace headpond::bronze {

struct StatedRange {
  const std::string& source;
  const Range& range;
  const std::vector<std::string>& gap_kinds;  // of the batches it came with
};

// Returns the fold of all of them. Errors: kNotFound: no table. kCorrupt: a missing or foreign version; `headpond audit` names all of them.
// Those of the store.
base::Result<TableClock> visit_ranges(env::ObjectStore& store, const std::string& table_root,
                                      const std::function<void(const StatedRange&)>& visit);

}  // namespace headpond::bronze
