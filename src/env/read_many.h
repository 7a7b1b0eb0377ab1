// Many objects at once, as many at a time as the store gains by (ObjectStore::reads_at_once()): for a far store, where each read alone
// costs a round trip. Threads: any; the call has threads of its own, which have ended when it returns.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "env/object_store.h"

namespace headpond::env {

// What store.get() says of each of `paths`, in their order. All of it is in memory at once: give it what is small.
std::vector<base::Result<std::string>> get_many(ObjectStore& store, const std::vector<std::string>& paths);

}  // namespace headpond::env
