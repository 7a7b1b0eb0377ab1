// Who holds a lease, as seen from outside: for messages and for refusing to start a second engine. Nobody decides by it who may write:
// that is Lease::acquire().
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "env/object_store.h"

namespace headpond::lease {

struct Look {
  std::string holder;  // "embedded:3f…"
  std::int64_t epoch = 0;
  bool released = false;
  base::Micros renewed_at;  // by the store's clock
  base::Duration wait;      // lease + grace

  // What stands before the colon: which engine. A holder without one is embedded.
  std::string word() const;
  // Whether it may still hold it at `now`, by a clock that is within `clock_error` of the store's.
  bool holds(base::Micros now, base::Duration clock_error = base::Duration::seconds(1)) const;
};

// None: nobody ever held it. Errors: kRetry: the store. kCorrupt, kInvalid: an object that cannot be read.
base::Result<std::optional<Look>> look(env::ObjectStore& objects, const std::string& root);

}  // namespace headpond::lease
