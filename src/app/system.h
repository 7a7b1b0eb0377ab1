// All roles of one topology in this process: what `up`, the single-role commands and the demo run.
//
// Threads: create/start/stop from one; statuses from any.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/role.h"
#include "app/session.h"
#include "bronze/cursor.h"
#include "ingest/engine.h"

namespace headpond::app {

struct Selection {
  std::vector<std::string> kinds;  // "ingest", "pager", "notify", "dashboard", "billing"; empty = all
  std::string branch;              // empty = every branch of those kinds
  bool new_generation = false;     // pagers discard their state
  ingest::Settings ingest = {};
  bool includes(const std::string& kind, const std::string& name) const;
};

// What the system says to whoever runs it; called from its threads.
struct Hooks {
  Role::Log log;
  std::function<void(const std::string& page)> print;  // a page for the stdout target
};

class System {
 public:
  // Prepares a role for ingest and for every selected branch whose engine is embedded; the others it names in the log. Borrows `session`.
  // Errors: kInvalid: nothing is selected, or the one branch selected runs elsewhere, with the mend.
  static base::Result<std::unique_ptr<System>> create(Session& session, const Selection& selection, Hooks hooks);

  void start();
  void stop();  // drains all roles, side by side
  std::vector<bronze::BranchStatus> statuses() const;
  // Roles that ended for good, with why.
  std::vector<std::pair<std::string, base::Error>> failed() const;
  // Every role has done all there was to do.
  bool finished() const;
  std::size_t roles() const { return roles_.size(); }

 private:
  std::vector<std::unique_ptr<Role>> roles_;
  std::unique_ptr<Role> upkeep_;  // beside ingest; no role of the topology
};

}  // namespace headpond::app
