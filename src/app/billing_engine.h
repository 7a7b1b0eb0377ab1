// The engine that computes a billing branch's days, as the topology says: DuckDB in this process, or a program of engines/ run as a child.
#pragma once

#include <memory>

#include "app/session.h"
#include "base/result.h"
#include "billing/calculator.h"
#include "spec/topology.h"

namespace headpond::app {

// Null: the branch is embedded. Errors: kNotFound, kRetry: what would be run is not on this machine. kInvalid: a version that was not
// tested, or a lake it cannot read. Each with the mend; no day was begun.
base::Result<std::shared_ptr<billing::Calculator>> open_calculator(const Session& session, const spec::Branch& branch);

}  // namespace headpond::app
