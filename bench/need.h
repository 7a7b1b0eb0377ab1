// A measurement has no use for an error but to say it and end.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "base/result.h"

namespace headpond::bench {

template <class T>
T need(base::Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "headpond_bench: %s\n", result.error().message.c_str());
    std::exit(3);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace headpond::bench
