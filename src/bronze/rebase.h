// What a batch may say on top of a given version of the table: the precondition of bronze's commit, as a pure function. Called again on
// each version that overtakes a commit. Private to bronze.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "bronze/facts.h"
#include "bronze/staged.h"
#include "bronze/writer.h"

namespace headpond::bronze {

// Position and clock of the partitions that the caller called stalled, as they were when it did.
using StalledBasis = std::map<base::SourcePartition, std::pair<base::Offset, std::optional<base::Micros>>>;
StalledBasis basis_of(const TableClock& table, const std::vector<Stalled>& stalled);

// The facts of a commit of `staged` (null: a heartbeat) and `request` directly behind the version at which `table` stands. The batch still
// lacks its txnId, writer and files. Clocks whose position is not the table's, or which are not above the table's, are left out; so is
// `stalled` of a partition that has moved since `basis`.
// Errors: kFenced: another owner has taken over a partition, or the generation. kInvalid: another topic under the same generation.
base::Result<CommitFacts> facts_on(const TableClock& table, const Staged* staged, const CommitRequest& request, const StalledBasis& basis);

// Whether there is anything in it that the table does not say already.
bool says_nothing(const CommitFacts& facts);

}  // namespace headpond::bronze
