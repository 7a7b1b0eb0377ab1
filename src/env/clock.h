// Time and chance, injected: only app reads the real ones.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace headpond::env {

// Threads: any.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual base::Micros now() = 0;          // wall clock, UTC
  virtual base::Duration monotonic() = 0;  // never falls; only differences mean something
};

// Threads: one at a time.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;  // uniform over all 64-bit values
};

}  // namespace headpond::env
