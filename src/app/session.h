// What most commands start from: the topology, its lake, and the real world.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/commands.h"
#include "base/result.h"
#include "env/real.h"
#include "spec/topology.h"
#include "sql/engine.h"

namespace headpond::app {

// Reads a whole file. Errors: kNotFound, with what to do.
base::Result<std::string> read_file(const std::string& path);
base::Result<void> write_file(const std::string& path, const std::string& text);

// Loads and checks a topology for form; prints every issue. None: printed already, exit with kWrongUse.
std::optional<spec::Topology> load_topology(const std::string& path);

struct Session {
  spec::Topology topology;
  spec::LakePaths paths;
  std::string data_directory;  // local scratch: state, spill
  std::unique_ptr<env::Clock> clock;
  std::unique_ptr<env::Random> random;
  std::unique_ptr<env::Failpoints> failpoints;
  std::unique_ptr<env::ObjectStore> lake;

  // Prints what is wrong and sets `code` when there is no session to be had.
  static std::optional<Session> open(const CommonOptions& options, int& code);
  // The branch of that kind, by name when one is given. Prints and returns null when there is none or it is ambiguous.
  const spec::Branch* branch(spec::BranchKind kind, const std::string& name) const;
};

// A DuckDB with views over everything the lake holds: bronze, rollup, histogram, rolling_5m, batch, usage_15m, usage_peak, invoice_lines,
// pages.
base::Result<std::unique_ptr<sql::Engine>> open_lake_views(Session& session);

}  // namespace headpond::app
