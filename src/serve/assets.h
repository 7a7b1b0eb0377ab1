// The files of the page, embedded at build time by embed.cmake. Threads: any.
#pragma once

#include <span>
#include <string_view>

namespace headpond::serve {

struct Asset {
  std::string_view name;  // "index.html"
  std::string_view bytes;
};

std::span<const Asset> assets();

}  // namespace headpond::serve
