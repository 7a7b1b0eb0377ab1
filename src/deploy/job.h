// The job document: what an engine outside this binary is told about its branch. Format: docs/formats/job.md. No secrets are in it.
// Threads: values; any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "rules/program.h"
#include "spec/topology.h"

namespace headpond::deploy {

inline constexpr int kJobFormat = 1;

// Where a pager's state begins, and whose time it counts by.
struct PagerStart {
  std::int64_t generation = 0;
  base::Micros claimed_at{0};
  base::Version behind{-1};                    // the first version read is the one after
  std::optional<base::Micros> sees_rows_from;  // rows with ts from here on lie behind `behind`; none: the whole of bronze does
};

// What a branch's documents are made of. Borrows.
struct JobInput {
  const spec::Topology& topology;
  const spec::Branch& branch;
  spec::LakePaths paths;
  double promise_s = 0;
  PagerStart start;                         // of a pager
  std::string program_json;                 // of a pager: rules::to_json, ids given
  std::vector<spec::RollupDecl> rollups{};  // of a dashboard: resolved, the default written out
};

// As `location`: a URL as it is, a directory as an absolute path.
std::string absolute_location(const std::string& location);
// Where the branch's engine keeps its own checkpoints: as the topology says, else beside its results in the lake. A URL.
std::string checkpoints_of(const spec::Branch& branch, const spec::LakePaths& paths);
// The folder of one generation of a pager in it, so that no other generation's checkpoint is ever restored. As the job computes it.
std::string generation_folder(const spec::Branch& branch, std::int64_t generation);

std::string job_json(const JobInput& input);

}  // namespace headpond::deploy
