// Chance from a seed. Threads: one at a time.
#pragma once

#include <cstdint>

#include "env/fake.h"

namespace headpond::sim {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  bool chance(double probability) { return static_cast<double>(random_.next() >> 11) * 0x1.0p-53 < probability; }
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(n)); }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }  // both included
  std::uint64_t next() { return random_.next(); }

 private:
  env::SeededRandom random_;
};

}  // namespace headpond::sim
