// Seeded chance: the same numbers on every machine for the same seed. xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace headpond::generate {

class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) {
    for (auto& word : state_) {
      seed += 0x9E3779B97F4A7C15ull;
      std::uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
      word = z ^ (z >> 31);
    }
  }
  std::uint64_t next() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  // Uniform in [0, n), n > 0.
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32); }
  // Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double share) { return share > 0 && unit() < share; }

 private:
  static std::uint64_t rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<std::uint64_t, 4> state_{};
};

// Ranks 0…n−1 with weight 1/(rank+1), by one table look-up.
class Zipf {
 public:
  explicit Zipf(int n) {
    double total = 0;
    for (int i = 0; i < n; ++i) total += 1.0 / (i + 1);
    double reached = 0;
    std::size_t filled = 0;
    for (int i = 0; i < n; ++i) {
      reached += 1.0 / (i + 1) / total;
      const auto until = i + 1 == n ? kSize : static_cast<std::size_t>(reached * static_cast<double>(kSize));
      for (; filled < until; ++filled) table_[filled] = static_cast<std::uint16_t>(i);
    }
  }
  std::uint32_t pick(SeededRandom& random) const { return table_[random.next() >> (64 - kBits)]; }

 private:
  static constexpr int kBits = 13;
  static constexpr std::size_t kSize = 1u << kBits;
  std::array<std::uint16_t, kSize> table_{};
};

}  // namespace headpond::generate
