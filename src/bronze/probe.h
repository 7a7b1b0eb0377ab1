// Whether a store is fit to hold a lake: commits, leases and generations rest on put-if-absent having exactly one winner.
// Threads: any; no state.
#pragma once

#include <string>

#include "base/result.h"
#include "env/clock.h"
#include "env/object_store.h"

namespace headpond::bronze {

// Two conditional writes of one key below `<root>/_headpond/probe/`, of which the second must lose; the key is removed again.
// A lost reply says nothing of the store: another key is tried, three in all; what a lost reply created stays behind, a few bytes.
// Errors: kInvalid: both won, with what to do. kRetry: the store does not answer, or every reply was lost.
base::Result<void> probe_put_if_absent(env::ObjectStore& store, const std::string& root, env::Random& random);

}  // namespace headpond::bronze
