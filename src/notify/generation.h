// Generations of a pager's state. A state that starts empty claims the next one; a state whose generation is not the newest claimed must
// not be used. One object a generation, `<pages_root>/_generations/<10-digit number>.json` = {"format":1,"generation":N,"claimed_at":µs}.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "env/object_store.h"

namespace headpond::notify {

struct Generation {
  std::int64_t number = 0;  // from 1
  // Transitions whose boundary is before it are recorded, not sent; what is firing at it is sent.
  base::Micros claimed_at;
};

// Takes the number after the newest. `now` is recorded as the claim's time.
// Errors: kRetry: store unreachable; call again (a lost reply costs at most an unused number).
base::Result<std::int64_t> claim_generation(env::ObjectStore& objects, const std::string& pages_root, base::Micros now);

// None: nobody has claimed one yet.
base::Result<std::optional<Generation>> newest_generation(env::ObjectStore& objects, const std::string& pages_root);

// Errors: kNotFound: never claimed.
base::Result<Generation> read_generation(env::ObjectStore& objects, const std::string& pages_root, std::int64_t number);

}  // namespace headpond::notify
