// The numbers behind a pager job's state, kept beside its generation: a job that is deployed again must be given the ones its state was
// written with. One object a generation, `<pages_root>/_deployed/<10-digit generation>.json`. Format: docs/formats/job.md.
//
// Threads: any; no state.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/object_store.h"
#include "rules/program.h"

namespace headpond::deploy {

struct Names {
  std::map<std::string, rules::Dictionary> dictionaries;    // by fold id
  std::map<std::string, std::set<std::string>> rules = {};  // by fold id: those deployed last
  std::string program = {};                                 // rules::to_json of them; empty: an older Headpond did not keep it
};

// None: nothing was deployed with that generation. Errors: kRetry; kCorrupt; kInvalid: a newer format.
base::Result<std::optional<Names>> read_names(env::ObjectStore& lake, const std::string& pages_root, std::int64_t generation);
base::Result<void> write_names(env::ObjectStore& lake, const std::string& pages_root, std::int64_t generation, const Names& names);

// Gives `program` its numbers and `names` what is new in it. New counters see rows from `sees_rows_from` on.
void number(rules::Program& program, Names& names, std::optional<base::Micros> sees_rows_from);

// Rules of `names` that `program` lacks or groups otherwise: a job cannot resolve their open pages, only a new generation can.
std::vector<std::string> lost_rules(const Names& names, const rules::Program& program);

// What differs between two programs (rules::to_json, numbers included), a line each: "rule g/A was edited"; empty: nothing. A job's state
// on Flink belongs to one program: a threshold edited under it would be looked at only by keys that have new rows.
std::vector<std::string> edits(const std::string& before, const std::string& now);

}  // namespace headpond::deploy
