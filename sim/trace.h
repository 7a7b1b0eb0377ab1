// What happened in a run, line by line: always hashed, written where a file is given. Two runs of one seed have the same hash.
// Threads: one at a time.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "base/xxh3.h"

namespace headpond::sim {

class Trace {
 public:
  explicit Trace(std::FILE* file = nullptr) : file_(file) {}  // borrowed

  template <class... Args>
  void line(std::int64_t now_us, fmt::format_string<Args...> text, Args&&... args) {
    line_.clear();
    fmt::format_to(std::back_inserter(line_), "{}.{:06} ", now_us / 1'000'000, now_us % 1'000'000);
    fmt::format_to(std::back_inserter(line_), text, std::forward<Args>(args)...);
    line_ += '\n';
    hash_ = XXH3_64bits_withSeed(line_.data(), line_.size(), hash_);
    ++lines_;
    if (file_ != nullptr) std::fwrite(line_.data(), 1, line_.size(), file_);
  }
  std::uint64_t hash() const { return hash_; }
  std::int64_t lines() const { return lines_; }

 private:
  std::FILE* file_;
  std::string line_;
  std::uint64_t hash_ = 0;
  std::int64_t lines_ = 0;
};

}  // namespace headpond::sim
