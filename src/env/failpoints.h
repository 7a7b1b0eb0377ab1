// Named moments at which a test may end the process: "ingest.before_data_put", "pager.after_state_batch", …
// In production reach() does nothing. The real one (app) reads HEADPOND_FAILPOINT="name:N" and kills the process at the N-th hit.
#pragma once

#include <string_view>

namespace headpond::env {

// Threads: any.
class Failpoints {
 public:
  virtual ~Failpoints() = default;
  virtual void reach(std::string_view name) { (void)name; }
};

}  // namespace headpond::env
