// SIGTERM and SIGINT as something to wait for. Construct before any thread is started: they inherit the mask.
#pragma once

#include "base/ids.h"

namespace headpond::app {

class Signals {
 public:
  Signals();
  // True: one of them has come (now or earlier); false: `timeout` has passed.
  bool wait(base::Duration timeout) const;

 private:
  mutable bool came_ = false;
};

}  // namespace headpond::app
