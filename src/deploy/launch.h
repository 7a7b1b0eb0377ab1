// Bringing one branch onto its engine: deciding how it starts, claiming what a cold start needs, and handing it over.
//
//   TRY(auto start, decide(input, program, world, false));      // changes nothing
//   …every other check of every branch…
//   TRY_VOID(claim(start, input, world));                       // a cold pager's generation
//   TRY(auto said, hand_over(package(input), input, world));    // files, then the commands
//
// Threads: one at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "deploy/commands.h"
#include "deploy/names.h"
#include "env/clock.h"
#include "env/object_store.h"
#include "env/process.h"
#include "rules/program.h"

namespace headpond::deploy {

// Seams, borrowed.
struct World {
  env::ObjectStore& lake;
  env::ObjectStore* checkpoints;  // at checkpoints_of(); null: there is nothing there yet
  env::Processes& processes;
  env::Clock& clock;
};

struct Start {
  bool cold = true;
  std::vector<std::string> notes;  // for the operator: a line each
  Names names;                     // of the rules, to be kept with the generation
};

// How a pager starts. Fills input.job.start, input.job.program_json and input.from; a cold start's generation is the one that would be
// claimed next. Errors: kInvalid: rules that a warm job cannot take over, each a line. kNotFound: no bronze. kRetry.
base::Result<Start> decide(PackageInput& input, rules::Program& program, World world, bool new_generation);

// Claims the generation of a cold start (once everything else is known to be well) and keeps the names of its rules. Errors: kRetry.
base::Result<void> claim(const Start& start, PackageInput& input, World world);

// Writes the files, then runs the commands; what goes on running is waited for until its cursor says so. Returns a line for the operator.
// Errors: kInvalid: a file cannot be written. kRetry: a command failed, with the end of what it said.
base::Result<std::string> hand_over(const Package& package, const PackageInput& input, World world);

}  // namespace headpond::deploy
