// XXH3-64 of bytes, seed 0 (xxhash.com, specification 0.1.1).
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace headpond::base {

inline std::uint64_t xxh3(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace headpond::base
