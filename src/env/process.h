// Other programs: the engines Headpond hands work to, and their command lines.
//
//   TRY(const auto done, processes.run({.argv = {"dbt", "--version"}}));   // done.code, done.output
//   TRY(const auto pid, processes.start({.argv = {…}, .log = "driver.log"}));   // lives on after this process
//
// Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::env {

struct ProcessRequest {
  std::vector<std::string> argv;                                      // the program first: a path, or a name to be found in PATH
  std::vector<std::pair<std::string, std::string>> environment = {};  // beside this process's own; a later one of the same name wins
  std::string directory = {};                                         // to run in; empty: this process's
  base::Duration timeout = base::Duration::minutes(10);               // of run(): then the program and its children are killed
  std::string log = {};                                               // where stdout and stderr go, appended; of run(): also
  // Of run(): asked every 100 ms while it runs. True: it is told to end (SIGTERM), and ten seconds later made to.
  std::function<bool()> give_up = {};
};

struct ProcessResult {
  int code = 0;        // of its exit; 128 + the signal that ended it
  std::string output;  // stdout and stderr as they came; of more than 1 MiB the end
};

class Processes {
 public:
  virtual ~Processes() = default;
  // Runs it to its end. Errors: kNotFound: there is no such program. kRetry: it did not end in time, was given up, or could not be started
  // now. kInvalid: the log cannot be written.
  virtual base::Result<ProcessResult> run(const ProcessRequest& request) = 0;
  // Starts it in a session of its own and returns its process id at once. Errors: as run(); kInvalid: the log cannot be written.
  virtual base::Result<std::int64_t> start(const ProcessRequest& request) = 0;
  // Whether a process that start() gave still runs.
  virtual bool running(std::int64_t pid) = 0;
};

std::unique_ptr<Processes> real_processes();

}  // namespace headpond::env
