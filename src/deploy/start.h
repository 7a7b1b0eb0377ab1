// Where a pager's job begins: warm, from its own checkpoint of the newest generation, or cold, behind a version of bronze old enough that
// every rule knows its whole window at the moment of the claim.
// Threads: no state; any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "deploy/job.h"
#include "env/object_store.h"
#include "rules/program.h"
#include "spec/topology.h"

namespace headpond::deploy {

struct Checkpoint {
  std::string path;  // relative to the store: the folder that holds _metadata
  base::Micros modified;
};

// The newest whole checkpoint or savepoint below `prefix` (Flink's: a folder with _metadata). Errors: kRetry: the store.
base::Result<std::optional<Checkpoint>> newest_checkpoint(env::ObjectStore& store, const std::string& prefix);

struct ColdStart {
  base::Version behind{-1};
  std::optional<base::Micros> sees_rows_from;
  std::vector<std::string> blind;  // a line each: which rule knows less than its window, until when and why
};

// How far back a rule must have seen rows to judge at `claim` as if it had always run.
base::Duration reach_of(const rules::FoldGroup& fold, const rules::Rule& rule);

// The start at `claim`. A few reads of the log. Errors: kNotFound: no such table. kRetry, kCorrupt, kInvalid: as Tail::open.
base::Result<ColdStart> cold_start(env::ObjectStore& lake, const std::string& bronze_root, const rules::Program& program,
                                   const spec::BronzeSpec& bronze, base::Micros claim);

}  // namespace headpond::deploy
